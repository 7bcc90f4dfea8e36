"""The panel in use: live updates, zoom, what-if, deep links, keyboard, files, and a server that goes away."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.scalewatch_tensorboard.browser import Board, Panel, tensorboard
from tests.scalewatch_tensorboard.logs import DONE, SPIKE_STEP, TOTAL, event_log, grow, losses_of
from tests.synthetic import cosine

Open = Callable[[Board], Panel]


def parameters(address: str) -> dict[str, list[str]]:
    """The parameters of an address that was asked for."""
    return parse_qs(urlsplit(address).query)


def last_chart(panel: Panel, chart: str = "run") -> dict[str, list[str]]:
    """What the newest chart of a kind was asked with."""
    charts = [parameters(each) for each in panel.asked if each.startswith("chart?")]
    return [each for each in charts if each["chart"] == [chart]][-1]


# --- live -----------------------------------------------------------------------------------------


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[tuple[Board, Path]]:
    """A TensorBoard over a run that is being written, and the run's folder."""
    folder = tmp_path / "logs" / "growing"
    event_log(folder, losses_of(TOTAL, 600, 5), cosine(TOTAL))
    with tensorboard(folder.parent, tmp_path / "cache", "--reload_interval", "1") as board:
        yield board, folder


def test_a_run_that_is_being_written_is_followed(growing: tuple[Board, Path], open_panel: Open) -> None:
    """Rows that arrive are drawn within seconds, nobody touching anything; nothing is fetched while nothing changes;
    a hidden tab asks for nothing, and asks at once when it is seen again."""
    board, folder = growing
    panel = open_panel(board)
    frame = panel.open(panel="run", run="growing", xscale="linear")
    panel.drawn()
    frame.wait_for_selector("text=step 600")
    before = panel.drawings()

    losses = losses_of(TOTAL, 900, 5)
    grow(folder, losses[600:900], 601, cosine(TOTAL))
    frame.wait_for_selector("text=step 900")
    frame.wait_for_function("n => performance.getEntriesByType('mark').length > n", arg=before)

    quiet = len([each for each in panel.asked if each.startswith("chart")])
    polls = panel.polls()
    panel.page.wait_for_timeout(3_500)
    assert panel.polls() > polls
    assert len([each for each in panel.asked if each.startswith("chart")]) == quiet

    panel.page.click("text=/^\\s*Time Series\\s*$/i")
    panel.page.wait_for_timeout(300)
    polls = panel.polls()
    panel.page.wait_for_timeout(4_000)
    assert panel.polls() == polls
    panel.page.click("text=/^\\s*ScaleWatch\\s*$/i")
    panel.page.wait_for_timeout(700)
    assert panel.polls() > polls
    assert frame.query_selector(".stage canvas") is not None


def test_a_server_that_goes_away_is_told_of_and_asked_again(tmp_path: Path, open_panel: Open) -> None:
    """A failed request becomes a sentence, what was drawn stays, and the next answer takes the sentence away."""
    event_log(tmp_path / "logs/run", losses_of(300, 300, 5))
    with tensorboard(tmp_path / "logs", tmp_path / "cache") as board:
        panel = open_panel(board)
        frame = panel.open(panel="overview")
        frame.wait_for_selector(".runs tbody tr")
        panel.page.context.route("**/plugin/scalewatch/runs*", lambda route: route.abort())
        frame.wait_for_selector(".notice:not([hidden])")
        told = frame.inner_text(".notice")
        assert frame.query_selector(".runs tbody tr") is not None
        panel.shot("server_away")
        panel.page.context.unroute("**/plugin/scalewatch/runs*")
        frame.click("text=Try now")
        frame.wait_for_selector(".notice", state="hidden")
        panel.leave()

    assert re.search(r"does not answer.*again in \d+ s", told, re.DOTALL)
    panel.troubles.clear()  # the browser says of a broken connection what it is


# --- zoom, axes, marks ----------------------------------------------------------------------------


def test_a_drag_fetches_finer_rows_and_escape_shows_all(zoo_board: Board, open_panel: Open) -> None:
    """A drag asks the server for that window; + and - go on from there; Escape and a double click end it."""
    panel = open_panel(zoo_board)
    frame = panel.open(panel="run", run="live", xscale="linear", yscale="linear")
    panel.drawn()

    panel.drag(0.3, 0.5)
    frame.wait_for_selector(".stage.zoomed")
    asked = last_chart(panel)
    low, high = float(asked["from"][0]), float(asked["to"][0])
    assert 0.1 * TOTAL < low < high < 0.7 * TOTAL
    panel.shot("zoomed")

    frame.focus(".stage")
    panel.page.keyboard.press("+")
    panel.drawn()
    closer = last_chart(panel)
    assert low < float(closer["from"][0]) < float(closer["to"][0]) < high
    panel.page.keyboard.press("Escape")
    frame.wait_for_selector(".stage:not(.zoomed)")
    panel.drawn()
    assert "from" not in last_chart(panel)

    panel.drag(0.3, 0.5)
    frame.wait_for_selector(".stage.zoomed")
    frame.dblclick(".stage canvas", position={"x": 300, "y": 200})
    frame.wait_for_selector(".stage:not(.zoomed)")


def in_wide_type(route: Any) -> None:
    """Answer with a chart whose words are wider than its server thought."""
    answer = route.fetch()
    spec = answer.json()
    spec["config"]["font"] = "monospace"
    route.fulfill(response=answer, json=spec)


def test_a_mark_in_the_chart_opens_its_explanation(zoo_board: Board, open_panel: Open) -> None:
    """A click on an incident's mark opens its sentence in the list and zooms to it, and so does one on its row; also in
    a type in which the picture would be wider than its room."""
    panel = open_panel(zoo_board)
    panel.page.route("**/plugin/scalewatch/chart?*", in_wide_type)
    frame = panel.open(panel="run", run="live", xscale="linear")
    panel.drawn()

    panel.page.mouse.click(*panel.place_of_incident(0))
    frame.wait_for_selector(".incidents summary:focus")
    told = frame.inner_text(".incidents details[open]")
    frame.wait_for_selector(".stage.zoomed")
    frame.click("text=Reset zoom")
    frame.wait_for_selector(".stage:not(.zoomed)")
    frame.click(".incidents details[open] > summary")
    frame.click(".incidents details:not([open]) > summary")
    frame.wait_for_selector(".stage.zoomed")

    assert "Spike" in told
    assert f"{SPIKE_STEP:,}" in told
    asked = last_chart(panel)
    assert float(asked["from"][0]) < SPIKE_STEP < float(asked["to"][0])


def test_axes_are_kept_in_the_browser(zoo_board: Board, open_panel: Open) -> None:
    """Whoever likes log axes gets them again for the next run, without a link."""
    panel = open_panel(zoo_board)
    frame = panel.open(panel="run", run="live")
    panel.drawn()
    frame.check("fieldset:has(legend:text('X axis')) input[value=tokens]", force=True)
    frame.check("fieldset:has(legend:text('X scale')) input[value=log]", force=True)
    frame.check("fieldset:has(legend:text('Loss scale')) input[value=linear]", force=True)
    panel.drawn()
    panel.open(panel="run", run="live")
    panel.drawn()

    asked = last_chart(panel)
    assert [asked["x"], asked["xscale"], asked["yscale"]] == [["tokens"], ["log"], ["linear"]]


def test_which_run_needs_me_is_one_click_away(zoo_board: Board, open_panel: Open) -> None:
    """The overview names the run, what is wrong and what to do; one click shows its picture, notes folded below what
    pages, nothing forecast of a run that is lost."""
    panel = open_panel(zoo_board)
    frame = panel.open(panel="overview")
    frame.wait_for_selector("text=1 of 8 runs needs you")
    told = frame.inner_text(".answer")
    assert all(word in told for word in ("lost", "Spike since step 1,200", "Stop"))
    frame.click("text=Open it")
    panel.drawn()

    assert frame.input_value("#scalewatch-run") == "lost"
    rows = [each.inner_text() for each in frame.query_selector_all(".incidents > ul > li > details > summary")]
    assert [row.split("\n")[0] for row in rows] == ["Critical", "Note"], rows
    assert "35 notes" in rows[1]
    frame.click(".others summary")
    assert "Ignore this if" in frame.inner_text(".others")

    frame.click(".tabs.main [data-value=forecast]")
    frame.wait_for_selector("text=Suspended since step 1,200")
    panel.drawn()
    panel.shot("suspended")
    assert "suspended" in panel.words()
    assert not frame.is_visible("text=What if")


# --- links, comparison, what-if -------------------------------------------------------------------


def test_a_link_opens_what_was_seen(zoo_board: Board, open_panel: Open) -> None:
    """Panel, run, axes, zoom, comparison and reference are in the copied link, and the link brings them back."""
    panel = open_panel(zoo_board)
    panel.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    window: dict[str, Any] = {"from": 200, "to": 900}
    frame = panel.open(panel="run", run="live", xscale="linear", **window)
    panel.drawn()
    frame.click("summary:text('Compare with')")
    frame.check(".picker input[data-run='old']")
    frame.press(".picker input[data-run='old']", "Escape")  # the box lies over what is below it
    frame.select_option("label:has-text('Reference') select", "ladder/4M")
    panel.drawn()
    frame.click("text=Copy link")
    frame.wait_for_function("document.querySelector('.unseen[aria-live]').textContent.includes('clipboard')")
    link = panel.page.evaluate("navigator.clipboard.readText()")
    assert panel.page.evaluate("window.location.href") == link
    first = last_chart(panel)

    panel.asked.clear()
    panel.page.goto("about:blank")
    panel.page.goto(link)
    panel.frame.wait_for_selector(".stage.zoomed")
    panel.drawn()

    assert last_chart(panel) == first
    assert [first["compare"], first["reference"], first["from"]] == [["old"], ["ladder/4M"], ["200"]]
    assert panel.frame.input_value("#scalewatch-run") == "live"


def test_what_if_tells_where_another_schedule_ends(zoo_board: Board, open_panel: Open) -> None:
    """Asking for a longer run gives a row with its steps, loss and difference, and a chart of it; nonsense gets
    a sentence."""
    panel = open_panel(zoo_board)
    frame = panel.open(panel="forecast", run="live")
    panel.drawn()
    frame.fill("label:has-text('Train longer') input", "a lot")
    frame.click("button:text-is('Compare')")
    assert "is not understood" in frame.inner_text(".fault")
    frame.fill("label:has-text('Train longer') input", "40 %")
    frame.click("button:text-is('Compare')")
    frame.wait_for_selector("aside[aria-label=Outcomes] tbody >> text=/1,?200 steps longer/")
    panel.drawn()
    panel.shot("what_if")

    rows = frame.inner_text("aside[aria-label=Outcomes] tbody")
    assert f"{TOTAL * 7 // 5:,}" in rows
    assert last_chart(panel, "whatif")["extend"] == [str(TOTAL * 2 // 5)]


def test_a_guess_at_the_plan_gives_a_forecast(zoo_board: Board, open_panel: Open) -> None:
    """A log that does not tell its length asks for it, and forecasts with what it is told."""
    panel = open_panel(zoo_board)
    frame = panel.open(panel="forecast", run="old")
    frame.wait_for_selector(".guess form")
    panel.drawn(or_empty=True)
    panel.shot("no_plan")
    frame.fill("label:has-text('Planned steps') input", str(TOTAL))
    frame.select_option(".guess select", "cosine")
    frame.click("text=Use this schedule")
    frame.wait_for_selector(f"text=at step {TOTAL:,}")
    panel.drawn()

    assert frame.query_selector(".chart .empty") is None


# --- overview, files ------------------------------------------------------------------------------


def test_the_overview_is_sorted_filtered_and_walked_by_keyboard(zoo_board: Board, open_panel: Open) -> None:
    """Headers sort and say so, the filter narrows, arrow keys walk, Enter opens the run."""
    panel = open_panel(zoo_board)
    frame = panel.open(panel="overview")
    frame.wait_for_selector(".badge.past")

    def names() -> list[str]:
        return [each.inner_text() for each in frame.query_selector_all(".run-name")]

    assert names()[:2] == ["lost", "live"]

    frame.click("thead th.name button")
    assert frame.get_attribute("thead th.name", "aria-sort") == "ascending"
    assert names() == sorted(names(), key=str.lower)
    frame.fill("input[type=search]", "ladder")
    assert names() == ["ladder/1M", "ladder/2M", "ladder/4M"]
    frame.focus(".run-name >> nth=0")
    panel.page.keyboard.press("ArrowDown")
    panel.page.keyboard.press("Enter")
    frame.wait_for_selector(".tabs.main [data-value=run][aria-selected=true]")
    assert frame.input_value("#scalewatch-run") == "ladder/2M"


def test_everything_can_be_taken_away(zoo_board: Board, open_panel: Open) -> None:
    """PNG, SVG, CSV and JSON are files with content, named after the run."""
    panel = open_panel(zoo_board)
    window: dict[str, Any] = {"from": 100, "to": 300}
    frame = panel.open(panel="run", run="live", **window)
    panel.drawn()
    taken = {}
    for kind in ("PNG", "SVG", "CSV", "JSON"):
        with panel.page.expect_download() as download:
            frame.click(f".tools >> text={kind}")
        assert download.value.suggested_filename == f"live-run.{kind.lower()}"
        taken[kind] = Path(download.value.path()).read_bytes()

    assert taken["PNG"].startswith(b"\x89PNG")
    assert b"<svg" in taken["SVG"][:200]
    lines = taken["CSV"].decode().splitlines()
    assert len([line for line in lines if re.match(r"\d", line)]) == pytest.approx(201, abs=2)
    assert json.loads(taken["JSON"])
    assert DONE > 300
