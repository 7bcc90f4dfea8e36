"""The Trainer of transformers in two processes: all ranks are watched, and they stop after the same step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scalewatch.journal import Journal, read_journal
from tests.scalewatch_lightning.two_ranks import run_two

pytestmark = pytest.mark.skipif("not __import__('torch').distributed.is_available()", reason="torch without processes")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """Where the trainings are, and the last step of each, which both ranks say."""
    folder = tmp_path_factory.mktemp("ranks")
    said, errors, codes = zip(*run_two("tests.scalewatch_transformers.two_ranks", folder), strict=True)
    assert codes == (0, 0), errors
    assert said[0] == said[1]
    return folder, dict(said[0])


def journal(ran: tuple[Path, Any], name: str) -> Journal:
    return read_journal(ran[0] / name / "scalewatch")


def verdict(ran: tuple[Path, Any], name: str) -> dict[str, str]:
    (record,) = [each for each in journal(ran, name).others if each["type"] == "verdict"]
    return dict(record["rows"])


def test_the_mean_of_all_ranks_is_watched_to_the_last_step(ran: tuple[Path, dict[str, int]]) -> None:
    assert [row.step for row in journal(ran, "healthy").observations] == list(range(1, 41))
    assert verdict(ran, "healthy")["ranks"] == "mean of 2"
    assert verdict(ran, "healthy")["ended"] == "as planned"


def test_a_rank_that_is_not_like_the_other_is_named(ran: tuple[Path, dict[str, int]]) -> None:
    rows = journal(ran, "apart").observations

    assert any("rank 1 " in finding.message for finding in journal(ran, "apart").findings)
    assert all(row.rank_losses is not None and row.rank_losses[1] - row.rank_losses[0] > 3.0 for row in rows)


@pytest.mark.parametrize("name", ["stops", "stops zero"])
def test_a_lost_run_stops_after_the_same_step_on_all_ranks(ran: tuple[Path, dict[str, int]], name: str) -> None:
    """In mid-epoch, and no checkpoint of the lost weights is written: that of before stays the newest."""
    folder, ends = ran
    step = ends[name]

    assert 22 < step <= 40
    acts = [record for record in journal(ran, name).others if record["type"] == "act"]
    assert [("stop", "asked"), ("stop", "honoured")] == [(each["act"], each["phase"]) for each in acts]
    assert verdict(ran, name)["ended"].startswith(f"stopped by scalewatch after step {step}: ")
    assert [] == list((folder / name).glob("checkpoint-*"))


def test_rank_zero_alone_is_watched_where_that_was_asked_for(ran: tuple[Path, dict[str, int]]) -> None:
    assert "ranks" not in verdict(ran, "zero")
    assert all(row.rank_losses is None for row in journal(ran, "zero").observations)
