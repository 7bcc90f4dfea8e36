"""What the overview says of a run is of today, or says that it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scalewatch_tensorboard.logs import TOTAL, journal_log, losses_of
from tests.scalewatch_tensorboard.registries import registry_of
from tests.synthetic import cosine, fitted, planned


@pytest.mark.parametrize("broken", [False, True])
def test_with_an_incident_open_the_distance_to_the_law_says_that_it_is_from_before(
    tmp_path: Path, broken: bool
) -> None:
    """Rows of an incident do not count for it: a run that left its law by a divergence is not "at its law"."""
    losses = losses_of(TOTAL, 1_500, 0)
    if broken:
        losses[1_200:] *= 1.5
    rates = cosine(TOTAL)
    journal_log(tmp_path / "run", planned(rates, 8e6, "run"), losses, rates, ended=False)
    row = registry_of(tmp_path, law=fitted()).find("run").upkeep.summary

    assert row["gap"]["sentence"].startswith("Before the incident at step 1,201: ") == broken
    assert (row["gap"]["before_step"] is not None) == broken
