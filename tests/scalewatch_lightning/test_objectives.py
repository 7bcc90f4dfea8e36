"""A module whose objective is no descent, and one that has two losses: known by what it logs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from scalewatch.errors import ConfigError, JournalError
from scalewatch.journal import Journal, read_journal
from scalewatch.logs import open_logs
from scalewatch.offline.replayed import ReplayedRun, Settings
from scalewatch_lightning import ScaleWatch
from tests.scalewatch_lightning.conftest import TinyText, loader

Watched = Callable[..., Journal]


class Game(TinyText):
    """Two losses that work against each other, each stepped by hand."""

    def __init__(self, spoil: Callable[[int], float] = lambda seen: 0.0) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.logged: list[float] = []
        self.of_judge = spoil

    def training_step(self, batch: Any, batch_idx: int) -> None:
        optimizer = self.optimizers()
        loss = self.loss(batch)
        self.batches_seen += 1
        self.log_dict({"g_loss": loss.detach(), "d_loss": 3.0 - loss.detach() + self.of_judge(self.batches_seen)})
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


def test_the_losses_of_a_game_are_watched_each_by_itself_under_one_verdict(
    watched: Watched, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A journal for each, and one table, whose health is that of the worse one."""
    game = Game(spoil=lambda seen: 0.0 if seen < 30 else float("nan"))
    with pytest.raises(JournalError):  # the journals are one folder below
        watched(game, ScaleWatch(losses=["g_loss", "d_loss"]), max_steps=60)

    generator, judge = (read_journal(tmp_path / "scalewatch" / name) for name in ("g_loss", "d_loss"))
    assert game.logged == pytest.approx([row.loss for row in generator.observations])
    assert [3.0 - loss for loss in game.logged[:29]] == pytest.approx([row.loss for row in judge.observations][:29])
    assert (generator.run.name, judge.run.name) == ("Game g_loss", "Game d_loss")
    printed = capsys.readouterr().out
    assert printed.count("│ health ") == 1
    assert "d_loss: LOST: non-finite loss since step 30" in printed
    assert "scalewatch: d_loss: step 30: info: non-finite loss" in printed
    assert "two losses work against each other" in verdict(generator)["health"]


def test_a_game_that_goes_on_from_a_checkpoint_keeps_both_its_journals(
    new_trainer: Callable[..., Any], tmp_path: Path
) -> None:
    """Each goes on where it was, with the monitor that it had."""
    options = {"max_steps": 20, "enable_checkpointing": True}
    trainer = new_trainer([ScaleWatch(quiet=True, losses=["g_loss", "d_loss"])], **options)
    trainer.fit(Game(), loader())
    trainer.save_checkpoint(tmp_path / "at20.ckpt")
    again = new_trainer([ScaleWatch(quiet=True, losses=["g_loss", "d_loss"])], **{**options, "max_steps": 30})
    again.fit(Game(), loader(), ckpt_path=tmp_path / "at20.ckpt")

    for name in ("g_loss", "d_loss"):
        journal = read_journal(tmp_path / "scalewatch" / name)
        assert [row.step for row in journal.observations] == list(range(1, 31))
        assert len({segment.run_id for segment in journal.segments}) == 1
    assert len(journal.segments) == 2


def test_both_losses_of_a_game_are_drawn_in_tensorboard(new_trainer: Callable[..., Any], tmp_path: Path) -> None:
    """The first by the names of a run with one loss, each other under its own; findings and verdicts too."""
    board = TensorBoardLogger(tmp_path, name="board", version="0")
    watch = ScaleWatch(quiet=True, losses=["g_loss", "d_loss"])
    new_trainer([watch], max_steps=60, logger=board).fit(Game(), loader())

    events = EventAccumulator(board.log_dir, size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    drawn = {name: [each.value for each in events.Scalars(f"scalewatch/{name}")] for name in ("loss", "d_loss/loss")}
    kept = {
        name: [row.loss for row in read_journal(Path(board.log_dir) / "scalewatch" / name).observations]
        for name in ("g_loss", "d_loss")
    }
    assert kept["g_loss"] == pytest.approx(drawn["loss"], rel=1e-6, nan_ok=True)
    assert kept["d_loss"] == pytest.approx(drawn["d_loss/loss"], rel=1e-6, nan_ok=True)
    assert {"scalewatch/verdict/text_summary", "scalewatch/d_loss/verdict/text_summary"} <= set(
        events.Tags()["tensors"]
    )


def test_a_loss_that_is_nowhere_is_no_healthy_run(watched: Watched) -> None:
    """The name was wrong: nothing is watched, and nothing is called healthy."""
    said = verdict(watched(TinyText(), ScaleWatch(quiet=True, loss="no_such_loss")))

    assert said["health"].startswith("cannot tell: ")
    assert said["watched"].startswith("0 of 20 steps")


class TwoSets(TinyText):
    """Validates on two data loaders, and calls neither loss by a usual name."""

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.log("heldout/nll", 2.0 + 2.0 * dataloader_idx)


def test_validation_on_two_sets_is_watched_by_its_mean(watched: Watched) -> None:
    """The journal says what the mean is made of."""
    journal = watched(TwoSets(), validation=[loader(8), loader(8)], val_check_interval=5)

    assert {3.0} == {row.validation_loss for row in journal.observations if row.validation_loss is not None}
    parts = [record["losses"] for record in journal.others if record["type"] == "validations"]
    assert [["heldout/nll/dataloader_idx_0", "2"], ["heldout/nll/dataloader_idx_1", "4"]] == parts[0]


def test_one_of_two_sets_may_be_the_one_to_watch(watched: Watched) -> None:
    """By its whole name."""
    watch = ScaleWatch(quiet=True, validation="heldout/nll/dataloader_idx_1")
    journal = watched(TwoSets(), watch, validation=[loader(8), loader(8)], val_check_interval=5)

    assert {4.0} == {row.validation_loss for row in journal.observations if row.validation_loss is not None}


@pytest.mark.parametrize("odd", [7, "", "  ", ["g_loss"]])
def test_a_name_of_a_loss_that_is_none_is_refused(odd: Any) -> None:
    """At once, with an example."""
    with pytest.raises(ConfigError, match="`loss` must be the name under which the module logs its loss"):
        ScaleWatch(loss=odd)


@pytest.mark.parametrize("option", ["losses", "validation"])
@pytest.mark.parametrize("odd", [7, [""], ["a", "a"], [None]])
def test_names_that_are_none_are_refused(option: str, odd: Any) -> None:
    """Naming the option."""
    with pytest.raises(ConfigError, match=f"`{option}` must"):
        ScaleWatch(**{option: odd})


def test_one_loss_and_several_are_not_both_given() -> None:
    """Nobody could tell which is meant."""
    with pytest.raises(ConfigError, match="either `loss`, for one, or `losses`"):
        ScaleWatch(loss="a", losses=["b", "c"])
