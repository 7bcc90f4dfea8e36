"""Folders of logs, a `tensorboard` over each, and Chromium: what the tests of the TensorBoard plugin share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scalewatch_tensorboard.browser import Board, Panel, open_memory, settled, tensorboard
from tests.scalewatch_tensorboard.logs import zoo


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A Chromium for all tests of a process: TensorBoard's own scripts are compiled once."""
    with open_memory() as memory:
        yield memory


@pytest.fixture(scope="session")
def zoo_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """A TensorBoard over one run of each kind, with a law."""
    folder = tmp_path_factory.mktemp("zoo")
    law = zoo(folder)
    with tensorboard(folder, tmp_path_factory.mktemp("cache"), "--scalewatch_law", str(law)) as board:
        settled(board, 8)
        yield board


@pytest.fixture
def shots() -> Path | None:
    """Where pictures go: the folder that SCALEWATCH_SHOTS names; without it there are none."""
    named = os.environ.get("SCALEWATCH_SHOTS")
    if named is None:
        return None
    Path(named).mkdir(parents=True, exist_ok=True)
    return Path(named)


@pytest.fixture
def open_panel(chromium: Any, shots: Path | None) -> Iterator[Callable[[Board], Panel]]:
    """Have a page look at a board; afterwards nothing may have been complained of."""
    panels: list[Panel] = []

    def opened(board: Board) -> Panel:
        page = chromium.new_page() if panels else chromium.pages[0]
        panels.append(Panel(page, board, shots))
        return panels[-1]

    yield opened
    for panel in panels:
        panel.hand_over()
    for page in chromium.pages[1:]:
        page.close()
    assert [trouble for panel in panels for trouble in panel.troubles] == []
