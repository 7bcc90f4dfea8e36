"""The one answer on top of every panel: of each state its words, its number with a unit, and one thing to do."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalewatch.arrays import Floats
from scalewatch_tensorboard.views.overview import page_of
from tests.scalewatch_tensorboard.logs import TOTAL, journal_log, losses_of
from tests.scalewatch_tensorboard.registries import registry_of
from tests.synthetic import cosine, planned

DONE = 1_200


def page(folder: Path, losses: Floats, total: int = TOTAL) -> dict[str, Any]:
    """What the page says of a run of these losses."""
    rates = cosine(total)
    journal_log(folder / "run", planned(rates, 8e6, "run"), losses, rates, ended=False)
    return page_of(registry_of(folder).find("run"))


def test_a_lost_run_says_since_when_how_far_and_to_stop(tmp_path: Path) -> None:
    """And what is behind the advice is beside it."""
    losses = losses_of(TOTAL, DONE, 0)
    losses[800:] += 2.0
    told = page(tmp_path, losses)
    answer = told["answer"]

    assert "lost" == told["level"]
    assert ("Spike since step 801", "stop") == (answer["what"], answer["action"])
    assert answer["number"].endswith(" %")
    assert 60 < float(answer["number"].strip("+ %")) < 90
    assert "before it" in answer["words"]
    assert answer["ago"] == DONE - 801
    assert answer["advice"]["would_change"]


def test_a_loss_that_is_no_number_counts_the_steps(tmp_path: Path) -> None:
    """There is no distance to tell."""
    losses = losses_of(TOTAL, DONE, 0)
    losses[900:] = math.nan

    answer = page(tmp_path, losses)["answer"]
    assert ("300 steps", "without a finite loss") == (answer["number"], answer["words"])


def test_few_rows_are_not_health(tmp_path: Path) -> None:
    """Nine rows could hide anything."""
    told = page(tmp_path, losses_of(TOTAL, 9, 0))

    assert ("unknown", "wait") == (told["level"], told["answer"]["action"])
    assert "too few" in told["answer"]["what"]


def test_a_healthy_run_tells_where_it_ends(tmp_path: Path) -> None:
    """With the interval, and nothing to do."""
    answer = page(tmp_path, losses_of(TOTAL, DONE, 0))["answer"]

    assert "let it train" == answer["action"]
    assert "80 %" in answer["words"]
    assert "forecast" == answer["of"]


@pytest.mark.parametrize("troubled", [False, True])
def test_a_run_that_is_over_tells_the_loss_of_its_verdict(tmp_path: Path, troubled: bool) -> None:
    """And not that of its last row; nobody is told to let it train."""
    losses = losses_of(600, 600, 0)
    losses[-1] += 0.02
    if troubled:
        losses[300:320] += 2.0
    told = page(tmp_path, losses, 600)

    assert told["level"] == ("past" if troubled else "over")
    assert "nothing to do" == told["answer"]["action"]
    assert told["answer"]["number"].startswith(f"{told['final_loss']:.3f}")
    assert abs(told["final_loss"] - losses[-1]) > 1e-4


def test_the_overview_counts_what_the_list_holds(tmp_path: Path) -> None:
    """An incident that began as a note and got worse is an incident; bad batches are notes."""
    losses = losses_of(TOTAL, DONE, 0)
    losses[300:700:40] *= 1.3
    losses[800:] = np.nan
    told = page(tmp_path, losses)

    assert (1, 10) == (told["incidents"], told["noted"])
