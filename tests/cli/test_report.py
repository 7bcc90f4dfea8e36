"""`scalewatch report`: a page that stands by itself, and in which nothing out of a log can do harm."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

STEPS = 400
HARM = "<script>alert(1)</script>&\"'"


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in ("meta", "img", "source", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data


def write(path: Path, change: Callable[[np.ndarray], np.ndarray] = lambda loss: loss, column: str = "loss") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    steps = np.arange(1, STEPS + 1)
    made = change((2.0 + 4.0 * steps**-0.4) * np.exp(0.01 * np.random.default_rng(0).standard_normal(STEPS)))
    path.write_text(f"step,{column}\n" + "".join(f"{i},{loss}\n" for i, loss in enumerate(made, 1)))
    return path


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """One healthy run and one that became NaN."""
    write(tmp_path / "runs" / "fine.csv")
    write(tmp_path / "runs" / "lost.csv", lambda loss: np.where(np.arange(STEPS) < 300, loss, np.nan))
    return tmp_path / "runs"


def test_a_folder_gives_one_page_with_a_table_and_a_section_each(runs: Path, scalewatch: Callable[..., Any]) -> None:
    """Worst first, each with its verdict, findings, advice and a picture for light and for dark."""
    out = runs.parent / "pages" / "report.html"

    said = scalewatch("report", runs, "-o", out, "--total-steps", 500)
    page = Page(out.read_text())

    assert 0 == said.code, said.err
    assert "2 runs, 1 with findings" in said.out
    assert [] == page.open
    assert page.text.index("lost") < page.text.index("fine")
    for words in ("LOST: non-finite loss", "loss is nan at step 301", "What to do", "healthy", "400 rows of"):
        assert words in page.text
    assert 2 == page.tags.count("img") == page.tags.count("source")


def test_the_page_asks_nobody_for_anything_and_runs_nothing(runs: Path, scalewatch: Callable[..., Any]) -> None:
    """No script, no address but its own parts and the pictures in it, and a policy that says so."""
    out = runs.parent / "report.html"
    scalewatch("report", runs, "-o", out)
    text = out.read_text()
    page = Page(text)

    assert "script" not in page.tags
    assert all(link.startswith(("#run-", "data:image/svg+xml;base64,")) for link in page.links)
    assert "default-src 'none'" in text
    for picture in re.findall(r"base64,([A-Za-z0-9+/=]+)", text):
        drawn = base64.b64decode(picture).decode()
        assert drawn.startswith("<svg")
        assert "<script" not in drawn


def test_what_stands_in_a_log_is_text(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """Names of runs and of columns are escaped wherever they are shown."""
    log = tmp_path / "a.jsonl"
    name = "loss " + HARM.replace('"', "")
    rows = [f'{{"step": {i}, "{name}": {3 + 0.01 * (i % 5)}}}' for i in range(1, 200)]
    log.write_text("\n".join(rows) + "\n")
    out = tmp_path / "report.html"

    said = scalewatch("report", log, "-o", out, "--name", HARM, "--column", f"loss={name}")

    assert 0 == said.code, said.err
    assert "<script>alert" not in out.read_text()
    page = Page(out.read_text())
    assert "script" not in page.tags
    assert HARM in page.text


def test_a_run_that_cannot_be_drawn_still_has_its_page(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """Nothing but NaN: findings, and a line where the picture would be."""
    log = write(tmp_path / "nan.csv", lambda loss: loss * np.nan)

    assert 0 == scalewatch("report", log, "-o", tmp_path / "report.html").code
    assert "too few losses to draw" in (tmp_path / "report.html").read_text()


def test_what_cannot_be_read_or_written_is_one_line(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """No log, no page of that ending, no place for it."""
    log = write(tmp_path / "a.csv")
    for arguments in (
        (tmp_path / "nowhere",),
        (log, "-o", tmp_path / "page.pdf"),
        (log, "-o", log / "page.html"),
    ):
        said = scalewatch("report", *arguments)
        assert 2 == said.code
        assert said.err.startswith("scalewatch: ")


def test_notes_are_folded_below_what_paged(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """Sixty bad batches are one line to open; the spike among them stands in the table."""

    def troubled(loss: np.ndarray) -> np.ndarray:
        made = loss.copy()
        made[100:380:10] += 1.0
        made[250:280] += 3.0
        return made

    log = write(tmp_path / "noisy.csv", troubled)
    assert scalewatch("report", log, "-o", tmp_path / "page.html").code == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    before, _, after = page.partition("<details>")

    assert "spike" in before.rpartition("Findings")[2]
    assert re.search(r"<summary>Notes: .*\d+ x bad batch", after)
