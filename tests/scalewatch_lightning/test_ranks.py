"""All ranks of a run are watched: by their mean, and the one that is not like the others is named."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scalewatch.errors import ConfigError
from scalewatch.journal import Journal, read_journal
from scalewatch_lightning import ScaleWatch
from tests.scalewatch_lightning.two_ranks import run_two

pytestmark = pytest.mark.skipif("not __import__('torch').distributed.is_available()", reason="torch without processes")


class Ran(NamedTuple):
    """What two processes left."""

    folder: Path
    said: list[list[Any]]
    errors: list[str]
    codes: list[int]

    def journal(self, name: str) -> Journal:
        return read_journal(self.folder / name)

    def verdict(self, name: str) -> dict[str, str]:
        (record,) = [each for each in self.journal(name).others if each["type"] == "verdict"]
        return dict(record["rows"])

    def fit(self, name: str) -> tuple[int, dict[str, int]]:
        """Last step and collectives of ours, which have to be the same on both ranks."""
        on_zero, on_one = ([words for words in said if words[0] == name] for said in self.said)
        assert on_zero == on_one, self.errors
        return on_zero[0][1], on_zero[0][2]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("ranks")
    outputs = run_two("tests.scalewatch_lightning.two_ranks", folder)
    said, errors, codes = zip(*outputs, strict=True)
    return Ran(folder, list(said), list(errors), list(codes))


def messages(journal: Journal) -> list[tuple[int, str, str]]:
    return [(finding.step, finding.severity.value, finding.message) for finding in journal.findings]


def test_a_healthy_run_is_watched_by_the_mean_of_its_ranks(ran: Ran) -> None:
    """One gather every 16 batches, and one at the end; no broadcast, for nothing may be decided."""
    journal = ran.journal("healthy")

    assert [row.step for row in journal.observations] == list(range(1, 61))
    assert (60, {"all_gather": 4}) == ran.fit("healthy")
    assert "over: healthy to its end" == ran.verdict("healthy")["health"]
    assert "mean of 2" == ran.verdict("healthy")["ranks"]
    both = [(row.loss, row.rank_losses) for row in journal.observations if row.rank_losses]
    assert all(math.isclose(sum(losses) / 2, mean, rel_tol=1e-6) for mean, losses in both)
    assert [row.tokens for row in journal.observations][:2] == [80, 160]  # of both processes


def test_a_rank_that_is_above_the_other_all_the_run_is_named(ran: Ran) -> None:
    """Though its mean falls like that of a healthy run."""
    found = messages(ran.journal("apart"))

    assert [(16, "info"), (32, "warning")] == [each[:2] for each in found]
    assert all("rank 1 " in each[2] for each in found)
    assert "IN TROUBLE: rank unlike the others since step 1" == ran.verdict("apart")["health"]


def test_a_rank_that_is_away_for_thirty_steps_is_named_with_the_spike(ran: Ran) -> None:
    """In the sentence and in the evidence of the cause."""
    (first, *_) = (finding for finding in ran.journal("spike").findings if str(finding.kind) == "spike")

    assert first.message.endswith("(rank 1 alone)")
    assert (first.evidence["rank"], first.evidence["cause"]) == (1, "hardware")


def test_a_loss_that_is_no_number_on_one_rank_names_it(ran: Ran) -> None:
    """At its very step, before the weights of all are lost."""
    first, second = messages(ran.journal("nan"))[:2]

    assert first[:2] == (20, "info")
    assert first[2].startswith("loss of rank 1 is nan at step 20")
    assert second == (22, "critical", "loss of rank 1 is nan since step 20, 3 rows running")


def test_ranks_stop_after_the_same_step(ran: Ran) -> None:
    """At the exchange after the loss was lost, by one broadcast."""
    step, counts = ran.fit("stops")

    assert step == 32
    assert counts == {"all_gather": 2, "broadcast": 2}
    assert ran.verdict("stops")["ended"].startswith("stopped by scalewatch after step 32: ")


def test_ranks_stop_after_the_same_step_where_rank_zero_alone_is_watched(ran: Ran) -> None:
    """It is told to all of them by the trainer's own broadcast."""
    assert ran.fit("stops zero") == (32, {})


def test_rank_zero_alone_is_watched_without_a_word_between_ranks(ran: Ran) -> None:
    """Its loss as it is, and not one collective of ours."""
    assert (60, {}) == ran.fit("zero")
    assert "ranks" not in ran.verdict("zero")
    assert "over: healthy to its end" == ran.verdict("zero")["health"]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_whose_watch_is_off_goes_on_taking_part(ran: Ran, rank: int) -> None:
    """Or the other one would wait for ever."""
    assert (60, {"all_gather": 4, "broadcast": 3}) == ran.fit(f"off on {rank}")


def test_weights_in_pieces_are_watched_too(ran: Ran) -> None:
    """FSDP2: the mean of both is watched; of a gradient in pieces no step is skipped, and it says so."""
    assert 60 == ran.fit("sharded")[0]
    assert [row.step for row in ran.journal("sharded").observations] == list(range(1, 61))
    assert "mean of 2" == ran.verdict("sharded")["ranks"]
    notes = [str(each["text"]) for each in ran.journal("sharded").others if each["type"] == "note"]
    assert any(note.startswith("no step can be skipped: ") for note in notes)


def test_a_rank_that_shows_nothing_is_told_of(ran: Ran) -> None:
    """And left out of the mean."""
    assert ran.verdict("off on 1")["ranks"] == "mean of 2; not seen in 60 steps: rank 1"
    assert ran.journal("off on 1").observations[30].loss < 3.0


def test_a_rank_that_dies_hangs_nobody(ran: Ran) -> None:
    """The other ends with its verdict, and tells what it knew alone."""
    assert ran.codes == [1, 9]
    said = ran.verdict("dies")
    assert said["ended"].startswith("crashed after step 24: ")
    assert said["ranks"] == "mean of 2; the last 8 steps were not shared"
    (note,) = [record["text"] for record in ran.journal("dies").others if record["type"] == "note"]
    assert note.startswith("note: steps 17 to 24 were not shared between ranks; on rank 0 the loss was ")


@pytest.mark.parametrize("odd", ["one", 0, None, ["all"]])
def test_other_ranks_are_refused(odd: Any) -> None:
    """With the two words that there are."""
    with pytest.raises(ConfigError, match="`ranks` must be 'all', or 'zero'"):
        ScaleWatch(ranks=odd)
