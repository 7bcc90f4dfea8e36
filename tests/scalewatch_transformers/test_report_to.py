"""What of a run stands where the Trainer reports to, beside what it reports itself."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests import warm
from tests.wandb_file import logged_by

#: A short training that reports to three places; what MLflow holds is written into a file.
SCRIPT = """
import json, os, sys
from pathlib import Path
import mlflow
from transformers import Trainer, TrainingArguments
from scalewatch_transformers import ScaleWatch
from tests.scalewatch_transformers.conftest import Text, rows

folder = Path(sys.argv[1])
arguments = TrainingArguments(
    output_dir=str(folder / "out"), max_steps=40, per_device_train_batch_size=4, learning_rate=1e-2, logging_steps=1,
    save_strategy="no", report_to=["tensorboard", "wandb", "mlflow"], use_cpu=True, disable_tqdm=True,
)
Trainer(model=Text(), args=arguments, train_dataset=rows(), callbacks=[ScaleWatch(quiet=True)]).train()
(run,) = mlflow.search_runs(output_format="list", search_all_experiments=True)
(folder / "mlflow.json").write_text(json.dumps({"tags": run.data.tags, "metrics": run.data.metrics}))
import wandb
wandb.finish()
"""


def test_a_trainer_reports_forecast_and_verdict_too(tmp_path: Path) -> None:
    """TensorBoard, W&B and MLflow each have the forecast; what the Trainer reports is all there."""
    root = str(Path(__file__).parents[2])
    environment = {
        **os.environ,
        "WANDB_SILENT": "true",
        "WANDB_MODE": "offline",
        "WANDB_DIR": str(tmp_path),
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_TRACKING_URI": (tmp_path / "mlruns").as_uri(),
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")])),
    }
    command = [*warm.python(), "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=600)
    assert 0 == done.returncode, done.stderr[-3000:]

    rows, summary, alerts = logged_by(tmp_path / "wandb")
    assert 40 == sum("train/loss" in row for row in rows)
    assert "over" == summary["scalewatch/status"]
    assert [] == alerts
    assert {"scalewatch/loss", "scalewatch/findings/nrows"} <= set(summary)
    told = json.loads((tmp_path / "mlflow.json").read_text())
    assert "as planned" == told["tags"]["scalewatch.ended"]
    assert {"scalewatch/loss", "scalewatch/forecast_final_loss", "loss"} <= set(told["metrics"])
    (events,) = (tmp_path / "out" / "runs").rglob("events.*")
    assert b"scalewatch/forecast_final_loss" in events.read_bytes()
