"""Every function that a hand-written loop reaches in a `Watcher` is made to raise: the loop never sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.utils.tensorboard import SummaryWriter

from scalewatch.alert import Rules
from scalewatch_torch import Precursors, Watcher
from tests.injection import Outcome, Pager, Reached, felt, reached_by, some_of
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
ONCE_BROKEN: tuple[str, ...] = ()
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


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the loop ends with where nobody watches."""
    return prepare(tmp_path_factory.mktemp("alone"), watched=False)()


@pytest.fixture(scope="module")
def reached(tmp_path_factory: pytest.TempPathFactory) -> list[Reached]:
    return reached_by(prepare(tmp_path_factory.mktemp("reached"), watched=True), FOUNDATION)


def test_what_is_reached_is_found(reached: list[Reached]) -> None:
    assert len(reached) >= LEAST_REACHED
    assert set(ONCE_BROKEN) <= {each.name for each in reached}


@pytest.mark.parametrize(
    "all_of_them", [pytest.param(False, id="some"), pytest.param(True, marks=pytest.mark.soak, id="all")]
)
def test_a_fault_of_ours_costs_one_warning_and_nothing_else(
    all_of_them: bool,
    alone: Outcome,
    reached: list[Reached],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Raised at its first call in turn: the weights are the same to the bit, and at most one line tells of it."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    tried = reached if all_of_them else some_of(reached, ONCE_BROKEN)
    runs = {f"{number}": prepare(tmp_path / f"{number}", watched=True) for number in range(1, len(tried) + 1)}

    assert {} == felt(tried, lambda name: runs[name](), alone, caplog)
