"""What holds for each chart: it builds, stays small, writes every format, and draws names as text."""

from __future__ import annotations

import functools
import json
import re
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vl_convert

from scalewatch import charts
from scalewatch.charts import save_chart
from scalewatch.charts.axes import ticks
from scalewatch.charts.theme import DARK, LIGHT
from scalewatch.errors import ConfigError
from tests.charts.gallery import CHARTS, HOSTILE, PLAIN

ROOT = Path(__file__).resolve().parents[2]
#: How a file of the room that is a chart ends: the function in it is called like what stands before.
CHART_SUFFIX = "_chart"
#: Letters of a chart's JSON at most: a page of one is opened at once, and a Slack message holds its PNG.
MOST_LETTERS = 700_000
#: Seconds of CPU in which a chart of 20,000 runs is built.
BUILD_SECONDS = 5.0

every_chart = pytest.mark.parametrize("name", sorted(CHARTS))
both_themes = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])


@functools.cache
def built(name: str, title: str = PLAIN, *, dark: bool = False) -> Any:
    """A chart of the gallery: what takes long is building it."""
    return CHARTS[name](title, dark=dark)


def test_the_table_holds_every_chart() -> None:
    """A file of the room that ends in `_chart` is a chart of its name, and none is left without the checks below."""
    found = (ROOT / "scalewatch" / "charts").glob(f"*{CHART_SUFFIX}.py")
    files = {path.stem.removesuffix(CHART_SUFFIX) for path in found}

    assert files == set(CHARTS)
    assert all(callable(getattr(charts, name)) for name in files)


@every_chart
@both_themes
def test_a_chart_is_small_and_in_its_colours(name: str, dark: bool) -> None:
    """However many rows it is given, and a page opens at once."""
    began = time.process_time()
    spec = built(name, dark=dark).to_dict()

    assert time.process_time() - began < BUILD_SECONDS
    assert len(json.dumps(spec)) < MOST_LETTERS
    assert spec["config"]["background"] == (DARK if dark else LIGHT).background
    other = LIGHT if dark else DARK
    own = json.dumps(spec)
    assert not [c for c in (other.ink, other.text, other.grid) if c in own]


def numbers(part: Any) -> Iterator[float]:
    if isinstance(part, float):
        yield part
    elif isinstance(part, dict):
        for value in part.values():
            yield from numbers(value)
    elif isinstance(part, list):
        for value in part:
            yield from numbers(value)


@every_chart
def test_a_chart_is_json_that_any_reader_takes(name: str, tmp_path: Path) -> None:
    """No NaN and no Infinity: browsers refuse them."""
    file = save_chart(built(name), tmp_path / "chart.json")
    spec = json.loads(file.read_text("utf-8"), parse_constant=lambda word: pytest.fail(word))

    assert all(abs(number) < 1e300 for number in numbers(spec))


@every_chart
def test_each_axis_is_drawn_once_and_says_what_it_is(name: str) -> None:
    """A layer with a scale of its own would put a second axis over the first. What has a unit says it."""
    vega = vl_convert.vegalite_to_vega(built(name).to_dict())
    groups = [vega, *(mark for mark in vega.get("marks", []) if mark.get("type") == "group")]

    for group in groups:
        labelled = [a for a in group.get("axes", []) if a.get("labels", True)]
        assert len(labelled) <= 2
        assert len({a["orient"] for a in labelled}) == len(labelled)
        titles = [a.get("title", "") for a in labelled]
        counted = [t for t in titles if t.startswith(("loss", "compute", "deviation", "observed")) and "= 1" not in t]
        # a slim panel has no room beside it, and says over itself what it shows
        assert all(title or group.get("title") for title in titles)
        assert all("[" in title for title in counted)


def test_a_long_headline_takes_a_second_line_and_then_ends() -> None:
    """It is neither cut in its first line nor wider than its chart."""
    words = "The loss of a very long name of a run " * 12
    head = CHARTS["ladder"](words).to_dict()["title"]["text"]

    assert 2 == len(head)
    assert head[-1].endswith("…")
    assert max(map(len, head)) <= 84


@every_chart
def test_a_chart_is_written_as_png_and_page(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in one file that needs no other."""
    monkeypatch.setattr("scalewatch.charts.save.PNG_SCALE", 0.5)  # a sixteenth of the pixels, and of the time
    chart = built(name)
    png, page = (save_chart(chart, tmp_path / f"chart.{ending}") for ending in ("png", "html"))

    assert png.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert not re.findall(r"<(?:script|link)[^>]+(?:src|href)=", page.read_text("utf-8"))


@every_chart
def test_a_dark_chart_is_written_as_svg(name: str, tmp_path: Path) -> None:
    """Well-formed, on its background, and nothing in it is at NaN."""
    text = save_chart(built(name, dark=True), tmp_path / "chart.svg").read_text("utf-8")

    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert DARK.background in text
    assert "NaN" not in re.sub(r"<text.*?</text>", "", text)


@every_chart
def test_a_hostile_name_is_text(name: str, tmp_path: Path) -> None:
    """A title, a legend or a run called like a script is drawn and not run."""
    chart = built(name, HOSTILE)
    page = save_chart(chart, tmp_path / "chart.html").read_text("utf-8")
    svg = save_chart(chart, tmp_path / "chart.svg").read_text("utf-8")

    assert "<script>alert" not in page
    assert "<script" not in svg
    words = "".join(ElementTree.fromstring(svg).itertext())
    assert "alert(1)" in words
    assert '"signal"' in words
    assert not set("\u202e\x07") & set(words)


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [
        *((10.0**d, 10.0 ** (d + e), True) for d in (-3, 0, 17) for e in (0.01, 0.3, 1, 2, 5, 12)),
        *((-6.0, 6.0, False), (0.0, 4e22, False), (0.46, 0.56, False), (1.99, 2.0, False)),
        *((2.0, 2.0 + 1e-9, True), (1e-30, 1e60, True)),
    ],
)
def test_an_axis_has_a_few_round_numbers(low: float, high: float, log: bool) -> None:
    """Neither none nor a hundred, rising, and all of them on the axis."""
    found = ticks(low, high, 7, log=log)

    assert 1 <= len(found) <= 8
    assert found == sorted(set(found))
    assert low - 1e-6 * abs(low) <= found[0]
    assert found[-1] <= high + 1e-6 * abs(high)


def test_nothing_to_draw_is_said_and_one_row_is_drawn(tmp_path: Path) -> None:
    """Of each chart that takes rows; the others say it in their own tests."""
    none, one = np.zeros(0), np.array([3e9])
    drawn: dict[str, Callable[[np.ndarray], Any]] = {
        "compute": lambda v: charts.loss_against_compute(v, 0 * v + 2.0, charts.Frame("t")),
        "residuals": lambda v: charts.residuals(v, v, v, 0 * v, charts.Frame("t"), scale_percent=1.0),
        "ladder": lambda v: charts.ladder(v, 0 * v + 2.0, charts.Frame("t"), target=charts.Target(7e9, 2.0, 1.9, 2.1)),
        "law": lambda v: charts.loss_against_law(v, 0 * v + 2.0, charts.Frame("t")),
        "isoflop": lambda v: charts.isoflop(v, 0 * v + 2.0, 6 * v, charts.Frame("t")),
    }
    for name, draw in drawn.items():
        text = save_chart(draw(one), tmp_path / f"{name}.svg").read_text("utf-8")
        assert "NaN" not in text
        for bad in (none, np.nan * one, -one):
            with pytest.raises(ConfigError, match="draw"):
                draw(bad)


def test_another_ending_is_refused(tmp_path: Path) -> None:
    """The message names those there are."""
    with pytest.raises(ConfigError, match=r"\.png, \.svg, \.html or \.json"):
        save_chart(CHARTS["ladder"](PLAIN), tmp_path / "chart.pdf")


def test_a_loss_whose_unit_nobody_knows_has_none_on_its_axis() -> None:
    """A squared error is in no nats; the frame says the unit where there is one."""
    step = np.arange(1, 200)
    drawn = [
        str(charts.loss_against_law(step, 3.0 * step**-0.2, charts.Frame("mse", unit=unit)).to_dict())
        + str(charts.run_panel(charts.RunRows(step, 3.0 * step**-0.2), charts.Frame("mse", unit=unit)).to_dict())
        for unit in ("", "bits/dim")
    ]

    assert "nats" not in drawn[0]
    assert 2 <= drawn[1].count("loss  [bits/dim]")
