"""A hand-written loop under a `Watcher`: what it is told, what it keeps, and that training is as without it."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate.scheduler import AcceleratedScheduler
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from scalewatch.errors import ConfigError
from scalewatch.journal import Journal, read_journal
from scalewatch_torch import Precursors, Scheduled, Watcher, planned_rates
from scalewatch_torch.watching.unwrapped import scheduled
from tests import warm
from tests.scalewatch_torch.conftest import Tiny, loss_of

STEPS = 12


class Loop:
    """A training as a user writes it, one step a call."""

    def __init__(self, **options: Any) -> None:
        torch.manual_seed(0)
        self.model = Tiny()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-2)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, STEPS)
        options = {"total_steps": STEPS, "quiet": True, "grad_norm_every": 1, **options}
        self.watcher = Watcher(self.model, self.optimizer, self.scheduler, **options)
        self.losses: list[float] = []
        self.rates: list[float] = []
        self.norms: list[float] = []

    def step(self, number: int, batches: int = 1) -> None:
        self.optimizer.zero_grad()
        losses = []
        for batch in range(batches):
            with self.watcher.forward():
                loss = loss_of(self.model, number * batches + batch)
            (loss / batches).backward()
            losses.append(loss.item())
            if batch == batches - 1:
                grads = [p.grad for p in self.model.parameters() if p.grad is not None]
                self.norms.append(torch.nn.utils.get_total_norm(grads).item())
                self.rates.append(self.optimizer.param_groups[0]["lr"])
                self.optimizer.step()
                self.scheduler.step()
            self.watcher.step(loss)
        self.losses.append(sum(losses) / batches)


def verdict(journal: Journal) -> dict[str, str]:
    """The table that a run ended with."""
    return dict(next(record["rows"] for record in journal.others if record["type"] == "verdict"))


@pytest.mark.parametrize("batches", [1, 3])
def test_each_step_is_recorded_with_its_loss_rate_and_norm(batches: int, tmp_path: Path) -> None:
    """The mean loss of its batches, the rate that it was taken with, the norm of the sum of its gradients."""
    loop = Loop(directory=tmp_path, tokens_per_step=40)
    with loop.watcher:
        for number in range(1, STEPS + 1):
            loop.step(number, batches)

    seen = read_journal(tmp_path).observations
    assert list(range(1, STEPS + 1)) == [each.step for each in seen]
    assert loop.losses == pytest.approx([each.loss for each in seen], rel=1e-6)
    assert loop.rates == pytest.approx([each.learning_rate for each in seen], rel=1e-12)
    assert loop.norms == pytest.approx([each.grad_norm for each in seen], rel=1e-5)
    assert [40.0 * step for step in range(1, STEPS + 1)] == [each.tokens for each in seen]


def test_a_run_knows_its_plan_before_its_first_step(tmp_path: Path) -> None:
    """Length, rates, name and size are in the header, so that a law can be asked before anything is paid for."""
    loop = Loop(directory=tmp_path)
    with loop.watcher:
        for number in range(1, STEPS + 1):
            loop.step(number)

    run = read_journal(tmp_path).run
    assert run is not None
    assert ("Tiny", STEPS) == (run.name, run.total_steps)
    assert sum(p.numel() for p in loop.model.parameters()) == run.parameters
    assert run.learning_rates is not None
    assert loop.rates == pytest.approx(run.learning_rates.tolist(), rel=1e-6)


def test_nothing_of_the_training_changes(tmp_path: Path) -> None:
    """Weights and random state after it are those of a loop without a watcher, to the bit."""

    def trained(**options: Any) -> tuple[list[bytes], bytes]:
        loop = Loop(directory=tmp_path, **options)
        if not options:
            loop.watcher.close()
        for number in range(1, STEPS + 1):
            loop.step(number)
        loop.watcher.close()
        return [p.detach().numpy().tobytes() for p in loop.model.parameters()], torch.get_rng_state().numpy().tobytes()

    assert trained() == trained(precursors=Precursors(every=2), alerts=[])


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (None, "after step 5"),
        (ValueError("no data"), "crashed after step 5: ValueError: no data"),
        (KeyboardInterrupt(), "interrupted after step 5: KeyboardInterrupt"),
    ],
)
def test_a_block_says_how_its_run_ended(fault: BaseException | None, word: str, tmp_path: Path) -> None:
    """Left early, by a fault or by Ctrl-C, which goes on its way."""

    def run() -> None:
        loop = Loop(directory=tmp_path)
        with loop.watcher:
            for number in range(1, 6):
                loop.step(number)
            if fault is not None:
                raise fault

    if fault is None:
        run()
    else:
        with pytest.raises(type(fault)):
            run()

    assert word == verdict(read_journal(tmp_path))["ended"]


SCRIPT = """
import sys, torch
from scalewatch_torch import Watcher
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
watcher = Watcher(model, optimizer, total_steps=4, directory=sys.argv[1])
for step in range(4):
    loss = model(torch.ones(3, 2)).square().mean()
    loss.backward()
    optimizer.step()
    watcher.step(loss)
    if step == 2 and len(sys.argv) > 2:
        raise ValueError("no data")
"""


@pytest.mark.parametrize(
    ("options", "word"), [([], "as planned"), (["fault"], "crashed after step 3: ValueError: no data")]
)
def test_a_process_that_exits_closes_its_watch(options: list[str], word: str, tmp_path: Path) -> None:
    """Two lines and no `with`: the table is printed and kept, with the fault that the process ended by."""
    done = subprocess.run(
        [*warm.python(), "-c", SCRIPT, str(tmp_path), *options], capture_output=True, encoding="utf-8", timeout=280
    )

    assert bool(options) == bool(done.returncode), done.stderr[-2000:]
    assert word in done.stdout
    assert word == verdict(read_journal(tmp_path))["ended"]


def test_a_run_that_goes_on_is_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint in the middle, loaded into a new loop: one journal, and the state of one uninterrupted run."""
    monkeypatch.setattr("scalewatch_torch.watching.step_metrics.time", SimpleNamespace(time=lambda: 1.7e9))
    whole = Loop(directory=tmp_path / "whole")
    for number in range(1, STEPS + 1):
        whole.step(number)
    first = Loop(directory=tmp_path / "parts")
    for number in range(1, 7):
        first.step(number)
    saved = {
        "model": first.model.state_dict(),
        "optimizer": first.optimizer.state_dict(),
        "scheduler": first.scheduler.state_dict(),
        "watcher": first.watcher.state_dict(),
    }
    torch.save(saved, tmp_path / "half.ckpt")
    first.watcher.close()
    second = Loop(directory=tmp_path / "parts")
    for part, state in torch.load(tmp_path / "half.ckpt", weights_only=True).items():
        getattr(second, part).load_state_dict(state)
    for number in range(7, STEPS + 1):
        second.step(number)

    states = whole.watcher.state_dict(), second.watcher.state_dict()
    whole.watcher.close()
    second.watcher.close()

    journal = read_journal(tmp_path / "parts")
    assert [each[:4] for each in read_journal(tmp_path / "whole").observations] == [
        each[:4] for each in journal.observations
    ]
    assert 1 == len({segment.run_id for segment in journal.segments})
    assert states[0]["monitor"] == states[1]["monitor"]
    assert states[0]["plan"] == states[1]["plan"]


def test_a_checkpoint_that_comes_too_late_is_refused(tmp_path: Path) -> None:
    """It would be of another run than the one that is watched."""
    loop = Loop(directory=tmp_path)
    with loop.watcher:
        loop.step(1)
        with pytest.raises(ConfigError, match="comes before the first step"):
            loop.watcher.load_state_dict(loop.watcher.state_dict())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": 7}, "`model` must be a torch.nn.Module (got int)"),
        ({"optimizer": "adam"}, "`optimizer` must be a torch.optim.Optimizer, or several (got str)"),
        ({"optimizer": []}, "(got none)"),
        ({"scheduler": 0.1}, "`scheduler` must be a scheduler of learning rates (got float)"),
        ({"total_steps": 0}, "`total_steps` must be an integer of at least 1 (got 0, int)"),
        ({"total_steps": math.nan}, "(got nan, float)"),
        ({"total_steps": 1e300}, "at least 1, up to 1e+12 (got 1e+300, float)"),
        (
            {"steps_per_epoch": math.inf},
            "`steps_per_epoch` must be an integer of at least 1, up to 1e+12 (got inf, float)",
        ),
        ({"steps_per_epoch": True}, "(got True, bool)"),
        ({"steps_per_epoch": -3}, "(got -3, int)"),
        ({"tokens_per_step": 10**400}, "`tokens_per_step` must be an integer of at least 1, up to 1e+18"),
        ({"max_time": True}, "`max_time` must be seconds"),
        ({"max_time": 0}, "`max_time` must be seconds or a timedelta, above 0, or None (got 0)"),
        ({"steps_per_epoch": 2.5}, "`steps_per_epoch` must be an integer of at least 1 (got 2.5, float)"),
        ({"tokens_per_step": -1}, "`tokens_per_step` must be an integer of at least 1"),
    ],
)
def test_a_wrong_option_is_refused(change: dict[str, Any], says: str) -> None:
    """When the watcher is made, while there is somebody to tell."""
    model = torch.nn.Linear(2, 1)
    given = {"model": model, "optimizer": torch.optim.SGD(model.parameters(), 0.1), **change}

    with pytest.raises(ConfigError) as refusal:
        Watcher(**given)

    assert says in str(refusal.value)


def test_a_forward_pass_that_raises_leaves_nothing_behind(tmp_path: Path) -> None:
    """Precursors listen only inside of `forward`, also where it is left by a fault."""
    loop = Loop(directory=tmp_path, precursors=Precursors(every=1))
    with loop.watcher:
        loop.step(1)
        loop.model.fails = True
        with pytest.raises(ValueError, match="was to fail"):
            loop.step(2)
        assert torch.overrides._get_current_function_mode() is None
        loop.model.fails = False
        for number in (3, 4):
            loop.step(number)

    measured = [each.precursors for each in read_journal(tmp_path).observations if each.precursors]
    assert {"log_z", "attention_logit", "update_rms"} <= set(measured[-1])


def test_a_fault_of_ours_costs_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The loop goes on where the watch cannot begin."""
    monkeypatch.delenv("SCALEWATCH_STRICT")

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("scalewatch_torch.watching.loop.Session.__init__", fails)
    loop = Loop(directory=tmp_path)
    with loop.watcher:
        for number in range(1, 4):
            loop.step(number)

    told = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert 1 == len(told)
    assert "'start' failed (RuntimeError: a fault of ours)" in told[0]


def test_lines_pass_a_bar_of_the_users_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No line is written into the middle of a bar that tqdm is drawing."""
    loop = Loop(directory=tmp_path, quiet=False)
    with loop.watcher:
        for number in tqdm(range(1, STEPS + 1), file=sys.stdout, mininterval=0):
            loop.step(number)

    lines = capsys.readouterr().out.replace("\r", "\n").splitlines()
    assert any(line.startswith("scalewatch: ") for line in lines)
    assert [] == [line for line in lines if "scalewatch: " in line and "it/s" in line]


def test_a_loop_that_draws_is_drawn_with(tmp_path: Path) -> None:
    """What is forecast stands in the event file beside what the loop logs."""
    writer = SummaryWriter(tmp_path / "events")
    loop = Loop(directory=tmp_path, loggers=[writer])
    with loop.watcher:
        for number in range(1, STEPS + 1):
            loop.step(number)
    writer.close()

    (events,) = (tmp_path / "events").iterdir()
    assert b"scalewatch/loss" in events.read_bytes()


def test_a_scheduler_that_accelerate_steps_for_each_process_is_run_ahead_so() -> None:
    """Of two processes every other rate is seen, and none beyond the end."""
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=8)
    alone = planned_rates(optimizer, [Scheduled(scheduler)], 8).rates
    prepared = AcceleratedScheduler(scheduler, optimizer)

    two = planned_rates(optimizer, scheduled(prepared, 2), 4).rates

    assert alone is not None
    assert two is not None
    assert alone[::2].tolist() == pytest.approx(two.tolist())


RANK = """
import sys, torch
from scalewatch_torch import Watcher
rank, folder = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
with Watcher(model, optimizer, total_steps=3, directory=f"{folder}/rank{rank}") as watcher:
    for step in range(3):
        optimizer.zero_grad()
        loss = (model(torch.full((3, 2), 1.0 + rank)) - 1.0).square().mean()
        loss.backward()
        optimizer.step()
        watcher.step(loss)
torch.distributed.destroy_process_group()
"""


def test_of_two_processes_the_first_watches(tmp_path: Path) -> None:
    """The other one keeps no journal and prints nothing."""
    processes = [
        subprocess.Popen(
            [*warm.python(), "-c", RANK, str(rank), str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        for rank in (0, 1)
    ]
    printed = [process.communicate(timeout=280) for process in processes]

    assert [0, 0] == [process.returncode for process in processes], printed
    assert ["Linear" in out for out, _ in printed] == [True, False]
    assert 3 == len(read_journal(tmp_path / "rank0").observations)
    assert not (tmp_path / "rank1").exists()
