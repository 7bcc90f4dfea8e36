"""The page of `scalewatch report` as a browser shows it: on a phone, and with whatever font there is."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalewatch.cli.report_page import page as page_of
from scalewatch.offline.replayed import Settings, watch_all

ROWS, PLANNED = 700, 1_000

#: Messages of findings of which some letters lie beyond the edge of the window.
CUT_OFF = """() => [...document.querySelectorAll(".found td:last-child")]
  .filter((cell) => cell.offsetWidth < 200 || cell.getBoundingClientRect().right > document.documentElement.clientWidth)
  .map((cell) => cell.innerText)"""
#: Words of a picture, from left to right in each line, that begin before the one before them ends.
OVERLAPPING = """() => {
  const boxes = [...document.querySelectorAll("g.role-legend text")]
    .map((text) => [text.textContent, text.getBoundingClientRect()])
    .sort(([, a], [, b]) => a.top - b.top || a.left - b.left);
  const pairs = boxes.slice(1).map(([name, box], i) => [boxes[i], name, box]);
  return [boxes.length, pairs.filter(([[, before], , box]) => before.bottom > box.top && before.right > box.left)
    .map(([[other], name]) => `${other} | ${name}`)];
}"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run with a forecast whose loss jumps and stays."""
    folder = tmp_path_factory.mktemp("report")
    steps = np.arange(1, ROWS + 1)
    loss = 2.0 + 5.0 * steps**-0.4 + np.random.default_rng(0).normal(0.0, 0.02, ROWS) + 1.5 * (steps > 500)
    rates = 1e-3 * (0.55 + 0.45 * np.cos(np.pi * steps / PLANNED))
    columns = zip(steps.tolist(), loss.tolist(), rates.tolist(), strict=True)
    rows = [{"step": step, "loss": value, "lr": rate, "max_steps": PLANNED} for step, value, rate in columns]
    (folder / f"{'a_name_without_blanks_' * 4}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    settings = Settings()
    (folder / "page.html").write_text(page_of(watch_all(settings.open([folder]), settings, curve=True)))
    return folder / "page.html"


def test_a_phone_shows_every_message_of_a_report(report: Path, chromium: Any) -> None:
    """Nothing has to be scrolled for sideways to read what was found, in a usual and in a wide type."""
    page = chromium.new_page()
    page.set_viewport_size({"width": 360, "height": 700})
    page.goto(report.as_uri())
    seen = [page.evaluate(CUT_OFF)]
    page.evaluate("document.body.style.fontFamily = 'monospace'")
    seen.append(page.evaluate(CUT_OFF))
    messages = page.inner_text(".found")
    beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    page.close()

    assert [[], []] == seen
    assert 0 == beyond
    assert "loss rose from" in messages


@pytest.mark.parametrize("family", ["sans-serif", "monospace"])
def test_the_words_of_a_legend_stand_beside_each_other_in_any_font(report: Path, chromium: Any, family: str) -> None:
    """Also where the font is wider than the one that the picture was laid out with."""
    picture = re.search(r'<img src="data:image/svg\+xml;base64,([^"]+)"', report.read_text())
    assert picture is not None
    page = chromium.new_page()
    page.set_content(base64.b64decode(picture[1]).decode())
    page.add_style_tag(content=f"text {{ font-family: {family} }}")
    entries, overlapping = page.evaluate(OVERLAPPING)
    page.close()

    assert (entries >= 3, []) == (True, overlapping)
