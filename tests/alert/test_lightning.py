"""`ScaleWatch(alerts=...)`: from a NaN in training to the message, and what a run with a dead endpoint pays."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger

from scalewatch.alert import Notification, Receiver, Rules
from scalewatch.errors import ConfigError
from scalewatch.journal import read_journal
from scalewatch_lightning import ScaleWatch
from tests import warm
from tests.alert.fake_server import UNHELD_SECONDS, FakeServer
from tests.house import ROOT
from tests.ports import free_port
from tests.scalewatch_lightning.conftest import TinyText, loader
from tests.scalewatch_lightning.conftest import lightning_is_quiet as lightning_is_quiet
from tests.scalewatch_lightning.conftest import new_trainer as new_trainer

NewTrainer = Callable[..., pl.Trainer]
RULES = '[[route]]\nreceivers = ["webhook"]\n[receiver.webhook]\nloopback = true\n'


@pytest.fixture
def rules(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A rules file that leads to the fake server, whose address is in the environment."""
    monkeypatch.setenv("SCALEWATCH_WEBHOOK_URL", server.url)
    (tmp_path / "alerts.toml").write_text(RULES)
    return str(tmp_path / "alerts.toml")


class Pager(Receiver):
    """As somebody writes one in the script of a training: no more than its name and how it sends."""

    name = "pager"

    def __init__(self) -> None:  # and without the base's `__init__`, which nobody should have to know of
        self.titles: list[str] = []

    def send(self, notification: Notification, timeout: float) -> None:
        self.titles.append(notification.title)


def nan_at(batch: int) -> Callable[[int, torch.Tensor], torch.Tensor]:
    return lambda seen, loss: loss * float("nan") if seen == batch else loss


@pytest.fixture(autouse=True)
def patient_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's end waits until all is sent, however busy the machine is."""
    monkeypatch.setattr("scalewatch_torch.watching.session.ALERT_SECONDS", 60.0)


def titles(server: FakeServer) -> list[str]:
    return [got.json["data"]["title"] for got in server.got]


def test_a_nan_in_training_is_told_with_advice_and_then_the_end(
    new_trainer: NewTrainer, server: FakeServer, rules: str, tmp_path: Path
) -> None:
    """Two messages; the first says what to do; nowhere on the disk is the address."""
    new_trainer([ScaleWatch(alerts=rules, quiet=True)], max_steps=60).fit(TinyText(spoil=nan_at(20)), loader(256))
    first = server.got[0].json["data"]
    verdict = dict(next(r["rows"] for r in read_journal(tmp_path / "scalewatch").others if r["type"] == "verdict"))

    assert [
        "CRITICAL TinyText: loss is NaN or infinite since step 20",
        "ENDED TinyText: as planned; LOST: non-finite loss since step 20",
    ] == titles(server)
    assert ["loss is nan since step 20, 3 rows running"] == [item["message"] for item in first["items"]]
    assert ["stop", "rewind"] == [advice["action"] for advice in first["advice"]]
    assert "as planned" == verdict["ended"]
    assert [] == [p for p in (tmp_path / "scalewatch").rglob("*") if p.is_file() and b"CANARY" in p.read_bytes()]


def test_a_secret_is_nowhere_on_the_disk_and_in_no_log(
    new_trainer: NewTrainer,
    server: FakeServer,
    rules: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Journal, checkpoint, event files, hyperparameters, logs at DEBUG, terminal, the callback's repr: in none."""
    caplog.set_level(logging.DEBUG)
    watch = ScaleWatch(alerts=rules)
    logger = TensorBoardLogger(str(tmp_path), name="board")
    trainer = new_trainer([watch], max_steps=40, logger=logger)
    trainer.fit(TinyText(spoil=nan_at(20)), loader(256))
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    shown = caplog.text + "".join(capfd.readouterr()) + repr(watch) + repr(vars(watch)) + repr(trainer.callback_metrics)

    assert {".ckpt", ".jsonl", ".json", ".yaml"} <= {path.suffix for path in files}
    assert any("tfevents" in path.name for path in files)
    assert [] == [path for path in files if b"CANARY" in path.read_bytes()]
    assert "CANARY" not in shown
    assert len(server.got) >= 1


TWO = """
import os, sys
import pytorch_lightning as pl
from scalewatch_lightning import ScaleWatch
from tests.scalewatch_lightning.conftest import TinyText, loader

strategy = pl.strategies.DDPStrategy(process_group_backend="gloo")
trainer = pl.Trainer(max_steps=40, accelerator="cpu", devices=2, strategy=strategy, logger=False, max_epochs=-1,
    callbacks=[ScaleWatch(alerts=sys.argv[1], quiet=True)], enable_checkpointing=False, enable_progress_bar=False,
    enable_model_summary=False, default_root_dir=sys.argv[2], use_distributed_sampler=False)
trainer.fit(TinyText(spoil=lambda seen, loss: loss * float("nan") if seen >= 20 else loss), loader())
"""


def test_of_two_processes_one_sends(server: FakeServer, rules: str, tmp_path: Path) -> None:
    """Both lose their loss at the same step; the process of rank 0 tells of it, and no vote is needed for that."""
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", "GROUP_RANK": "0"}
    shared |= {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'integrations'}",
        "TORCHELASTIC_RUN_ID": "test",
    }
    argv = [*warm.python(), "-c", TWO, rules, str(tmp_path)]
    ranks = [{"RANK": rank, "LOCAL_RANK": rank} for rank in ("0", "1")]
    both = [subprocess.Popen(argv, stderr=subprocess.PIPE, env={**os.environ, **shared, **rank}) for rank in ranks]
    try:
        errors = [process.communicate(timeout=600)[1] for process in both]
    finally:
        for process in both:
            process.kill()

    assert [0, 0] == [process.returncode for process in both], errors[0][-3000:]
    assert ["CRITICAL", "ENDED"] == [title.split()[0] for title in titles(server)]


def test_receivers_of_ones_own_stand_beside_names(
    new_trainer: NewTrainer, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects of one class are two receivers, and a name is one as ever; each is told, the thread of a run is kept."""
    monkeypatch.setenv("SCALEWATCH_APPRISE_URL", f"json://127.0.0.1:{server.port}/CANARY")
    monkeypatch.setattr("scalewatch.alert.receivers.apprise.CHECK_SECONDS", 60.0)
    day, night = Pager(), Pager()
    watch = ScaleWatch(alerts=[day, "apprise", night], quiet=True)
    new_trainer([watch], max_steps=60).fit(TinyText(spoil=nan_at(20)), loader(256))

    assert watch._options.alerts is not None
    assert ("pager", "apprise", "pager-2") == watch._options.alerts.names
    assert ["CRITICAL TinyText: loss is NaN or infinite since step 20"] == day.titles[:1]
    assert day.titles[:1] == night.titles[:1]
    assert "CRITICAL TinyText: loss is NaN or infinite since step 20" == server.got[0].json["title"]


def test_a_crash_is_told(new_trainer: NewTrainer, server: FakeServer, rules: str) -> None:
    """Loud, with the exception."""

    class Crashes(TinyText):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            if self.batches_seen == 12:
                raise RuntimeError("disk on fire <!channel>")
            return super().training_step(batch, batch_idx)

    with pytest.raises(RuntimeError):
        new_trainer([ScaleWatch(alerts=rules, quiet=True)]).fit(Crashes(), loader())

    assert [
        "CRASHED Crashes: after step 12: RuntimeError: disk on fire <!channel>; cannot tell: 12 rows are too few"
    ] == titles(server)


def test_a_resumed_run_knows_what_it_has_told(
    new_trainer: NewTrainer, server: FakeServer, rules: str, tmp_path: Path
) -> None:
    """From the checkpoint alone, in another folder: the incident that is still open is not told again."""

    def lost(seen: int, loss: torch.Tensor) -> torch.Tensor:
        return loss * float("nan")

    first = new_trainer([ScaleWatch(alerts=rules, quiet=True, directory=tmp_path / "a")], max_steps=30)
    first.fit(TinyText(spoil=lost), loader(256))
    first.save_checkpoint(tmp_path / "last.ckpt")
    again = new_trainer([ScaleWatch(alerts=rules, quiet=True, directory=tmp_path / "b")], max_steps=60)
    again.fit(TinyText(spoil=lost), loader(256), ckpt_path=str(tmp_path / "last.ckpt"))

    assert ["CRITICAL", "ENDED", "ENDED"] == [title.split()[0] for title in titles(server)]


def test_a_hanging_endpoint_does_not_hold_the_end_of_a_run(
    new_trainer: NewTrainer,
    server: FakeServer,
    rules: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run ends long before the endpoint lets go, and the table says what was not sent."""
    monkeypatch.setattr("scalewatch_torch.watching.session.ALERT_SECONDS", 2.0)
    server.behave = server.hold
    watch = ScaleWatch(alerts=rules)
    began = time.monotonic()
    new_trainer([watch], max_steps=40).fit(TinyText(spoil=nan_at(20)), loader(256))

    assert time.monotonic() - began < UNHELD_SECONDS
    assert "not sent yet: told when the run resumes" in " ".join(capsys.readouterr().out.split())


def test_a_rehearsal_alerts_nobody(new_trainer: NewTrainer, server: FakeServer, rules: str) -> None:
    """`fast_dev_run` is no run."""
    new_trainer([ScaleWatch(alerts=rules, quiet=True)], fast_dev_run=3).fit(TinyText(spoil=nan_at(1)), loader())

    assert [] == server.got


@pytest.mark.parametrize(
    ("alerts", "says"),
    [
        (["slak"], "no receiver 'slak'"),
        (["webhook"], "SCALEWATCH_WEBHOOK_URL"),
        ("nowhere.toml", "cannot be read"),
        ([3], "`alerts`: a receiver must be a name such as .slack., or a Receiver .got 3"),
        ([Pager], r"`alerts`: a receiver must be .*: write Pager\(\)"),
        (3, r"must be a list of receivers such as \[\"slack\"\]"),
    ],
)
def test_what_cannot_alert_is_told_when_the_callback_is_built(
    alerts: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at three in the morning, and not on the first finding."""
    monkeypatch.delenv("SCALEWATCH_WEBHOOK_URL", raising=False)
    with pytest.raises(ConfigError, match=says):
        ScaleWatch(alerts=alerts)


def test_a_callback_with_alerts_can_be_pickled_and_holds_no_secret(rules: str) -> None:
    """`ddp_spawn` does so; the secret is taken from the environment where the run begins."""
    data = pickle.dumps(ScaleWatch(alerts=rules))

    assert b"CANARY" not in data
    assert isinstance(pickle.loads(data)._options.alerts, Rules)
