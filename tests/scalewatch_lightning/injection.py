"""Makes any one function of ours raise, while a short training is watched by everything that there is.

Which functions a hook reaches is found by watching one such training: a function that is written tomorrow is in it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger

from scalewatch.alert import Receiver, Rules
from scalewatch_lightning import ScaleWatch
from scalewatch_torch import Precursors
from tests.house import ROOT
from tests.scalewatch_lightning.conftest import TinyText, loader

#: Optimizer steps of the training [steps].
STEPS = 8
#: Where code of ours is.
OURS = tuple(f"{ROOT / place}/" for place in ("scalewatch", "integrations"))
#: What the others stand on, by the beginnings of names: the nets, and hooks that call nets and nothing else, or refuse.
FOUNDATION = (
    "scalewatch/guard.py",
    "scalewatch_lightning/callback_parts.py::netted",
    "scalewatch_torch/precursors.py::Precursors._stepped",
    "scalewatch_lightning/callback.py::ScaleWatch.setup",
    "scalewatch_lightning/callback.py::ScaleWatch.on_train_batch_start",
    "scalewatch_lightning/callback.py::ScaleWatch.state_dict",
    "scalewatch_lightning/callback.py::ScaleWatch.state_key",
)


class Reached(NamedTuple):
    """A function that was called in the thread of the training: its file and name, and what it is to Python."""

    name: str
    code: CodeType


class Outcome(NamedTuple):
    """What a training ended with, and the exception that reached it, "" for none."""

    weights: tuple[bytes, ...]
    steps: int
    reached_training: str


class Pager(Receiver):
    """A receiver that hears everything."""

    name = "pager"

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def send(self, message: Any, timeout: float) -> None:
        self.heard.append(message)


def spoiled(batch: int, loss: torch.Tensor) -> torch.Tensor:
    """One loss that is no number, so that findings, advice and alerts are told too; its gradient is as before."""
    return loss + float("nan") if batch == 4 else loss


def train(folder: Path, watches: list[Any]) -> Outcome:
    """Train for a few steps with a validation, a checkpoint and TensorBoard; always the same."""
    torch.manual_seed(3)
    schedule = lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)  # noqa: E731
    module = TinyText(scheduler=schedule, spoil=spoiled)
    reached = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            callbacks=[*watches, ModelCheckpoint(folder / "kept", every_n_train_steps=5)],
            accelerator="cpu",
            devices=1,
            max_steps=STEPS,
            val_check_interval=4,
            num_sanity_val_steps=0,
            default_root_dir=folder,
            logger=TensorBoardLogger(folder, name="board", version="0"),
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        try:
            trainer.fit(module, loader(), loader(4))
        except Exception as fault:
            reached = f"{type(fault).__name__}: {fault}"
    weights = tuple(parameter.detach().numpy().tobytes() for parameter in module.parameters())
    return Outcome(weights, int(trainer.global_step), reached)


def watch() -> ScaleWatch:
    """A callback with every part on."""
    return ScaleWatch(
        act=["stop", "lower_learning_rate", "skip"],
        grad_norm_every=2,
        precursors=Precursors(every=2),
        alerts=Rules.to(Pager()),
        target_loss=1.0,
    )


def reached_by_hooks(folder: Path) -> list[Reached]:
    """Every function of ours that a watched training calls in its own thread, in the order of their names."""
    found: dict[str, CodeType] = {}

    def look(frame: Any, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(OURS):
            found.setdefault(name_of(code), code)

    callback = watch()
    sys.setprofile(look)
    try:
        train(folder, [callback])
    finally:
        sys.setprofile(None)
    return [Reached(name, found[name]) for name in sorted(found) if not name.startswith(FOUNDATION)]


def name_of(code: CodeType) -> str:
    """`scalewatch/monitor.py::Monitor.observe`, and the line where that does not say it."""
    file = Path(code.co_filename).relative_to(ROOT).as_posix().removeprefix("integrations/")
    line = f":{code.co_firstlineno}" if "<" in code.co_qualname else ""
    return f"{file}::{code.co_qualname}{line}"


@contextmanager
def raises_once(code: CodeType) -> Iterator[Callable[[], bool]]:
    """The first call of a function in this thread raises, before its first line; yields whether it has."""
    raised = False

    def look(frame: Any, event: str, _: Any) -> None:
        nonlocal raised
        if event == "call" and frame.f_code is code and not raised:
            raised = True
            raise RuntimeError("a fault of ours")  # Python takes the profiler away then

    sys.setprofile(look)
    try:
        yield lambda: raised
    finally:
        sys.setprofile(None)
