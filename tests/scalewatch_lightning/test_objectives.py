"""A module whose objective is no descent, and one that has two losses: known by what it logs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from scalewatch.errors import ConfigError
from scalewatch.journal import Journal
from scalewatch.logs import open_logs
from scalewatch.offline.replayed import ReplayedRun, Settings
from scalewatch_lightning import ScaleWatch
from tests.scalewatch_lightning.conftest import TinyText

Watched = Callable[..., Journal]


class Game(TinyText):
    """Two losses that work against each other, each stepped by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.logged: list[float] = []

    def training_step(self, batch: Any, batch_idx: int) -> None:
        optimizer = self.optimizers()
        loss = self.loss(batch)
        self.log_dict({"g_loss": loss.detach(), "d_loss": 3.0 - loss.detach()})
        self.logged.append(loss.item())
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()


class Policy(TinyText):
    """A loss that goes nowhere, with a reward beside it."""

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor | None:
        self.log("train/reward", 0.1 * self.batches_seen)
        return super().training_step(batch, batch_idx)


def verdict(journal: Journal) -> dict[str, str]:
    (record,) = [each for each in journal.others if each["type"] == "verdict"]
    return dict(record["rows"])


def test_where_no_loss_is_found_the_verdict_names_those_that_are_logged(watched: Watched) -> None:
    """Instead of calling a run healthy that nobody watched."""
    said = verdict(watched(Game()))

    assert "cannot tell: no loss was found (" in said["health"]
    assert "g_loss" in said["health"]
    assert "d_loss" in said["health"]
    assert "name one with `loss=`" in said["health"]


def test_a_loss_that_is_named_is_the_one_that_is_watched(watched: Watched) -> None:
    """As the module logged it, step by step."""
    game = Game()
    journal = watched(game, ScaleWatch(quiet=True, loss="g_loss"))

    assert game.logged == pytest.approx([row.loss for row in journal.observations])


def test_a_policy_is_no_descent_now_and_in_every_later_reading(watched: Watched, tmp_path: Path) -> None:
    """What was logged beside the loss is in the journal: its replay says the same as the callback did."""
    policy = Policy(spoil=lambda seen, loss: 0.0 * loss + 1.0 + 0.3 * (seen * 7 % 5))
    journal = watched(policy, max_steps=60)
    (log,) = open_logs([tmp_path / "scalewatch"]).logs
    again = ReplayedRun(log, Settings())
    found = list(again.advance())

    assert "a reward is logged beside the loss (train/reward)" in verdict(journal)["health"]
    assert verdict(journal)["health"] == again.tracker.status.sentence
    assert [] == [each for each in found if each.pages]


@pytest.mark.parametrize("odd", [7, "", "  ", ["g_loss"]])
def test_a_name_of_a_loss_that_is_none_is_refused(odd: Any) -> None:
    """At once, with an example."""
    with pytest.raises(ConfigError, match="`loss` must be the name under which the module logs its loss"):
        ScaleWatch(loss=odd)
