"""What a `Watcher` may do to a hand-written loop: asked for by name, told everywhere, and honoured or not."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from scalewatch.errors import ConfigError
from scalewatch.fitting import fit_curves
from scalewatch.forecast.prediction_file import write_prediction
from scalewatch.journal import read_journal
from scalewatch.offline.registering import PlannedRun, register_run
from scalewatch_torch import Watcher, resume_from
from tests.scalewatch_torch.conftest import Tiny, loss_of
from tests.supervised import supervised
from tests.synthetic import ladder

STEPS = 120


class Trained:
    """A loop as a user writes it, with a checkpoint every 20 steps, that goes on from `resume_from()`."""

    def __init__(self, folder: Path, *, lost_at: Callable[[int], bool], honours: bool = True, **options: Any) -> None:
        torch.manual_seed(0)
        self.model = Tiny()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-2)
        self.watcher = Watcher(
            self.model, self.optimizer, total_steps=STEPS, directory=folder / "journal", quiet=True, **options
        )
        self.folder, self.lost_at, self.honours = folder, lost_at, honours
        self.rates: list[float] = []

    def run(self) -> int:
        """Train, and return the last step."""
        first, place = 1, resume_from()
        if place is not None:
            saved = torch.load(place, weights_only=True)
            self.model.load_state_dict(saved["model"])
            self.watcher.load_state_dict(saved["watcher"])
            first = saved["step"] + 1
        with self.watcher as watcher:
            for step in range(first, STEPS + 1):
                loss = loss_of(self.model, step)
                self.optimizer.zero_grad()
                (loss * math.nan if self.lost_at(step) else loss).backward()
                self.optimizer.step()
                if watcher.step(loss) and self.honours:
                    return step
                if step % 20 == 0:
                    saved = {"model": self.model.state_dict(), "watcher": watcher.state_dict(), "step": step}
                    torch.save(saved, self.folder / "last.ckpt")  # the loop keeps one, and writes over it
                    watcher.saved(self.folder / "last.ckpt")
        return STEPS


def acts(folder: Path) -> list[tuple[str, str, int]]:
    """What the journal has of acts."""
    records = read_journal(folder / "journal").others
    return [(each["act"], each["phase"], each["step"]) for each in records if each["type"] == "act"]


def ended_as(folder: Path) -> str:
    """How the verdict says that the run has ended."""
    records = read_journal(folder / "journal").others
    return str(dict([each["rows"] for each in records if each["type"] == "verdict"][-1])["ended"])


def from_30(step: int) -> bool:
    return step >= 30


def test_a_lost_run_is_asked_to_stop_and_the_loop_honours_it(tmp_path: Path) -> None:
    """`step` says so when three losses on end are no numbers; request and end are on record, with the reason."""
    trained = Trained(tmp_path, lost_at=from_30, act=["stop"])

    assert trained.run() == 33
    assert acts(tmp_path) == [("stop", "asked", 33), ("stop", "honoured", 33)]
    assert ended_as(tmp_path).startswith("stopped by scalewatch after step 33: the loss is no number since step 31")


def test_a_loop_that_does_not_look_is_not_said_to_have_stopped(tmp_path: Path) -> None:
    trained = Trained(tmp_path, lost_at=from_30, honours=False, act=["stop"])

    assert trained.run() == STEPS
    assert trained.watcher.should_stop
    assert acts(tmp_path) == [("stop", "asked", 33), ("stop", "not honoured", 33)]
    assert ended_as(tmp_path).startswith("as planned; scalewatch asked to stop at step 33: ")


def test_a_dry_run_only_tells(tmp_path: Path) -> None:
    """Of what each act would have done, in the journal."""
    trained = Trained(tmp_path, lost_at=from_30, act="dry-run")

    assert trained.run() == STEPS
    assert not trained.watcher.should_stop
    told = acts(tmp_path)
    assert {"would"} == {phase for _, phase, _ in told}
    assert {"skip", "rewind", "stop"} <= {act for act, *_ in told}


def test_without_acts_weights_are_those_of_a_loop_that_nobody_watches(tmp_path: Path) -> None:
    """And acts that have no cause change nothing either, to the bit."""

    def weights(**options: Any) -> list[bytes]:
        trained = Trained(tmp_path / str(len(options)), lost_at=lambda step: False, **options)
        trained.folder.mkdir()
        trained.run()
        return [each.detach().numpy().tobytes() for each in trained.model.parameters()]

    assert weights() == weights(act=["stop", "skip", "lower_learning_rate"])


def test_a_step_without_a_number_is_skipped(tmp_path: Path) -> None:
    """Two batches of a run are bad, and the run ends healthy."""
    trained = Trained(tmp_path, lost_at=lambda step: step in (40, 41), act=["skip"])

    assert trained.run() == STEPS
    assert acts(tmp_path) == [("skip", "asked", 40), ("skip", "asked", 41)]
    assert all(bool(torch.isfinite(each).all()) for each in trained.model.parameters())


def test_a_rate_that_left_its_plan_goes_back_to_it(tmp_path: Path) -> None:
    """By hooks of the optimizer: steps are taken with the planned rate while the scheduled one is thirty times that."""
    torch.manual_seed(0)
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    watcher = Watcher(
        model, optimizer, total_steps=400, directory=tmp_path / "journal", quiet=True, act=["lower_learning_rate"]
    )
    taken, generator = [], torch.Generator().manual_seed(0)
    optimizer.register_step_post_hook(lambda *_: taken.append(0.0))
    with watcher:
        for step in range(1, 401):
            optimizer.param_groups[0]["lr"] = 3e-3 if step >= 200 else 1e-4
            before = model.bias.item()
            optimizer.zero_grad()
            model.bias.sum().backward()
            optimizer.step()
            taken[-1] = before - model.bias.item()
            noise = float(torch.rand(1, generator=generator))
            watcher.step(torch.tensor(1.0 + 0.05 * noise + (3.0 if taken[-1] > 1e-3 else 0.0)))

    assert pytest.approx(3e-3, rel=1e-2) == taken[205]
    assert pytest.approx(1e-4, rel=1e-2) == taken[-1]
    assert ("lower_learning_rate", "asked") == acts(tmp_path)[0][:2]


def test_a_lost_run_goes_back_to_its_last_good_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although the loop has written over it in place: there is a copy. The batch that did it is left out, once."""
    ends: list[int] = []

    def train() -> None:
        ends.append(Trained(tmp_path, lost_at=lambda step: step == 77, act=["rewind"]).run())

    requests = supervised(tmp_path, monkeypatch, train)

    assert [STEPS] == ends
    assert [(60, 1)] == [(request.step, request.number) for request in requests]
    assert [("rewind", "asked"), ("rewind", "honoured")] == [each[:2] for each in acts(tmp_path)]
    journal = read_journal(tmp_path / "journal")
    assert STEPS == journal.observations[-1].step
    assert math.isfinite(journal.observations[-1].loss)
    assert [] == list((tmp_path / "kept_by_scalewatch").glob("*"))


def test_advice_names_the_checkpoint_that_the_loop_has_told_of(tmp_path: Path) -> None:
    """Also where nothing may be done."""
    Trained(tmp_path, lost_at=from_30).run()

    texts = [each.text for each in read_journal(tmp_path / "journal").advice]
    assert any("last.ckpt" in text or "step 20" in text for text in texts), texts


def test_a_run_is_held_against_what_was_registered(tmp_path: Path) -> None:
    """Its fingerprint is in the journal."""
    planned = PlannedRun("tiny", STEPS, "cosine", 1e-3, 5, 64.0, 1_000, 1_000)
    prediction = register_run(fit_curves(ladder()), planned, 1e9)
    write_prediction(prediction, tmp_path / "demo.json")
    Trained(tmp_path, lost_at=lambda step: False, registered=tmp_path / "demo.json").run()

    kept = read_journal(tmp_path / "journal").registered
    assert kept is not None
    assert prediction.fingerprint == kept["registered_as"]


def test_what_is_no_act_is_refused() -> None:
    model = torch.nn.Linear(2, 1)
    with pytest.raises(ConfigError, match="`act` must be a list of actions"):
        Watcher(model, torch.optim.SGD(model.parameters(), 0.1), act=["pause"])  # type: ignore[list-item]
