"""How the runs of unseen_runs.py are trained, sabotaged and labelled."""

from __future__ import annotations

import copy
import itertools
import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

#: For how many optimizer steps a sabotage lasts [steps]; by hand.
LASTS = {
    **dict.fromkeys(("lr_x30", "lr_x100", "shuffle", "blank", "nan"), math.inf),
    **{"shuffle_50": 50, "lr_x10_5steps": 5, "explode": 1, "nan_once": 1, "outlier": 1, "nudge": 1},
}

#: By what a sabotage multiplies the learning rate; by hand.
RATE_FACTOR = {"lr_x30": 30.0, "lr_x100": 100.0, "lr_x10_5steps": 10.0}

#: By what it multiplies every weight; a nudge shows how far a run goes astray by itself; by hand.
WEIGHT_FACTOR = {"explode": 3.0, "nudge": 1.0001}

#: By what an outlier batch multiplies its inputs; by hand.
OUTLIER = 20.0

#: Where in a run a sabotage begins, as a part of its rows; by hand.
EARLIEST, LATEST = 0.4, 0.65

#: How many rows a harm has to last [rows], and how far up it has to be: in sd of a row of the healthy twin, or as a
#: part of the loss. Five sd count only beyond LEAST_PART of the loss, ten percent only beyond LEAST_SD; by hand.
HARM_ROWS, HARM_SD, HARM_PART, LEAST_PART, LEAST_SD = 30, 5.0, 0.1, 0.01, 1.0

#: Seeds of the healthy runs, and of the run that is sabotaged too.
HEALTHY_SEEDS, SABOTAGED_SEED = (0, 1, 2), 3


class Task(ABC):
    """What a family of runs trains on; each family is a class of its own."""

    name: str
    sabotages: tuple[str, str]
    #: Optimizer steps, steps a row, batches a step.
    steps, every, accumulate = 1000, 1, 1
    #: Rows count as steps: the log is of epochs.
    by_epoch = False
    batch_size, rate, decay, momentum, warmup = 32, 1e-3, 0.0, 0.9, 0.0
    clip: float | None = None
    sgd = False
    #: Whether the learning rates were told before, and what the log has.
    planned, logs_norm = True, True
    #: Rows between two validations; none if 0.
    validate_every = 0
    #: Steps an epoch; the log has no epochs if 0.
    epoch_steps = 0
    net: nn.Module

    def __init__(self) -> None:
        self.build()
        self.held = [self.batch(0) for _ in range(4)] if self.validate_every else []

    @abstractmethod
    def build(self) -> None:
        """Make what is trained."""

    @abstractmethod
    def batch(self, step: int) -> tuple[Tensor, Any]:
        """Inputs and labels of one step; None for labels where there are none."""

    @abstractmethod
    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        """The loss of a batch."""

    def after(self, step: int) -> None:  # noqa: B027 - most have nothing to do here
        """What follows an optimizer step."""

    def rate_at(self, step: int) -> float:
        """Learning rate: a linear warm-up over the part `warmup` of the run, then constant."""
        return self.rate * min(1.0, step / max(self.warmup * self.steps, 1.0))

    def optimizer(self) -> torch.optim.Optimizer:
        if self.sgd:
            return torch.optim.SGD(self.net.parameters(), self.rate, self.momentum, weight_decay=self.decay)
        return torch.optim.AdamW(self.net.parameters(), self.rate, weight_decay=self.decay, fused=True)

    def poison(self, x: Tensor, y: Any, order: torch.Generator) -> tuple[Tensor, Any]:
        """A batch whose labels are shuffled; without labels, each of its features is."""
        if y is not None:
            return x, y[torch.randperm(len(y), generator=order)]
        mixed = [column[torch.randperm(len(x), generator=order)] for column in x.flatten(1).T]
        return torch.stack(mixed, 1).view_as(x), None

    def validate(self, step: int) -> float:
        self.net.eval()
        with torch.no_grad():
            losses = [float(self.loss(x, y, step)) for x, y in self.held]
        self.net.train()
        return float(np.mean(losses))


@dataclass(frozen=True)
class Sabotage:
    """What is done to a run, from which of its optimizer steps on."""

    kind: str
    start: int

    def on(self, step: int) -> bool:
        return self.start <= step < self.start + LASTS[self.kind]

    def batch(self, task: Task, x: Tensor, y: Any, order: torch.Generator) -> tuple[Tensor, Any]:
        if self.kind.startswith("shuffle"):
            return task.poison(x, y, order)
        if self.kind == "blank":
            return torch.zeros_like(x), y
        if self.kind == "outlier":
            return x * OUTLIER, y
        return x, y


def train(family: type[Task], seed: int, sabotage: Sabotage | None = None) -> pd.DataFrame:
    """The log of one run: step, loss, lr, grad_norm, val_loss, epoch."""
    torch.manual_seed(zlib.crc32(family.name.encode()) + seed)
    task, order = family(), torch.Generator().manual_seed(seed)
    optimizer = task.optimizer()
    rows, losses = [], []
    for step in range(1, task.steps + 1):
        wrong = sabotage if sabotage is not None and sabotage.on(step) else None
        rate = task.rate_at(step) * RATE_FACTOR.get(wrong.kind if wrong else "", 1.0)
        loss, norm = descend(task, optimizer, step, rate, wrong, order)
        task.after(step)
        losses.append(loss)
        if step % task.every == 0:
            row = step // task.every
            tested = task.validate_every and row % task.validate_every == 0
            rows.append(
                {
                    "step": row if task.by_epoch else step,
                    "loss": float(np.mean(losses)),
                    "lr": rate,
                    "grad_norm": norm if task.logs_norm else math.nan,
                    "val_loss": task.validate(step) if tested else math.nan,
                    "epoch": (step - 1) // task.epoch_steps if task.epoch_steps else 0,
                }
            )
            losses.clear()
    kinds = {"step": "int32", "epoch": "int32"} | dict.fromkeys(("loss", "lr", "grad_norm", "val_loss"), "float32")
    return pd.DataFrame(rows).astype(kinds)


def descend(
    task: Task,
    optimizer: torch.optim.Optimizer,
    step: int,
    rate: float,
    wrong: Sabotage | None,
    order: torch.Generator,
) -> tuple[float, float]:
    """One optimizer step; its loss and the norm of its gradients."""
    kind = wrong.kind if wrong else ""
    for group in optimizer.param_groups:
        group["lr"] = rate
    if kind in WEIGHT_FACTOR:
        with torch.no_grad():
            for weight in task.net.parameters():
                weight.mul_(WEIGHT_FACTOR[kind])
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    for _ in range(task.accumulate):
        x, y = task.batch(step)
        if wrong is not None:
            x, y = wrong.batch(task, x, y, order)
        loss = task.loss(x, y, step) / task.accumulate
        if kind.startswith("nan"):
            loss = loss * math.nan
        loss.backward()
        total += float(loss.detach())
    weights = [p for p in task.net.parameters() if p.grad is not None]
    norm = torch.stack([p.grad.norm() for p in weights]).norm()
    if task.clip is not None:
        nn.utils.clip_grads_with_norm_(weights, task.clip, norm)
    if kind != "nan_once":
        optimizer.step()
    return total, float(norm)


# --- labels ---------------------------------------------------------------------------------------


def rolled(values: np.ndarray) -> np.ndarray:
    """Means of HARM_ROWS rows in turn; NaN where one of them is not finite."""
    return pd.Series(np.where(np.isfinite(values), values, np.nan)).rolling(HARM_ROWS).mean().to_numpy()


def rise(values: np.ndarray, twin: np.ndarray, sd: float) -> tuple[float, float]:
    """How far HARM_ROWS rows in turn are above the twin's at most: in sd of a row, and as a part of the loss."""
    up, size = rolled(values - twin), np.abs(rolled(twin))
    with np.errstate(divide="ignore", invalid="ignore"):
        in_sd, part = up / sd, up / size
    in_sd, part = np.where(part > LEAST_PART, in_sd, np.minimum(in_sd, 0)), np.where(in_sd > LEAST_SD, part, 0)
    return float(np.nanmax(in_sd, initial=0)), float(np.nanmax(part, initial=0))


@dataclass(frozen=True)
class Harm:
    """What a sabotage did to the rows after its start, beside the healthy twin."""

    sd: float
    part: float
    jump: float

    @classmethod
    def of(cls, run: pd.DataFrame, twin: pd.DataFrame, start: int) -> Harm:
        late = run.step.to_numpy() >= start
        loss, well = run.loss.to_numpy(float)[late], twin.loss.to_numpy(float)[late]
        smooth = pd.Series(well).rolling(HARM_ROWS + 1, center=True, min_periods=1).median()
        sd = max(float(np.std(well - smooth)), 1e-12)
        jump = float(np.nanmax((loss - well)[:5], initial=0)) / sd
        if not np.isfinite(loss[-1]):
            return cls(math.inf, math.inf, math.inf)
        in_sd, part = rise(loss, well, sd)
        if run.val_loss.notna().any():
            # A validation loss has no noise to speak of, so that only ten percent count.
            held, well_held = (frame.val_loss.ffill().to_numpy(float)[late] for frame in (run, twin))
            part = max(part, rise(held, well_held, 1e-12)[1])
        return cls(in_sd, part, jump)


def expected(family: type[Task], sabotage: Sabotage, harm: Harm, twin: pd.DataFrame, start: int) -> str:
    """What a good monitor does: page what harms, more than a nudge does to a run that goes astray by itself."""
    if sabotage.kind in ("blank", "nan"):
        return "page"
    if harm.sd <= HARM_SD and harm.part <= HARM_PART:
        return "note"
    nudged = Harm.of(train(family, SABOTAGED_SEED, Sabotage("nudge", sabotage.start)), twin, start)
    return "page" if harm.sd > max(HARM_SD, nudged.sd) or harm.part > max(HARM_PART, nudged.part) else "note"


def starts(family: type[Task]) -> Iterator[Sabotage]:
    """The sabotages of a family, each where its seed says."""
    random = np.random.default_rng(zlib.crc32(family.name.encode()))
    for kind in family.sabotages:
        yield Sabotage(kind, int(random.uniform(EARLIEST, LATEST) * family.steps))


def make(family: type[Task]) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """All runs of a family and their labels."""
    torch.set_num_threads(1)
    runs = {f"{family.name}-{seed}": train(family, seed) for seed in (*HEALTHY_SEEDS, SABOTAGED_SEED)}
    common = {"family": family.name, "plan": family.planned}
    total = family.steps // family.every if family.by_epoch else family.steps
    labels: list[dict[str, Any]] = [
        {"run_id": run_id, "seed": int(run_id[-1]), "healthy": True, "total_steps": total, "expected": "silence"}
        for run_id in runs
    ]
    twin = runs[f"{family.name}-{SABOTAGED_SEED}"]
    for sabotage in starts(family):
        run = train(family, SABOTAGED_SEED, sabotage)
        row = min(math.ceil(sabotage.start / family.every), len(run)) - 1
        start = int(run.step.iloc[row])
        harm = Harm.of(run, twin, start)
        lasting = LASTS[sabotage.kind] == math.inf
        rows_on = 1 if lasting else math.ceil(LASTS[sabotage.kind] / family.every)
        end = total if lasting else int(run.step.iloc[min(row + rows_on, len(run)) - 1])
        name = f"{family.name}-{SABOTAGED_SEED}-{sabotage.kind}"
        runs[name] = run
        wanted = expected(family, sabotage, harm, twin, start)
        label = {"run_id": name, "seed": SABOTAGED_SEED, "healthy": False, "sabotage": sabotage.kind}
        label |= {"start_step": start, "end_step": end, "total_steps": total, "expected": wanted}
        labels.append(label | {"harm": round(harm.sd, 2), "jump": round(harm.jump, 2)})
    rows = [frame.assign(run_id=run_id, family=family.name) for run_id, frame in runs.items()]
    return pd.concat(rows, ignore_index=True), [common | label for label in labels]


def mlp(*sizes: int, act: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    """A network of full layers."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), act()]
    return nn.Sequential(*layers[:-1])


def frozen(net: nn.Module) -> nn.Module:
    """A copy that is not trained."""
    return copy.deepcopy(net).requires_grad_(False)


def teacher(*sizes: int, gain: float = 2.0) -> nn.Module:
    """A network that makes the targets, wilder than one that begins."""
    net = mlp(*sizes)
    with torch.no_grad():
        for weight in net.parameters():
            weight.mul_(gain)
    return frozen(net)
