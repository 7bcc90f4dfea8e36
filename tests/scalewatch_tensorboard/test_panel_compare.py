"""Comparing runs in the panel: ticked in the overview, told apart in one picture, and back again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.scalewatch_tensorboard.browser import Board, Panel
from tests.scalewatch_tensorboard.test_panel_use import last_chart

Open = Callable[[Board], Panel]

#: The middle of the entry of a legend: [x, y] in the frame.
ENTRY_PLACE = """(wanted) => {
  const picture = document.querySelector(".stage .picture");
  const found = [];
  const walk = (item, x, y) => (item.items ?? []).forEach((mark) => (mark.items ?? []).forEach((each) => {
    const { x1, x2, y1, y2 } = each.bounds;
    if (mark.role === "legend-label" && each.text === wanted) found.push([x + (x1 + x2) / 2, y + (y1 + y2) / 2]);
    if (mark.marktype === "group") walk(each, x + (each.x ?? 0), y + (each.y ?? 0));
  }));
  const { view } = picture;
  const around = view.padding();
  const root = view.scenegraph().root.items[0];
  walk(root, view.origin()[0] + around.left, view.origin()[1] + around.top);
  const canvas = picture.querySelector("canvas");
  const box = canvas.getBoundingClientRect();
  const scale = (box.width * window.devicePixelRatio) / canvas.width;
  return [box.x + scale * found[0][0], box.y + scale * found[0][1]];
}"""
HIDDEN = "document.querySelector('.stage .picture').view.signal('hidden')"
ROWS = "document.querySelector('.stage .picture').view.data('rows')"


def names(frame: Any) -> list[str]:
    """The runs of the overview, in their order."""
    return [each.inner_text() for each in frame.query_selector_all(".run-name")]


def test_ticked_runs_are_compared_in_one_picture_and_back_leads_to_the_table(
    zoo_board: Board, open_panel: Open
) -> None:
    """Names lose the folder that all share, the pointer tells each run, the legend hides and isolates, smoothing goes
    through the means and leaves least and greatest rows as they are, Back and Forward lead where one was."""
    panel = open_panel(zoo_board)
    frame = panel.open(panel="overview")
    frame.wait_for_selector(".runs tbody tr")
    frame.fill("input[type=search]", "^ladder/[124]M$")
    assert sorted(names(frame)) == ["ladder/1M", "ladder/2M", "ladder/4M"]
    for place in range(3):
        frame.click(f".tick >> nth={place}")
    frame.click("text=Compare 3 runs")
    panel.drawn()
    words = panel.words()
    assert all(f"\n{name}\n" in words for name in ("1M", "2M", "4M")), words
    first = frame.evaluate(ROWS)
    assert {"run_0", "run_1", "low", "high"} <= set(first[5])

    last = "4M" if frame.input_value("#scalewatch-run") != "ladder/4M" else "2M"
    box = panel.page.query_selector("iframe[src*='name=scalewatch']").bounding_box()
    x, y = frame.evaluate(ENTRY_PLACE, last)
    panel.page.mouse.click(box["x"] + x, box["y"] + y)
    frame.wait_for_function(f"{HIDDEN}.length === 1")
    panel.page.mouse.dblclick(box["x"] + x, box["y"] + y)
    frame.wait_for_function(f"{HIDDEN}.length > 2")
    panel.page.mouse.dblclick(box["x"] + x, box["y"] + y)
    frame.wait_for_function(f"{HIDDEN}.length === 0")

    frame.focus("input[type=range]")
    panel.page.keyboard.press("End")
    panel.drawn()
    frame.wait_for_function("!document.querySelector('[aria-busy]')")
    assert ["4"] == last_chart(panel)["smooth"]
    same = [[row["low"], row["high"]] for row in first] == [[row["low"], row["high"]] for row in frame.evaluate(ROWS)]
    assert same

    panel.page.go_back()
    frame.wait_for_selector(".tabs.main [data-value=overview][aria-selected=true]")
    panel.page.go_forward()
    frame.wait_for_selector(".tabs.main [data-value=run][aria-selected=true]")
    assert 2 == len(last_chart(panel)["compare"])
    panel.leave()


def test_the_table_is_as_somebody_likes_it(zoo_board: Board, open_panel: Open) -> None:
    """Columns are chosen, folders are groups that close, a pinned run stays on top; all of it after a reload too."""
    panel = open_panel(zoo_board)
    frame = panel.open(panel="overview")
    frame.wait_for_selector(".runs tbody tr")
    frame.click(".columns summary")
    frame.check(".columns label:has-text('Last row') input")
    frame.uncheck(".columns label:has-text('Curve') input")
    panel.page.keyboard.press("Escape")
    frame.hover("tr[data-run='old']")
    frame.click("tr[data-run='old'] .pin")
    assert names(frame)[0] == "old"
    frame.check(".box input")
    frame.click(".fold:has-text('ladder/')")
    assert not any("M" == name[-1] for name in names(frame))

    frame = panel.open(panel="overview")
    frame.wait_for_selector(".runs tbody tr")
    heads = [each.inner_text() for each in frame.query_selector_all("thead th")]
    assert "Last row" in heads
    assert "Curve" not in heads
    assert names(frame)[0] == "old"
    assert "3 runs" in frame.inner_text(".group:has-text('ladder/')")
