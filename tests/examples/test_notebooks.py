"""The notebooks of examples/ run from top to bottom, and what they end their cells with is shown as a card."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jupyter and IPython write into no home but this one; no kernel is asked for over the network."""
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent))


def shown(cell: Any) -> list[str]:
    return [output["data"]["text/html"] for output in cell.get("outputs", []) if "text/html" in output.get("data", {})]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_its_cards(path: Path, tmp_path: Path) -> None:
    """No cell fails; every card holds its picture and no script."""
    book = nbformat.read(path, as_version=4)
    NotebookClient(book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()

    cards = [html for cell in book.cells if cell.cell_type == "code" for html in shown(cell)]
    pictures = [html for html in cards if "<svg" in html]
    assert len(pictures) >= 3
    assert not [html for html in cards if re.search(r"<script|No picture|javascript:", html)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_what_it_printed(path: Path) -> None:
    """What a cell shows is drawn anew by who runs it, and no picture of an older program stands in the repository."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]

    assert [] == [cell.source for cell in cells if cell.outputs or cell.execution_count]


def test_there_are_notebooks() -> None:
    """One about a log, one about laws."""
    assert {"fit_a_law", "read_a_log"} == {path.stem for path in NOTEBOOKS}
