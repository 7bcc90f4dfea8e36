"""The Trainer of transformers in two processes over gloo, for the tests: many trainings in one start.

python -m tests.scalewatch_transformers.two_ranks FOLDER
"""

from __future__ import annotations

import json
import math
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from scalewatch_transformers import ScaleWatch
from tests.scalewatch_transformers.conftest import Text, rows

RANK = int(os.environ.get("RANK", "0"))


class Ranked(Trainer):
    """What rank 1 measures is changed, or its gradient lost."""

    change: Callable[[int], float] = staticmethod(lambda step: 0.0)
    lost_at = 10_000

    def compute_loss(self, model: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        loss, step = super().compute_loss(model, inputs, *rest, **options), self.state.global_step + 1
        if RANK == 0:
            return loss
        return loss * math.nan if step >= self.lost_at else loss + self.change(step)


def train(
    folder: Path,
    *,
    steps: int = 40,
    change: Callable[[int], float] = lambda step: 0.0,
    lost_at: int = 10_000,
    **options: Any,
) -> int:
    """Train, and return the last step."""
    torch.manual_seed(0)
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=4,
        learning_rate=1e-2,
        logging_steps=10,
        save_strategy="steps",
        save_steps=24,
        report_to="none",
        use_cpu=True,
        ddp_backend="gloo",
        disable_tqdm=True,
    )
    watch = ScaleWatch(quiet=True, **options)
    trainer = Ranked(model=Text(), args=arguments, train_dataset=rows(), callbacks=[watch])
    trainer.change, trainer.lost_at = change, lost_at
    trainer.train()
    return int(trainer.state.global_step)


def main(folder: Path) -> None:
    """One training after another; a line of JSON after each."""
    warnings.simplefilter("ignore")

    def told(name: str, **options: Any) -> None:
        sys.stdout.write(f"END {json.dumps([name, train(folder / name, **options)])}\n")
        sys.stdout.flush()

    told("healthy")
    told("apart", change=lambda step: 5.0)
    told("stops", steps=80, lost_at=20, act=["stop"])
    told("stops zero", steps=80, lost_at=20, act=["stop"], ranks="zero")
    told("zero", change=lambda step: 5.0, ranks="zero")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
