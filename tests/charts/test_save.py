"""A chart becomes a file that needs nothing else, and can do nothing but show it."""

from __future__ import annotations

import html
import json
import re
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from scalewatch.charts import Frame, check_suffix, loss_against_law, save_chart
from scalewatch.charts.theme import DARK
from scalewatch.errors import ConfigError

TITLE = '"><img src=x onerror=alert(1)></script><script>alert(2)</script> <!-- & &lt;'


@pytest.fixture(scope="module")
def chart() -> Any:
    """A small chart of a run with a hostile name."""
    steps = np.arange(1, 301)
    return loss_against_law(steps, 2.0 + 3.0 * steps**-0.3, Frame(TITLE, [TITLE]))


def saved(chart: Any, path: Path) -> bytes:
    assert path == save_chart(chart, path)
    return path.read_bytes()


def test_a_png_is_one(chart: Any, tmp_path: Path) -> None:
    """With twice the pixels of the chart's size, so that it is sharp."""
    data = saved(chart, tmp_path / "run.png")
    width, height = struct.unpack(">II", data[16:24])

    assert b"\x89PNG\r\n\x1a\n" == data[:8]
    assert width > 1_200
    assert height > 400


def test_an_svg_is_one_and_its_title_is_text(chart: Any, tmp_path: Path) -> None:
    """It parses, holds no script, and the name stands in it as it is."""
    root = ElementTree.fromstring(saved(chart, tmp_path / "run.svg"))
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    texts = ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("text")]

    assert "svg" in names
    assert not names & {"script", "img", "foreignObject"}
    assert TITLE in texts


def test_json_is_the_chart(chart: Any, tmp_path: Path) -> None:
    """Strict JSON for any program that reads Vega-Lite."""
    made = json.loads(saved(chart, tmp_path / "run.json"), parse_constant=pytest.fail)

    assert "vega-lite" in made["$schema"]
    assert TITLE == made["title"]["text"]


@pytest.fixture(scope="module")
def page(chart: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same as one HTML page."""
    return saved(chart, tmp_path_factory.mktemp("page") / "run.html").decode("utf-8")


def without_scripts(page: str) -> str:
    return re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL)


def test_a_page_loads_nothing(page: str) -> None:
    """No script, style, picture or frame from anywhere: it works without a network."""
    assert [] == re.findall(r"<script\b[^>]*\bsrc\b[^>]*>", page)
    assert [] == re.findall(r"<(?:link|img|iframe|source|object|embed)\b", without_scripts(page))
    assert "@import" not in without_scripts(page)
    assert len(page) > 300_000  # Vega itself is in it


def test_a_title_cannot_leave_its_place_in_a_page(page: str) -> None:
    """As many script elements as a page needs, and a name of tags begins none: the browser sees the literal text."""
    scripts = re.findall(r"<script\b.*?</script>", page, flags=re.DOTALL)

    assert page.count("<script") == page.count("</script>") == len(scripts) == 2
    head = re.search(r"<title>(.*?)</title>", without_scripts(page))
    assert head is not None
    assert html.escape(TITLE) == head[1]
    assert "alert" not in without_scripts(page).replace(head[0], "")
    assert "<!-- &" not in page
    start = scripts[1].index("const spec = ") + len("const spec = ")
    made, _ = json.JSONDecoder().raw_decode(scripts[1][start:])
    assert TITLE == made["title"]["text"]
    assert [TITLE] == made["title"]["subtitle"]


def test_a_page_is_called_like_its_chart_and_is_as_dark(tmp_path: Path) -> None:
    """A tab among forty is found by its name, and no white frame stands about a dark chart."""
    dark = loss_against_law([1, 2, 3], [3.0, 2.5, 2.2], Frame("<b>run</b> & co", dark=True))
    text = saved(dark, tmp_path / "run.html").decode("utf-8")

    assert "<title>&lt;b&gt;run&lt;/b&gt; &amp; co</title>" in text
    assert f"body {{ background: {DARK.background}; }}" in text


def test_a_browser_is_told_to_ask_nobody(page: str) -> None:
    """By the page's own policy, and the menu beside the chart has no editor on another site."""
    spec = page[page.index("const spec = ") :]

    assert "Content-Security-Policy\" content=\"default-src 'none';" in page
    assert '"editor":false' in spec
    assert '"export":true' in spec


@pytest.mark.parametrize("name", ["x.pdf", "x", "", "x.jpg", "x\x07.pdf"])
def test_an_ending_can_be_checked_before_there_is_a_chart(name: str) -> None:
    """So that nobody waits for a fit that cannot be drawn; the message is text only."""
    with pytest.raises(ConfigError, match=r"\.png, \.svg, \.html or \.json") as refused:
        check_suffix(name)

    assert str(refused.value).isprintable()
    assert ".svg" == check_suffix("a.b/RUN.SVG")


@pytest.mark.parametrize("name", ["run", "run.pdf", "run.png.exe", ".png", "run.PNG.txt"])
def test_another_ending_is_a_clear_error_and_makes_nothing(chart: Any, tmp_path: Path, name: str) -> None:
    """The four that can be written are named; no file and no folder is left behind."""
    with pytest.raises(ConfigError, match=r"\.png, \.svg, \.html or \.json"):
        save_chart(chart, tmp_path / "new" / name)

    assert [] == list(tmp_path.iterdir())


def test_the_ending_may_be_in_capitals_and_the_folder_new(chart: Any, tmp_path: Path) -> None:
    """People write what they write."""
    assert saved(chart, tmp_path / "a" / "b" / "run.PNG")


def test_without_the_extra_the_error_names_it(chart: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A core install has no renderer."""
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)

    with pytest.raises(ConfigError, match=r"pip install 'scalewatch\[charts\]'"):
        save_chart(chart, tmp_path / "run.png")
