"""What of a run stands in W&B, MLflow and a CSV file, beside what its module logs there."""

from __future__ import annotations

import csv
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scalewatch.journal import read_journal
from tests import warm
from tests.wandb_file import Logged, logged_by

#: A run whose loss is no number at its 40th step, logged to all of them; what MLflow holds is written into a file.
SCRIPT = """
import json, sys
from pathlib import Path
import mlflow
import pytorch_lightning as pl
from pytorch_lightning.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger
from scalewatch_lightning import ScaleWatch
from scalewatch_torch import WandbAlerts
from tests.scalewatch_lightning.conftest import TinyText, loader

folder = Path(sys.argv[1])


class Logs(TinyText):
    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.log("mine", loss)
        return loss


loggers = [
    CSVLogger(folder, name="csv", version="run", flush_logs_every_n_steps=1),
    TensorBoardLogger(folder, name="tensorboard", version="run"),
    WandbLogger(project="tests", save_dir=folder, offline=True),
    MLFlowLogger("tests", tracking_uri=(folder / "mlruns").as_uri()),
]
trainer = pl.Trainer(
    callbacks=[ScaleWatch(quiet=True, alerts=[WandbAlerts()])], logger=loggers, max_steps=80, log_every_n_steps=1,
    accelerator="cpu",
    enable_progress_bar=False, enable_checkpointing=False, enable_model_summary=False, default_root_dir=folder,
)
trainer.fit(Logs(spoil=lambda n, loss: loss + float("nan") if n == 40 else loss), loader())
client, run_id = loggers[3].experiment, loggers[3].run_id
names = ("mine", "scalewatch/forecast_final_loss_low_80")
history = {name: [each.step for each in client.get_metric_history(run_id, name)] for name in names}
(folder / "mlflow.json").write_text(json.dumps({"tags": client.get_run(run_id).data.tags, "history": history}))
import wandb
wandb.finish()
"""


class Run(NamedTuple):
    """Where each of them has logged the run, and what W&B and MLflow hold."""

    folder: Path
    wandb: Logged
    mlflow: dict[str, Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in a process of its own, for W&B starts another."""
    import json

    folder = tmp_path_factory.mktemp("logged")
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "WANDB_SILENT": "true", "MLFLOW_ALLOW_FILE_STORE": "true"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    command = [*warm.python(), "-c", SCRIPT, str(folder)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, encoding="utf-8", timeout=600)
    assert 0 == done.returncode, done.stderr[-3000:]
    return Run(folder, logged_by(folder / "wandb"), json.loads((folder / "mlflow.json").read_text()))


def test_wandb_has_forecast_findings_and_verdict(run: Run) -> None:
    """Charts over the step, words in the summary, a table of what was found; no row of the module's is lost."""
    rows, summary, _ = run.wandb

    assert list(range(80)) == [row["trainer/global_step"] for row in rows if "mine" in row]
    assert len(rows) <= 81  # what comes after the last of the module's is committed by the end
    assert {"scalewatch/loss", "scalewatch/forecast_final_loss_high_80", "scalewatch/step"} <= set(summary)
    assert "over" == summary["scalewatch/status"]
    assert "as planned" == summary["scalewatch/ended"]
    assert "non-finite loss" in summary["scalewatch/newest_finding"]
    assert summary["scalewatch/findings/nrows"] >= 1


def test_wandb_sends_alerts_where_it_is_asked_to(run: Run) -> None:
    """The end of the run at least, in a title of the length that W&B takes."""
    ended = [(title, level) for title, level in run.wandb.alerts if "as planned" in title]

    assert ["INFO"] == [level for _, level in ended]
    assert all(len(title) < 64 for title, _ in run.wandb.alerts)


def test_mlflow_has_forecast_findings_and_verdict(run: Run) -> None:
    """Metrics with the steps of the run, words in tags; the metrics of the module are all there."""
    tags, history = run.mlflow["tags"], run.mlflow["history"]

    assert 80 == len(history["mine"])
    assert {*history["scalewatch/forecast_final_loss_low_80"]} <= {*range(1, 81)}
    assert history["scalewatch/forecast_final_loss_low_80"]
    assert "over" == tags["scalewatch.status"]
    assert "as planned" == tags["scalewatch.ended"]
    assert "step 40: info: non-finite loss" in tags["scalewatch.incidents"]


def test_a_csv_file_lies_beside_that_of_the_logger(run: Run) -> None:
    """A row a number or a sentence; the logger's own file has the module's columns and rows alone."""
    folder = run.folder / "csv" / "run"
    with (folder / "scalewatch.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        own = list(csv.DictReader(file))

    names = {row["name"] for row in rows}
    assert {"loss", "forecast_final_loss", "forecast_final_loss_low_80", "status", "ended"} <= names
    assert [("40", "info")] == [(row["step"], row["value"]) for row in rows if row["name"] == "non-finite loss"][:1]
    assert "over" == [row["text"] for row in rows if row["name"] == "status"][-1]
    assert {"epoch", "step", "mine"} == set(own[0])
    assert 80 == len(own)


def test_tensorboard_is_logged_to_beside_them(run: Run) -> None:
    """One place takes nothing from another, and the journal is where it was."""
    (events,) = (run.folder / "tensorboard" / "run").glob("events.*")

    assert b"scalewatch/forecast_final_loss" in events.read_bytes()
    (journal,) = run.folder.rglob("journal-*.jsonl")
    assert 80 == len(read_journal(journal.parent).observations)
