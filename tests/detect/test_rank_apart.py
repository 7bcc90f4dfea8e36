"""A rank that stays above the others: told, and paged where no choice of data explains it."""

from __future__ import annotations

import pytest

from scalewatch.detect.base import Sample
from scalewatch.detect.ranks import RankApart
from scalewatch.finding import Severity


def told(factors: list[float]) -> list[Severity]:
    """What is said of two ranks of which the second has so many times the loss of the first, row by row."""
    detector, row, found = RankApart(), Sample(), []
    for row.step, factor in enumerate(factors, start=1):
        row.rank_losses = (0.4, 0.4 * factor)
        found.append(detector.observe(row))
    return [finding.severity for finding in found if finding is not None]


@pytest.mark.parametrize(
    ("factors", "severities"),
    [
        ([1.1] * 400, []),
        ([1.7] * 400, [Severity.INFO]),
        ([2.2] * 400, [Severity.INFO, Severity.WARNING]),
        ([1.0] * 100 + [1.7] * 100, [Severity.INFO, Severity.WARNING]),
        ([1.0, 1.7] * 200, []),
    ],
    ids=["other data", "much harder data by design", "broken from the start", "broken later", "noise"],
)
def test_a_rank_is_paged_where_no_choice_of_data_explains_it(factors: list[float], severities: list[Severity]) -> None:
    """Shards may be harder by design from the first row on; one that was like the others is broken sooner."""
    assert severities == told(factors)
