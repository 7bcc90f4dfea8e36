"""A log that has grown is gone on with: new rows alone are read, and said is what a reading of the whole would say."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scalewatch.errors import PlainError
from scalewatch.logs.kept import from_kept
from scalewatch.offline.fleet import kept_runs
from scalewatch.offline.replayed import Settings
from tests.offline.test_fleet import look, rows_of
from tests.scalewatch_tensorboard.logs import event_log, grow, losses_of

pytest.importorskip("fsspec")
FORMS = ("csv", "jsonl", "log")
#: What is of a look, and not of the run.
OF_A_LOOK = {"look": 0, "written": 0, "signature": 0, "silent_seconds": 0, "standing": 0, "unit": 0}


@pytest.fixture(autouse=True)
def _short_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is known of short logs too, so that a test need not read long ones."""
    monkeypatch.setattr(kept_runs, "LEAST_BYTES", 1_000)


def written(form: str, rows: int, seed: int = 0) -> bytes:
    """A log that falls, spikes twice, says NaN, goes back once, and has a validation and a setting."""
    source, text, step = random.Random(seed), ["step,loss,lr,grad_norm,val_loss,seq_len,epoch\n"], 0
    text = text if form == "csv" else []
    for i in range(1, rows + 1):
        step += 1 if i != 2_450 else -90
        loss = 2.0 + 8.0 * (step + 10) ** -0.4 + source.gauss(0, 0.02) + 2.0 * (i in range(1_500, 1_504))
        said: dict[str, Any] = {"step": step, "loss": "nan" if i == 2_400 else round(loss, 5), "lr": 3e-4}
        said |= {"grad_norm": round(1.0 + source.gauss(0, 0.1), 4), "val_loss": loss if i % 100 == 0 else ""}
        said |= {"seq_len": 512 if i < 1_000 else 1_024, "epoch": round(step / 1_000, 2)}
        if form == "csv":
            text.append(",".join(map(str, said.values())) + "\n")
        elif form == "jsonl":
            text.append(json.dumps({name: value for name, value in said.items() if value != ""}) + "\n")
        else:
            text.append(f"[gpü] iter {step}/9000: loss {said['loss']}, lr 3e-4, grad_norm {said['grad_norm']}\n")
    return "".join(text).encode()


def told(fleet: Path) -> dict[str, Any]:
    """The one row of a fleet, without what is of a look."""
    (row,) = rows_of(fleet).values()
    return row | OF_A_LOOK


@pytest.mark.parametrize("form", FORMS)
def test_however_a_log_is_cut_the_last_look_says_what_one_look_at_all_of_it_says(tmp_path: Path, form: str) -> None:
    """Cut anywhere, also within a line or a letter; each look after the first reads new rows alone."""
    data, source = written(form, 3_000), random.Random(form)
    path = tmp_path / f"logs/run.{form}"
    path.parent.mkdir()
    cuts = sorted(source.randrange(int(0.72 * len(data)), len(data)) for _ in range(4))
    resumed = 0
    for cut in (*cuts, len(data)):
        path.write_bytes(data[:cut])
        resumed += look(tmp_path / "logs", tmp_path / "fleet", settings=Settings(total_steps=9_000)).resumed
    sizes = [file.stat().st_size for file in (tmp_path / "fleet/kept").glob("*/*")]
    look(tmp_path / "logs", tmp_path / "at once", settings=Settings(total_steps=9_000))

    assert told(tmp_path / "at once") == told(tmp_path / "fleet")
    assert 4 == resumed
    assert 1 == len(sizes)
    assert sizes[0] < 40_000


def test_event_files_are_gone_on_with_while_there_is_one(tmp_path: Path) -> None:
    """A second one, of a run that was started again, may repeat rows of the first: then both are read whole."""
    losses, run = losses_of(1_500, 800, 0), tmp_path / "logs/run"
    event_log(run, losses[:500])
    (run / "hparams.yaml").write_text("depth: 12\n")
    resumed = [look(tmp_path / "logs", tmp_path / "fleet").resumed]
    for first, last in ((500, 600), (600, 700)):
        grow(run, losses[first:last], first + 1)
        resumed.append(look(tmp_path / "logs", tmp_path / "fleet").resumed)
    look(tmp_path / "logs", tmp_path / "at once")
    grown = told(tmp_path / "at once") == told(tmp_path / "fleet")
    event_log(tmp_path / "second", losses[650:])
    (second,) = (tmp_path / "second").iterdir()
    second.rename(run / f"{second.name}.1")
    resumed.append(look(tmp_path / "logs", tmp_path / "fleet").resumed)
    look(tmp_path / "logs", tmp_path / "at once")

    assert grown
    assert [0, 1, 1, 0] == resumed
    assert told(tmp_path / "at once") == told(tmp_path / "fleet")


def shorter(data: bytes) -> bytes:
    return data[: len(data) * 3 // 4]


def begun_anew(data: bytes) -> bytes:
    return data.replace(b"\n1,", b"\n0,", 1) + b"2801,2.5,0.0003,1.0,,1024,2.8\n"


def another_before_the_end(data: bytes) -> bytes:
    return data[:-300] + data[-300:].replace(b"0.0003", b"0.0004") + b"2801,2.5,0.0003,1.0,,1024,2.8\n"


@pytest.mark.parametrize("change", [shorter, begun_anew, another_before_the_end])
def test_a_log_that_was_written_anew_is_read_from_its_start(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    """One that became shorter, whose beginning is another, or whose last rows are."""
    data = written("csv", 2_800)
    path = tmp_path / "logs/run.csv"
    path.parent.mkdir()
    path.write_bytes(data)
    look(tmp_path / "logs", tmp_path / "fleet")
    path.write_bytes(change(data))
    again = look(tmp_path / "logs", tmp_path / "fleet")
    look(tmp_path / "logs", tmp_path / "at once")

    assert (1, 0, 0) == (again.read, again.resumed, again.damaged)
    assert told(tmp_path / "at once") == told(tmp_path / "fleet")


def test_a_column_that_turns_up_near_the_beginning_has_the_log_read_from_its_start(tmp_path: Path) -> None:
    """Who opens the file then finds it among the first rows, and may take another column for the loss."""
    path = tmp_path / "logs/run.jsonl"
    path.parent.mkdir()
    path.write_bytes(written("jsonl", 2_800))
    look(tmp_path / "logs", tmp_path / "fleet")
    with path.open("a") as file:
        file.writelines(json.dumps({"step": step, "loss": 2.5, "tokens": 512 * step}) + "\n" for step in (2_801, 2_802))
    again = look(tmp_path / "logs", tmp_path / "fleet")
    look(tmp_path / "logs", tmp_path / "at once")

    assert (1, 0) == (again.read, again.resumed)
    assert told(tmp_path / "at once") == told(tmp_path / "fleet")


def test_what_is_damaged_is_dropped_and_counted(tmp_path: Path) -> None:
    """A byte that flipped, or half a file: the log is read from its start, and the next look goes on again."""
    data = written("csv", 3_000)
    path = tmp_path / "logs/run.csv"
    path.parent.mkdir()
    path.write_bytes(data[:-4_000])
    look(tmp_path / "logs", tmp_path / "fleet")
    (kept,) = (tmp_path / "fleet/kept").glob("*/*")
    kept.write_bytes(kept.read_bytes()[:5_000])
    path.write_bytes(data[:-2_000])
    damaged = look(tmp_path / "logs", tmp_path / "fleet")
    path.write_bytes(data)
    after = look(tmp_path / "logs", tmp_path / "fleet")
    look(tmp_path / "logs", tmp_path / "at once")

    assert (1, 0, 1) == (damaged.read, damaged.resumed, damaged.damaged)
    assert (1, 1, 0) == (after.read, after.resumed, after.damaged)
    assert told(tmp_path / "at once") == told(tmp_path / "fleet")


def kept_as(fleet: Path, change: Callable[[dict[str, Any]], str]) -> Path:
    """Change what is kept of the one run of a fleet, with a hash that fits; return the file."""
    (file,) = (fleet / "kept").glob("*/*")
    packed = zlib.compress(change(json.loads(zlib.decompress(file.read_bytes()[16:]))).encode())
    file.write_bytes(hashlib.blake2b(packed, digest_size=16).digest() + packed)
    return file


def of_other_code(said: dict[str, Any]) -> str:
    said["log"]["object"][1]["heading"]["object"][1].pop("delimiter")
    return json.dumps(said)


def without_an_end(said: dict[str, Any]) -> str:
    return "[" * 100_000


def that_takes_the_log_away(said: dict[str, Any]) -> str:
    return json.dumps(said).replace('{"method": [{"again": 0}, "note"]}', '{"method": [{"path": null}, "unlink"]}')


@pytest.mark.parametrize("change", [of_other_code, without_an_end, that_takes_the_log_away])
def test_whatever_is_kept_a_log_is_read(
    tmp_path: Path, change: Callable[[dict[str, Any]], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other code of this version kept, what is nested without an end, and what names a method that writes."""
    monkeypatch.delenv("SCALEWATCH_STRICT", raising=False)
    data = written("csv", 2_300)
    path = tmp_path / "logs/run.csv"
    path.parent.mkdir()
    path.write_bytes(data[:-400])
    look(tmp_path / "logs", tmp_path / "fleet")
    kept_as(tmp_path / "fleet", change)
    path.write_bytes(data + b"\xff\xff torn\n")
    damaged = look(tmp_path / "logs", tmp_path / "fleet")

    assert (1, 0, 1) == (damaged.read, damaged.resumed, damaged.damaged)
    assert path.exists()
    assert 2_300 == told(tmp_path / "fleet")["rows"]


def test_what_is_kept_and_cannot_be_read_stops_no_look(tmp_path: Path) -> None:
    """The log is read from its start, and what is kept of it is made anew."""
    path = tmp_path / "logs/run.csv"
    path.parent.mkdir()
    path.write_bytes(written("csv", 2_100))
    look(tmp_path / "logs", tmp_path / "fleet")
    (kept,) = (tmp_path / "fleet/kept").glob("*/*")
    kept.unlink()
    kept.symlink_to(kept.name)
    path.write_bytes(written("csv", 2_200))
    found = look(tmp_path / "logs", tmp_path / "fleet")

    assert (1, 0, 1) == (found.read, found.resumed, found.damaged)
    assert kept.is_file()


def test_nothing_is_kept_of_a_run_that_has_ended_or_is_gone(tmp_path: Path) -> None:
    """At its planned end, when its log is taken away, and a week after anybody wrote to it."""

    def kept(place: Path) -> int:
        return len(list(place.glob("kept/*/*")))

    for name in ("ended", "old", "gone", "over"):
        path = tmp_path / f"logs/{name}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(written("csv", 2_200 if name == "over" else 2_100))
    look(tmp_path / "logs", tmp_path / "fleet", settings=Settings(total_steps=2_200))
    before = kept(tmp_path / "fleet")
    (tmp_path / "logs/ended.csv").write_bytes(written("csv", 2_200))
    (tmp_path / "logs/gone.csv").unlink()
    os.utime(tmp_path / "logs/old.csv", (1e9, 1e9))
    look(tmp_path / "logs", tmp_path / "fleet", settings=Settings(total_steps=2_200))

    assert (3, 0) == (before, kept(tmp_path / "fleet"))


KILLED = """
import os, signal, sys
from scalewatch.offline.fleet import kept_runs, store
kept_runs.LEAST_BYTES = 1_000
store.FleetStore.add = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
from tests.offline.test_fleet import look
look(sys.argv[1], sys.argv[2])
"""


def test_a_look_that_is_killed_is_made_up_for_by_the_next(tmp_path: Path) -> None:
    """Killed when it kept what to go on with, and not yet the row."""
    data = written("csv", 3_000)
    path = tmp_path / "logs/run.csv"
    path.parent.mkdir()
    path.write_bytes(data[:-4_000])
    look(tmp_path / "logs", tmp_path / "fleet")
    path.write_bytes(data[:-2_000])
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "logs", tmp_path / "fleet"], check=False)
    (kept,) = (tmp_path / "fleet/kept").glob("*/*")
    moved, path_written = kept.stat().st_mtime_ns, path.stat().st_mtime_ns
    again = look(tmp_path / "logs", tmp_path / "fleet")
    look(tmp_path / "logs", tmp_path / "at once")

    assert -signal.SIGKILL == killed.returncode
    assert moved > path_written
    assert (1, 1) == (again.read, again.resumed)
    assert told(tmp_path / "at once") == told(tmp_path / "fleet")


@pytest.mark.parametrize("kind", ["U99999999", "(99999999,)f8", "V99999999", "O"])
def test_an_array_that_was_kept_takes_no_more_memory_than_its_numbers(kind: str, tmp_path: Path) -> None:
    """A kind of array that is larger than its numbers, or holds none, is refused."""
    assert [1.5, 2.5] == from_kept({"array": ["<f8", [1.5, 2.5]]}, tmp_path).tolist()
    with pytest.raises(PlainError, match="no kind of number"):
        from_kept({"array": [kind, ["1"]]}, tmp_path)
