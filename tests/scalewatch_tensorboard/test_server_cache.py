"""Replays that are kept: the same run again at once, and never anything but what was kept."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalewatch_tensorboard.runs import cache as cache_module
from scalewatch_tensorboard.runs.cache import Cache
from scalewatch_tensorboard.runs.logdirs import found_runs
from scalewatch_tensorboard.runs.run_state import RunState
from scalewatch_tensorboard.runs.source import open_source
from scalewatch_tensorboard.views.overview import page_of
from tests.scalewatch_tensorboard.logs import event_log, grow, losses_of


@pytest.fixture(autouse=True)
def short_runs_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of some hundred rows stands for a long one."""
    monkeypatch.setattr(cache_module, "LEAST_ROWS", 100)


def fresh(folder: Path) -> RunState:
    """The one run of a folder, not read yet."""
    (found,) = found_runs((("", folder),))
    state = RunState(found.name, open_source(found), None)
    state.reading.identity = state.origin.identity()
    return state


def read(state: RunState) -> RunState:
    """Read to the present end."""
    while state.advance(1.0):
        pass
    state.newest_look()
    return state


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A run with a spike, an hour old."""
    folder = tmp_path / "logs"
    path = event_log(folder / "run", losses_of(3_000, 1_500, 0, spike=True))
    os.utime(path, (1.7e9, 1.7e9))
    return folder


def test_what_is_kept_is_the_run(logs: Path, tmp_path: Path) -> None:
    """All that the panel shows of it is the same, without a row being watched."""
    cache = Cache(tmp_path / "cache")
    watched, kept = read(fresh(logs)), fresh(logs)
    assert cache.keep(watched)
    assert cache.load(kept)

    assert kept.reading.caught_up
    assert page_of(kept) == page_of(watched)
    for mine, other in zip(kept.columns(), watched.columns(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_kept_run_goes_on_where_it_was(logs: Path, tmp_path: Path) -> None:
    """A log that has grown since is watched from there on, and ends where watching it whole ends."""
    cache = Cache(tmp_path / "cache")
    assert cache.keep(read(fresh(logs)))
    grow(logs / "run", losses_of(3_000, 2_000, 0, spike=True)[1_500:], 1_501)
    kept = fresh(logs)
    assert cache.load(kept)
    read(kept)
    whole = read(fresh(logs))

    assert kept.tracker.monitor.state_dict() == whole.tracker.monitor.state_dict()
    assert kept.columns().steps.tolist() == list(range(1, 2_001))
    assert [f.message for f in kept.findings] == [f.message for f in whole.findings]


def test_a_log_that_was_written_over_is_watched_anew(logs: Path, tmp_path: Path) -> None:
    """Shorter, or of the same length at another time: what was kept is of another log."""
    cache = Cache(tmp_path / "cache")
    assert cache.keep(read(fresh(logs)))
    path = next((logs / "run").iterdir())
    os.utime(path, (1.8e9, 1.8e9))
    assert not cache.load(fresh(logs))
    path.write_bytes(path.read_bytes()[:-100])
    assert not cache.load(fresh(logs))


def _pickled() -> bytes:
    target = io.BytesIO()
    np.savez(target, meta=np.array([{"schema": 1}], dtype=object), steps=np.arange(3))
    return target.getvalue()


def _with_meta(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    def changed(good: bytes) -> bytes:
        with np.load(io.BytesIO(good), allow_pickle=False) as parts:
            arrays = {name: parts[name] for name in parts.files}
        meta = json.loads(arrays.pop("meta").tobytes())
        meta = change(meta) or meta
        target = io.BytesIO()
        np.savez(target, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8), **arrays)
        return target.getvalue()

    return changed


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda good: b"",
    "half": lambda good: good[: len(good) // 2],
    "a flipped byte in the middle": lambda good: good[:3_000] + bytes([good[3_000] ^ 1]) + good[3_001:],
    "text": lambda good: b"not a zip file",
    "a pickle": lambda good: _pickled(),
    "another version": _with_meta(lambda meta: meta.update(schema=99)),
    "no monitor": _with_meta(lambda meta: meta.pop("monitor") and None),
    "a monitor of another kind": _with_meta(lambda meta: meta.update(monitor={"version": 1})),
    "findings that are none": _with_meta(lambda meta: meta.update(findings=[{"type": "finding"}])),
    "a list": _with_meta(lambda meta: [meta]),
    "looks that are none": _with_meta(lambda meta: meta.update(looks=[[1]])),
    "traces that are none": _with_meta(lambda meta: meta.update(traces={"": 3})),
    "files that are none": _with_meta(lambda meta: meta.update(identity=[[1]])),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_file_that_is_damaged_or_foreign_is_as_good_as_none(
    logs: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    """The run is watched anew, and nothing of the file has come into it."""
    cache = Cache(tmp_path / "cache")
    whole = read(fresh(logs))
    assert cache.keep(whole)
    path = cache.path_of(whole)
    assert path is not None
    path.write_bytes(damage(path.read_bytes()))
    state = fresh(logs)

    assert not cache.load(state)
    assert page_of(read(state)) == page_of(whole)


def test_the_cache_is_bounded(tmp_path: Path) -> None:
    """The replay that was not asked for longest goes first, and other files of the folder are left alone."""
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "precious.npz").write_bytes(bytes(10_000))
    states = []
    for number in range(4):
        event_log(tmp_path / f"logs{number}" / "run", losses_of(3_000, 500, number))
        states.append(read(fresh(tmp_path / f"logs{number}")))
    whole = Cache(folder)
    assert whole.keep(states[0])
    one = whole.path_of(states[0])
    assert one is not None
    tight = Cache(folder, most_bytes=int(2.5 * one.stat().st_size))
    for number, state in enumerate(states):
        tight.keep(state)
        path = tight.path_of(state)
        assert path is not None
        os.utime(path, (1e9 + number, 1e9 + number))
    tight._make_room()

    assert [tight.load(fresh(tmp_path / f"logs{number}")) for number in range(4)] == [False, False, True, True]
    assert (folder / "precious.npz").exists()


def test_nothing_is_written_beside_the_runs(logs: Path, tmp_path: Path) -> None:
    """The folder of logs is as it was; the cache is its owner's alone; without one nothing is kept."""
    before = sorted(path for path in logs.rglob("*"))
    state = read(fresh(logs))
    assert Cache(tmp_path / "cache").keep(state)

    assert sorted(path for path in logs.rglob("*")) == before
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0
    assert Cache(None).keep(state) is False


def test_a_cache_that_cannot_be_written_is_no_fault(logs: Path, tmp_path: Path) -> None:
    """A file where the folder should be: the run is not kept, and that is all."""
    (tmp_path / "cache").write_text("")
    state = read(fresh(logs))

    assert Cache(tmp_path / "cache").keep(state) is False
