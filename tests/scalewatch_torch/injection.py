"""A hand-written loop that a `Watcher` with everything that there is watches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.tensorboard import SummaryWriter

from scalewatch.alert import Rules
from scalewatch_torch import Precursors, Watcher
from tests.injection import Outcome, Pager, Training
from tests.scalewatch_torch.conftest import Tiny, loss_of

#: Optimizer steps of the training [steps].
STEPS = 8
#: The fewest functions that a watched loop must be seen to reach.
LEAST_REACHED = 400
#: What a loop calls, and calls nets and nothing else.
HOOKS = ("step", "should_stop", "_before_step", "_begun", "forward", "state_dict", "saved", "close", "end", "__e")
FOUNDATION = (
    *(f"scalewatch_torch/watcher.py::Watcher.{name}" for name in HOOKS),
    "scalewatch_torch/watching/hooks.py::LoopHooks.before_step",
    "scalewatch_torch/watching/hooks.py::LoopHooks.after_batch",
    "scalewatch_torch/watching/hooks.py::LoopHooks.end",
)
#: Writers of runs before: what is still being written when a run has ended is no fault of it.
WRITERS: list[SummaryWriter] = []


def prepare(folder: Path, *, watched: bool) -> Callable[[], Outcome]:
    """A loop with everything that there is, to be run."""
    torch.manual_seed(3)
    model = Tiny()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    folder.mkdir(parents=True, exist_ok=True)
    writer = SummaryWriter(folder / "board")
    watcher = Watcher(
        model,
        optimizer,
        scheduler,
        total_steps=STEPS,
        directory=folder / "journal",
        grad_norm_every=2,
        precursors=Precursors(every=2),
        alerts=Rules.to(Pager()),
        loggers=[writer],
        target_loss=1.0,
        act=["stop", "lower_learning_rate", "skip"],
    )
    if not watched:
        watcher.close()

    def run() -> Outcome:
        reached, step = "", 0
        while WRITERS:
            WRITERS.pop().close()
        try:
            with watcher:
                for step in range(1, STEPS + 1):
                    optimizer.zero_grad()
                    with watcher.forward():
                        loss = loss_of(model, step)
                    loss.backward()
                    optimizer.step()
                    scheduler.step()
                    spoiled = loss + float("nan") if step == 4 else loss
                    watcher.step(spoiled, validation_loss=3.0 if step == 5 else None)
                    if step == 5:
                        (folder / "step5.ckpt").write_text(str(len(watcher.state_dict())))
                        watcher.saved(folder / "step5.ckpt")
        except Exception as fault:
            reached = f"{type(fault).__name__}: {fault}"
        WRITERS.append(writer)
        return Outcome(tuple(each.detach().numpy().tobytes() for each in model.parameters()), step, reached)

    return run


TRAINING = Training(prepare, FOUNDATION, LEAST_REACHED)
