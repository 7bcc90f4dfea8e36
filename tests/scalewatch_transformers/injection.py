"""A training by the Trainer of transformers that is watched by everything that there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from scalewatch.alert import Rules
from scalewatch_torch import Precursors
from scalewatch_transformers import ScaleWatch
from tests.injection import Outcome, Pager, Training
from tests.scalewatch_transformers.conftest import Text, rows

#: Optimizer steps of the training [steps].
STEPS = 8
#: The fewest functions that a watched training must be seen to reach.
LEAST_REACHED = 400
#: Hooks that call nets and nothing else.
FOUNDATION = (
    *(f"scalewatch_transformers/callback.py::ScaleWatch.{name}" for name in ("on_", "_end_with_all", "end")),
    "scalewatch_transformers/trainer.py::Training.__init__.<locals>",
    "scalewatch_torch/watching/hooks.py::LoopHooks.before_step",
    "scalewatch_torch/watching/hooks.py::LoopHooks.after_batch",
    "scalewatch_torch/watching/hooks.py::LoopHooks.end",
)


class Spoiled(Trainer):
    """The loss of one step is no number; its gradient is as before."""

    def compute_loss(self, model: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        loss = super().compute_loss(model, inputs, *rest, **options)
        return loss + float("nan") if self.state.global_step == 3 else loss


def prepare(folder: Path, *, watched: bool) -> Callable[[], Outcome]:
    """A training with everything that there is, to be run."""
    torch.manual_seed(3)
    watch = ScaleWatch(
        grad_norm_every=2,
        precursors=Precursors(every=2),
        alerts=Rules.to(Pager()),
        target_loss=1.0,
        act=["stop", "lower_learning_rate", "skip"],
    )
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=STEPS,
        per_device_train_batch_size=4,
        learning_rate=1e-2,
        logging_steps=2,
        eval_strategy="steps",
        eval_steps=4,
        save_strategy="steps",
        save_steps=5,
        report_to="tensorboard",
        use_cpu=True,
        disable_tqdm=True,
    )
    model = Text()
    trainer = Spoiled(
        model=model, args=arguments, train_dataset=rows(64), eval_dataset=rows(8), callbacks=[watch] if watched else []
    )

    def run() -> Outcome:
        reached = ""
        torch.manual_seed(3)
        try:
            trainer.train()
        except Exception as fault:
            reached = f"{type(fault).__name__}: {fault}"
        weights = tuple(each.detach().numpy().tobytes() for each in model.parameters())
        return Outcome(weights, int(trainer.state.global_step), reached)

    return run


TRAINING = Training(prepare, FOUNDATION, LEAST_REACHED)
