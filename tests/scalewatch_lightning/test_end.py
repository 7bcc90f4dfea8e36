"""However a run ends, the verdict is told once, everything is on the disk, and nobody waits for us."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl

from scalewatch.journal import read_journal
from scalewatch_lightning import ScaleWatch
from tests import warm
from tests.scalewatch_lightning.conftest import TinyText, loader

NewTrainer = Callable[..., pl.Trainer]
ROOT = Path(__file__).resolve().parents[2]


def verdicts(folder: Path) -> list[dict[str, str]]:
    return [dict(r["rows"]) for r in read_journal(folder).others if r["type"] == "verdict"]


def test_a_run_that_ends_as_planned_says_so(
    new_trainer: NewTrainer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the terminal and in the journal, with what the watching cost."""
    new_trainer([ScaleWatch()]).fit(TinyText(), loader())

    [verdict] = verdicts(tmp_path / "scalewatch")
    assert (verdict["health"], verdict["steps"], verdict["ended"]) == (
        "over: healthy to its end",
        "20 of 20",
        "as planned",
    )
    assert " us a step (" in verdict["cost of watching"]
    shown = capsys.readouterr().out
    assert shown.count("│ health  ") == 1
    assert str(tmp_path)[:40] in shown
    assert read_journal(tmp_path / "scalewatch").segments[0].closing is not None


class Crashes(TinyText):
    def __init__(self, fault: BaseException) -> None:
        super().__init__()
        self.fault = fault

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        if self.batches_seen == 12:
            raise self.fault
        return super().training_step(batch, batch_idx)


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("fault", "passes", "ended"),
    [
        (Unspeakable(), Unspeakable, "crashed after step 12: Unspeakable"),
        (ValueError("bad\n\x1b[31mdata"), ValueError, "crashed after step 12: ValueError: bad\\n\\x1b[31mdata"),
        (KeyboardInterrupt(), SystemExit, "interrupted after step 12: KeyboardInterrupt"),
        (SystemExit(3), SystemExit, "crashed after step 12: SystemExit: 3"),
    ],
    ids=["unspeakable", "error", "ctrl-c", "exit"],
)
def test_a_run_that_crashes_says_so(
    new_trainer: NewTrainer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fault: BaseException,
    passes: type[BaseException],
    ended: str,
) -> None:
    """The fault of the training passes, and every step before it is in the journal."""
    monkeypatch.delenv("SCALEWATCH_STRICT")

    with pytest.raises(passes):
        new_trainer([ScaleWatch()]).fit(Crashes(fault), loader())

    [verdict] = verdicts(tmp_path / "scalewatch")
    assert verdict["ended"] == ended
    assert len(read_journal(tmp_path / "scalewatch").observations) == 12
    assert capsys.readouterr().out.count("│ ended") == 1


def test_a_disk_that_hangs_does_not_hold_the_end(
    new_trainer: NewTrainer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The wait has an end, and the table says that something is still being written."""
    from scalewatch.journal import JournalWriter

    write = JournalWriter.drain

    mended = threading.Event()

    def hangs(self: JournalWriter) -> None:
        mended.wait(60)
        write(self)

    monkeypatch.setattr(JournalWriter, "drain", hangs)
    trainer = new_trainer([ScaleWatch()])

    began = time.monotonic()
    trainer.fit(TinyText(), loader())
    took = time.monotonic() - began
    mended.set()

    assert took < 30
    words = capsys.readouterr().out.replace("│", " ").split()  # a long path goes over the end of its line
    assert "still being written" in " ".join(words)


SCRIPT = """
import sys, time
from tests.scalewatch_lightning.conftest import TinyText, loader
import pytorch_lightning as pl
from scalewatch_lightning import ScaleWatch

class Slow(TinyText):
    def training_step(self, batch, batch_idx):
        time.sleep(0.02)
        if self.batches_seen == 20:
            print("twenty", flush=True)
        return super().training_step(batch, batch_idx)

pl.Trainer(max_steps=100_000, accelerator="cpu", logger=False, enable_checkpointing=False, callbacks=[ScaleWatch()],
    enable_progress_bar=False, enable_model_summary=False, default_root_dir=sys.argv[1]).fit(Slow(), loader())
"""


def started(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'integrations'}"}
    command = [*warm.python(), "-c", SCRIPT, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_a_run_that_is_killed_leaves_its_journal(tmp_path: Path) -> None:
    """SIGTERM ends with a verdict; after kill -9 all but the last second is there."""
    kills = (signal.SIGTERM, signal.SIGKILL)
    processes = [started(tmp_path / kill.name) for kill in kills]
    for process in processes:
        assert process.stdout is not None
        assert "twenty\n" in process.stdout
    time.sleep(1.2)

    for process, kill in zip(processes, kills, strict=True):
        process.send_signal(kill)
    (out, err), _ = [process.communicate(timeout=240) for process in processes]

    for kill in kills:
        rows = read_journal(tmp_path / kill.name / "scalewatch").observations
        assert [row.step for row in rows] == list(range(1, len(rows) + 1))
        assert len(rows) >= 20
    [verdict] = verdicts(tmp_path / "SIGTERM" / "scalewatch")
    assert verdict["ended"].startswith("interrupted after step")
    assert verdict["ended"].endswith(": SIGTERM")
    assert "│ health  " in out
    assert "scalewatch: its part" not in err
    assert processes[1].returncode == -signal.SIGKILL


def test_runs_that_are_told_one_folder_have_a_journal_each(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """Without a logger there is one folder for all; a run that goes on returns to its own."""
    for learning_rate in (1e-2, 1e-3):
        trainer = new_trainer([ScaleWatch(quiet=True)])
        trainer.fit(TinyText(learning_rate), loader())
    trainer.save_checkpoint(tmp_path / "second.ckpt")
    again = new_trainer([ScaleWatch(quiet=True)], max_steps=30)
    again.fit(TinyText(1e-3), loader(), ckpt_path=tmp_path / "second.ckpt")

    first, second = (read_journal(tmp_path / name) for name in ("scalewatch", "scalewatch-2"))
    assert [row.step for row in first.observations] == list(range(1, 21))
    assert [row.step for row in second.observations] == list(range(1, 31))
    assert not (tmp_path / "scalewatch-3").exists()
