"""Notebooks, pages, arrays: documents that hold a curve and are no log; and those that are not opened."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scalewatch.logs import open_logs

LOSSES = [round(3.0 + 2.0 * 0.95**i, 4) for i in range(40)]
TABLE = pd.DataFrame({"Step": range(10, 410, 10), "Training Loss": LOSSES}).to_html(index=False)
PRINTED = [f"Epoch {i + 1}: train loss {x}\n" for i, x in enumerate(LOSSES)]


def notebook(path: Path, *outputs: dict[str, Any]) -> None:
    cells = [{"cell_type": "markdown", "source": ["# Train"]}, {"cell_type": "code", "outputs": list(outputs)}]
    path.write_text(json.dumps({"cells": cells, "nbformat": 4}))


def notebook_that_printed(path: Path) -> None:
    notebook(path, {"output_type": "stream", "name": "stdout", "text": PRINTED})


def notebook_that_showed_a_table(path: Path) -> None:
    data = {"text/html": ["<div><progress></progress> [400/400 01:00]</div>\n", TABLE], "text/plain": ["<HTML>"]}
    notebook(path, {"output_type": "display_data", "data": data})


def page(path: Path) -> None:
    path.write_text(f"<html><head><title>loss 3.0</title></head><body><h1>Run</h1>{TABLE}</body></html>")


def page_of_a_notebook(path: Path) -> None:
    path.write_text(f"<html><body><pre>{''.join(PRINTED)}</pre></body></html>")


def page_with_much_that_is_not_closed(path: Path) -> None:
    inside = "<head><style>p > a {loss: 1}</style><body><script>if (loss < 3) x = '<pre>'</SCRIPT><a title='x>y'>"
    path.write_text(f"<!-- loss 9 --><html>{inside}<pre>{''.join(PRINTED)}</pre>{'<a b=' * 999}{'<!-- loss 7' * 999}")


def array(path: Path) -> None:
    np.save(path, np.array(LOSSES))


def arrays(path: Path) -> None:
    np.savez(path, step=np.arange(10, 410, 10), loss=np.array(LOSSES), names=np.array(["a"]))


def feather(path: Path) -> None:
    pd.DataFrame({"step": range(10, 410, 10), "loss": LOSSES}).to_feather(path)


@pytest.mark.parametrize(
    ("name", "make", "last"),
    [
        ("train.ipynb", notebook_that_printed, 40),
        ("train.ipynb", notebook_that_showed_a_table, 400),
        ("report.html", page, 400),
        ("train.html", page_of_a_notebook, 40),
        ("cut.html", page_with_much_that_is_not_closed, 40),
        ("train_loss.npy", array, 40),
        ("history.npz", arrays, 400),
        ("curve.feather", feather, 400),
    ],
)
def test_the_curve_in_a_document_is_read(name: str, make: Callable[[Path], None], last: int, tmp_path: Path) -> None:
    """What a notebook printed or showed, the table of a page, an array: each loss, and its step."""
    make(tmp_path / name)

    found = open_logs([tmp_path / name])

    assert [] == found.unreadable
    (log,) = found.logs
    rows = list(log.rows())
    assert pytest.approx(LOSSES) == [row.loss for row in rows]
    assert last == rows[-1].step
    assert log.name in (Path(name).stem, tmp_path.name)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("history.pkl", b"\x80\x04", "pickle"),
        ("losses.xlsx", b"PK\x03\x04", "save it as CSV"),
        ("half.ipynb", b'{"cells": [', "cannot be read as .ipynb"),
        ("other.ipynb", b"[1, 2]", "cannot be read as .ipynb"),
        ("empty.npy", b"", "cannot be read as .npy"),
        ("page.html", b"<html><body>Welcome</body></html>", "page"),
    ],
)
def test_a_document_that_is_not_read_says_why(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    """A pickle is never loaded, a damaged document is a sentence, a page without a loss is none."""
    (tmp_path / name).write_bytes(content)

    found = open_logs([tmp_path / name])

    assert [] == found.logs
    assert says in found.unreadable[0].reason
    assert found.unreadable[0].reason.startswith(str(tmp_path / name))
