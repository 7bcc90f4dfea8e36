"""Every panel, in both themes, as a person sees it: drawn, without a complaint of the browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import scalewatch_tensorboard
from tests.scalewatch_tensorboard.browser import Board, Panel

STATIC = Path(scalewatch_tensorboard.__file__).parent / "static"
SCALING = ("isoflop", "isoloss", "frontier", "ladder", "collapse")
#: Words that each panel must show of the run `live`.
SAYS = {
    "overview": ("live", "Recovered", "1,500 of 3,000"),
    "run": ("Incidents", "Spike"),
    "health": ("Detectors", "Quiet"),
    "forecast": ("Where it will end", "at step 3,000", "as planned"),
    "scaling": ("IsoFLOP", "Collapse"),
    "advice": ("Do this", "What was advised before"),
}
CHARTED = ("run", "health", "forecast", "scaling")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_each_panel_shows_what_it_is_for(zoo_board: Board, open_panel: Callable[[Board], Panel], dark: bool) -> None:
    """Each panel stands in each theme, says its words, and draws its charts; tabs are reached by arrow keys."""
    panel = open_panel(zoo_board)
    theme = "dark" if dark else "light"
    frame = panel.open(dark=dark, panel="overview", run="live")
    missing = []
    for name, words in SAYS.items():
        frame.wait_for_selector(f".tabs.main [data-value={name}][aria-selected=true]")
        frame.wait_for_function("word => document.body.innerText.includes(word)", arg=words[-1])
        if name in CHARTED:
            panel.drawn()
        panel.shot(f"{name}_{theme}")
        text = frame.inner_text("body")
        missing += [f"{name}: {word}" for word in words if word not in text]
        missing += [f"{name}: a chart" for _ in frame.query_selector_all(".chart .empty")]
        frame.focus(".tabs.main [aria-selected=true]")
        panel.page.keyboard.press("ArrowRight")

    assert missing == []
    assert frame.evaluate("document.documentElement.dataset.theme") == theme


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_each_scaling_chart_is_drawn(zoo_board: Board, open_panel: Callable[[Board], Panel], dark: bool) -> None:
    """The five charts of the scaling panel are reached by the arrow keys, and each is drawn."""
    panel = open_panel(zoo_board)
    frame = panel.open(dark=dark, panel="scaling", run="live", scaling="isoflop")
    seen = []
    for name in SCALING:
        frame.wait_for_selector(f".tabs.sub [data-value={name}][aria-selected=true]")
        panel.drawn()
        seen.append("drawn" if frame.query_selector(".stage canvas") else frame.inner_text(".stage .empty"))
        panel.shot(f"scaling_{name}_{'dark' if dark else 'light'}")
        frame.focus(".tabs.sub [aria-selected=true]")
        panel.page.keyboard.press("ArrowRight")

    assert seen == ["drawn"] * len(SCALING)


TYPE = """([family, size]) => {
  const style = document.createElement("style");
  style.textContent = `html { font-size: ${size}px } body, body * { font-family: ${family} !important }`;
  document.head.append(style);
}"""
#: What is wider than the room that it has: the page, and the table of runs.
TOO_WIDE = """() => [document.documentElement, document.querySelector(".runs")?.parentElement]
  .filter((room) => room && room.scrollWidth > room.clientWidth + 1).map((room) => room.className || "page")"""

#: Columns of the table of runs whose cells are not seen.
HIDDEN = """() => [...document.querySelectorAll(".runs tbody tr:first-child td")]
  .filter((cell) => cell.offsetWidth === 0).map((cell) => cell.className)"""


@pytest.mark.parametrize(("family", "size"), [("sans-serif", 16), ("monospace", 20), ("serif", 24)])
def test_a_narrow_window_shows_everything_in_any_type(
    zoo_board: Board, open_panel: Callable[[Board], Panel], family: str, size: int
) -> None:
    """In a usual, a wide and a large type nothing has to be scrolled for sideways, and the overview drops no number."""
    from playwright.sync_api import TimeoutError

    panel = open_panel(zoo_board)
    frame = panel.open(panel="overview", run="live")
    frame.evaluate(TYPE, [family, size])
    too_wide, widths = [], [1_100, 800, 500]
    for name, words in SAYS.items():
        frame.click(f".tabs.main [data-value={name}]")
        frame.wait_for_function("word => document.body.innerText.includes(word)", arg=words[-1])
        if name in CHARTED:
            panel.drawn()
        for width in widths:
            panel.page.set_viewport_size({"width": width, "height": 900})
            frame.wait_for_function("width => document.documentElement.clientWidth <= width", arg=width)
            with suppress(TimeoutError):  # a chart is drawn anew when the window has stood still
                frame.wait_for_function(f"() => ({TOO_WIDE})().length === 0", timeout=5_000)
            too_wide += [f"{name} at {width}: {what}" for what in frame.evaluate(TOO_WIDE)]
        if name == "overview":
            hidden = frame.evaluate(HIDDEN)
        widths.reverse()  # from here back again: each size costs a drawing of its own

    assert [] == too_wide
    assert [] == hidden


def test_a_toggled_theme_is_followed_at_once(zoo_board: Board, open_panel: Callable[[Board], Panel]) -> None:
    """Somebody switches TensorBoard to dark: the page and its chart follow without a reload."""
    panel = open_panel(zoo_board)
    frame = panel.open(panel="run", run="live")
    panel.drawn()

    panel.page.evaluate("document.body.classList.add('dark-mode')")
    frame.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    panel.page.wait_for_timeout(100)
    panel.drawn()
    panel.leave()  # what is light by its address is dark now

    assert any("dark=1" in address for address in panel.asked if address.startswith("chart"))


def test_a_chart_has_words_for_those_who_do_not_see_it(zoo_board: Board, open_panel: Callable[[Board], Panel]) -> None:
    """The drawing is one image to a screen reader, with the numbers that matter in its name; tables have headers."""
    panel = open_panel(zoo_board)
    frame = panel.open(panel="run", run="live")
    panel.drawn()

    told = frame.get_attribute(".stage[role=img]", "aria-label")
    assert "forecast now" in panel.words()
    assert re.search(r"\d\.\d{2}", told), told
    assert frame.get_attribute("[role=tabpanel]", "aria-labelledby") == frame.get_attribute(
        ".tabs.main [aria-selected=true]", "id"
    )
    assert frame.query_selector("[aria-live=polite]") is not None


# --- the files themselves -------------------------------------------------------------------------


def sources() -> list[Path]:
    return sorted(path for path in STATIC.iterdir() if path.suffix in (".js", ".css"))


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.name)
def test_no_text_can_become_markup_or_code(path: Path) -> None:
    """Nothing in the front end writes HTML, runs text, or has a handler in markup."""
    source = path.read_text(encoding="utf-8")
    forbidden = (
        *("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "createContextualFragment"),
        *("srcdoc", "javascript:", "new Function", "importScripts"),
    )

    assert [word for word in forbidden if word in source] == []
    assert re.findall(r"\beval\s*\(|\bset(?:Timeout|Interval)\s*\(\s*[\"'`]|\bon[a-z]+\s*=\s*[\"']", source) == []


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.name)
def test_no_file_leads_outside_and_none_is_long(path: Path) -> None:
    """No address of another host is in the front end but the name of the SVG format; files are short enough to read."""
    source = path.read_text(encoding="utf-8")
    outside = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"'`]*", source)

    assert [address for address in outside if address != "http://www.w3.org/2000/svg"] == []
    assert len(source.splitlines()) < (600 if path.suffix == ".css" else 400)


def test_every_module_is_fetched_at_once() -> None:
    """The list of modules in index.js is the folder: one that is missing there costs a round trip more."""
    index = (STATIC / "index.js").read_text(encoding="utf-8")
    listed = re.findall(r'"([a-z_]+)"', index.partition("MODULES = [")[2].partition("]")[0])

    assert listed == sorted(path.stem for path in STATIC.glob("*.js") if path.stem not in ("index", "library"))


def luminance(colour: str) -> float:
    """Relative luminance of a colour, WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast of two colours, WCAG 2.2: 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


WORDS_ON = [
    *((words, ground) for words in ("ink", "text", "muted", "accent") for ground in ("page", "surface", "raised")),
    *(("good", "good-soft"), ("past", "past-soft"), ("bad", "bad-soft"), ("lost", "lost-soft")),
    *(
        ("on-accent", "accent"),
        ("ink", "soft"),
        ("text", "soft"),
        ("bad", "surface"),
        ("past", "surface"),
        ("good", "surface"),
    ),
]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_and_edges_can_be_read(theme: str) -> None:
    """Words reach 4.5 to 1 on every ground that they stand on, edges of controls 3 to 1 (WCAG 2.2 AA)."""
    css = (STATIC / "style.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root[^{]*\{([^}]*)\}", css)
    colours = dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-f]{6})", blocks[0 if theme == "light" else 1]))

    low = {f"{w} on {g}": round(contrast(colours[w], colours[g]), 2) for w, g in WORDS_ON}
    assert {pair: value for pair, value in low.items() if value < 4.5} == {}
    edges = {ground: contrast(colours["edge"], colours[ground]) for ground in ("page", "surface")}
    assert {ground: value for ground, value in edges.items() if value < 3.0} == {}
