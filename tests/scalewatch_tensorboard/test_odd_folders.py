"""Folders that hold what no run is: each costs its own row at most, and is read as soon as it can be."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scalewatch.errors import LogError
from scalewatch_tensorboard.runs.ingest import Ingester
from scalewatch_tensorboard.runs.logdirs import Logdirs, found_runs
from scalewatch_tensorboard.runs.registry import RunRegistry
from scalewatch_tensorboard.runs.source import UnreadableRunError, open_source
from scalewatch_tensorboard.views.overview import row_of
from tests.logs.tensorboard_files import NAME
from tests.scalewatch_tensorboard.browser import tensorboard
from tests.scalewatch_tensorboard.http import ask, until
from tests.scalewatch_tensorboard.logs import event_log, losses_of


def dangling(path: Path) -> None:
    """A link whose file was moved away."""
    path.symlink_to(path.parent / "nowhere")


def circle(path: Path) -> None:
    """A link that leads to itself."""
    path.symlink_to(path)


def listening(path: Path) -> None:
    """A socket, as a program leaves it."""
    with socket.socket(socket.AF_UNIX) as made:
        before = os.getcwd()
        os.chdir(path.parent)  # a socket's name has room for 108 bytes
        try:
            made.bind(path.name)
        finally:
            os.chdir(before)


ODD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "dangling": (dangling, "is a link that leads nowhere"),
    "circle": (circle, "cannot be read (too many levels of symbolic links)"),
    "pipe": (os.mkfifo, "is a pipe"),
    "socket": (listening, "is a socket"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is a device"),
}


def odd_zoo(folder: Path) -> None:
    """A folder for each odd file, among two runs, one of which has a name that is no UTF-8."""
    for name, (make, _) in ODD.items():
        (folder / name).mkdir(parents=True)
        make(folder / name / NAME)
    (folder / "inside").mkdir()
    circle(folder / "inside" / "loop")
    event_log(folder / "inside" / "run", losses_of(200, 200, 0))
    event_log(Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9")), losses_of(200, 200, 1))


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_file_is_said_and_not_waited_for(tmp_path: Path, name: str) -> None:
    """Each kind of thing that is named like an event file, in words."""
    make, words = ODD[name]
    make(tmp_path / NAME)
    (found,) = found_runs((("", tmp_path),))

    with pytest.raises(UnreadableRunError) as refused:
        open_source(found)
    assert f"{NAME} {words}." == str(refused.value)


def test_a_run_that_is_deleted_before_it_is_opened_is_that_runs_trouble(tmp_path: Path) -> None:
    """Between the listing of a folder and its opening somebody may take it away."""
    event_log(tmp_path / "file", losses_of(200, 200, 0))
    event_log(tmp_path / "folder", losses_of(200, 200, 0))
    found = {one.name: one for one in found_runs((("", tmp_path),))}
    (tmp_path / "file" / NAME).unlink()
    shutil.rmtree(tmp_path / "folder")

    for name, words in {"file": "its files are gone", "folder": "no such file"}.items():
        with pytest.raises(LogError, match=words):
            open_source(found[name])


def test_an_odd_file_beside_a_good_one_is_a_note(tmp_path: Path) -> None:
    """The run is read, and what was left out is said."""
    event_log(tmp_path, losses_of(200, 200, 0))
    os.mkfifo(tmp_path / f"{NAME}.9")
    (found,) = found_runs((("", tmp_path),))
    source = open_source(found)

    assert 200 == len(list(source.rows()))
    assert [f"{NAME}.9 is a pipe"] == source.notes


def test_odd_folders_cost_their_own_rows_and_are_tried_again(tmp_path: Path) -> None:
    """The runs beside them are read, the reason of each stands in the table, and once there is a file, it is read."""
    odd_zoo(tmp_path / "logs")
    with tensorboard(tmp_path / "logs", tmp_path / "cache") as board:

        def rows() -> dict[str, Any]:
            return {row["name"]: row for row in ask(board.url, "runs").json["runs"]}

        until(lambda: {name for name, row in rows().items() if row["rows"] == 200} == {"inside/run", "caf\\xe9"})
        shown = until(lambda: ODD.keys() <= rows().keys() and rows())
        assert dict.fromkeys(ODD, ("failed", True)) == {
            name: (shown[name]["stage"], words in shown[name]["headline"]) for name, (_, words) in ODD.items()
        }
        refused = ask(board.url, "run", run="pipe")
        assert (404, True) == (refused.status, "is a pipe" in refused.json["error"])
        assert 200 == ask(board.url, "run", run="caf\\xe9").json["rows"]

        (tmp_path / "logs" / "pipe" / NAME).unlink()
        event_log(tmp_path / "logs" / "pipe", losses_of(100, 100, 0))
        until(lambda: rows()["pipe"]["rows"] == 100)


def test_a_fault_of_ours_is_one_runs_and_is_over_when_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug that one log brings out leaves the others, is told in that run's row, and is tried again."""
    monkeypatch.delenv("SCALEWATCH_STRICT", raising=False)
    monkeypatch.setattr("scalewatch_tensorboard.runs.ingest.SEARCH_SECONDS", 0.0)
    monkeypatch.setattr("scalewatch_tensorboard.runs.tries.RETRY_SECONDS", 0.0)
    for name in ("a", "b", "c"):
        event_log(tmp_path / name, losses_of(200, 200, 0))
    registry = RunRegistry(Logdirs(str(tmp_path), (("", tmp_path),), (), None, None))
    broken = {"b"}

    def fragile(state: Any) -> dict[str, Any]:
        if state.name in broken:
            raise IndexError("list index out of range")
        return row_of(state)

    reader = Ingester(registry, fragile, lambda: None)

    def read() -> tuple[list[str], dict[str, str]]:
        while reader.turn():
            pass
        return [state.name for state in registry.runs()], registry.unreadable()

    assert (["a", "c"], {"b": "IndexError: list index out of range"}) == read()
    broken.clear()
    until(lambda: read() == (["a", "b", "c"], {}))
