"""A hand-written loop of two processes under a `Watcher`: all ranks are watched, and what is done is done on each."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scalewatch.journal import Journal, read_journal
from tests.scalewatch_lightning.two_ranks import run_two

pytestmark = pytest.mark.skipif("not __import__('torch').distributed.is_available()", reason="torch without processes")


class Ran(NamedTuple):
    """What two processes left."""

    folder: Path
    said: list[list[Any]]
    errors: list[str]

    def journal(self, name: str) -> Journal:
        return read_journal(self.folder / name)

    def verdict(self, name: str) -> dict[str, str]:
        (record,) = [each for each in self.journal(name).others if each["type"] == "verdict"]
        return dict(record["rows"])

    def end(self, name: str) -> list[Any]:
        """Last step and whether the loop was asked to stop, which have to be the same on both ranks."""
        on_zero, on_one = ([words for words in said if words[0] == name] for said in self.said)
        assert on_zero == on_one, self.errors
        return list(on_zero[0][1:])


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("ranks")
    said, errors, codes = zip(*run_two("tests.scalewatch_torch.two_ranks", folder), strict=True)
    assert codes == (0, 0), errors
    return Ran(folder, list(said), list(errors))


def test_the_mean_of_all_ranks_is_watched_to_the_last_step(ran: Ran) -> None:
    """What is left after the last exchange is shared when both come to their end."""
    assert [row.step for row in ran.journal("healthy").observations] == list(range(1, 61))
    assert ran.end("healthy") == [60, False]
    assert ran.verdict("healthy")["ranks"] == "mean of 2"


def test_a_rank_that_is_not_like_the_other_is_named(ran: Ran) -> None:
    found = [finding.message for finding in ran.journal("apart").findings]
    rows = ran.journal("apart").observations

    assert any("rank 1 " in message for message in found)
    assert all(row.rank_losses is not None and row.rank_losses[1] - row.rank_losses[0] > 4.9 for row in rows)


def test_a_loss_that_is_no_number_names_its_rank_at_its_step(ran: Ran) -> None:
    first = ran.journal("nan").findings[0]

    assert (20, True) == (first.step, first.message.startswith("loss of rank 1 is nan at step 20"))


@pytest.mark.parametrize("name", ["stops", "stops zero"])
def test_a_lost_run_is_asked_to_stop_at_the_same_step_on_all_ranks(ran: Ran, name: str) -> None:
    """At the exchange after its weights were lost; who asked, and that the loop did as asked, is on record."""
    assert ran.end(name) == [32, True]
    acts = [record for record in ran.journal(name).others if record["type"] == "act"]
    assert [("stop", "asked"), ("stop", "honoured")] == [(each["act"], each["phase"]) for each in acts]
    assert ran.verdict(name)["ended"].startswith("stopped by scalewatch after step 32: the loss is no number since")


def test_rank_zero_alone_is_watched_where_that_was_asked_for(ran: Ran) -> None:
    assert ran.end("zero") == [60, False]
    assert "ranks" not in ran.verdict("zero")
    assert all(row.rank_losses is None for row in ran.journal("zero").observations)


def test_a_step_that_one_rank_spoils_is_left_out_on_both(ran: Ran) -> None:
    """The gradients are the same once they are reduced, and so is what is done about them."""
    acts = [record for record in ran.journal("skips").others if record["type"] == "act"]

    assert [("skip", 58), ("skip", 59), ("skip", 60)] == [(each["act"], each["step"]) for each in acts]
    assert ran.verdict("skips")["ended"] == "as planned"


def test_a_watcher_in_one_process_alone_hangs_nobody(ran: Ran) -> None:
    """It says so, watches its own loss, and does nothing that the other process would not do."""
    assert ran.end("alone") == [40, False]
    assert [row.step for row in ran.journal("alone").observations] == list(range(1, 41))
    assert "there is no Watcher in each of the 2 processes: rank 0 alone is watched" in ran.errors[0]
    assert "there is no Watcher" not in ran.errors[1]
