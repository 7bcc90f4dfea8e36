"""Who can use the panel: axe-core over each panel in both themes, and what it cannot see."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scalewatch.charts.theme import contrast
from tests.scalewatch_tensorboard.browser import Board, Panel

Open = Callable[[Board], Panel]

PANELS = ("overview", "run", "health", "forecast", "scaling", "advice")
#: All rules of axe-core, and of those still on trial the one about names that are seen and not said.
OPTIONS = {"resultTypes": ["violations"], "rules": {"label-content-name-mismatch": {"enabled": True}}}
#: How dark or light a colour is in the order red, green, blue: as the style sheet has it, "rgb(0, 98, 155)".
COLOURS = """selector => {
  const seen = getComputedStyle(document.querySelector(selector));
  return [seen.color, seen.backgroundColor].map((each) => each.match(/\\d+/g).slice(0, 3).map(Number));
}"""


def axe_source() -> str:
    """axe-core as the package of its name ships it."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("needs axe-core (pip install axe-playwright-python)")
    return Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8")


def complaints(frame: Any, name: str) -> list[str]:
    """What axe-core finds on what is seen now, a line each."""
    found = frame.evaluate("options => axe.run(document, options)", OPTIONS)["violations"]
    return [f"{name}: {each['impact']} {each['id']} {each['nodes'][0]['target']}" for each in found]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_on_any_panel_keeps_people_out(zoo_board: Board, open_panel: Open, dark: bool) -> None:
    """Names, roles, landmarks, headings and contrasts are as axe-core wants them, of whatever weight."""
    panel = open_panel(zoo_board)
    frame = panel.open(dark=dark, panel=PANELS[0], run="live")
    frame.evaluate(axe_source())
    found = []
    for name in PANELS:
        frame.click(f".tabs.main [data-value={name}]")
        if name in PANELS[1:5]:
            panel.drawn()
        frame.wait_for_function("() => document.querySelector('.panel').innerText.length > 40")
        found += complaints(frame, name)

    assert [] == found


def test_a_chosen_button_can_be_read_while_it_is_pointed_at(zoo_board: Board, open_panel: Open) -> None:
    """Its words keep a contrast of 4.5 to 1 under the pointer, in both themes."""
    panel = open_panel(zoo_board)
    low = {}
    for dark in (False, True):
        frame = panel.open(dark=dark, panel="run", run="live")
        chosen = ".segment input:checked + span"
        frame.hover(".segment:has(input:checked + span)")
        words, ground = ("#" + "".join(f"{part:02x}" for part in each) for each in frame.evaluate(COLOURS, chosen))
        low[dark] = contrast(words, ground)

    assert min(low.values()) >= 4.5, low
