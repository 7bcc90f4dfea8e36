"""The false-alarm budget of the whole set; the full table is `tests/benchmarks/false_alarms.py`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.finding import Finding, Kind, Severity
from tests.detect.wide_noise import LEVELS, WITHOUT_MEMORY, losses, remembering, student_of_any_sign

Follow = Callable[..., list[Finding]]
Curve = Callable[..., NDArray[np.float64]]

ROWS = 20_000

#: Rows of a log of noise, and the step at which its incident begins.
NOISE_ROWS, INCIDENT = 3000, 2000

#: Classes of noise in which single rows lie forty widths away, which makes 1e9 of the loss once.
HEAVY = [name for name in WITHOUT_MEMORY if name.startswith(("t(2.5)", "t(3)"))]

#: Kinds that only a slow rule says.
SLOW = {
    *(Kind.PLATEAU, Kind.LEVEL_SHIFT, Kind.NOISE, Kind.GRAD_DRIFT),
    *(Kind.SUSPICIOUS_IMPROVEMENT, Kind.THROUGHPUT, Kind.VALIDATION),
}


@pytest.mark.parametrize(("df", "most_pages"), [(None, 0), (4.0, 2), (3.0, 4)])
def test_a_clean_run_with_all_that_a_log_can_carry(
    follow: Follow, curve: Curve, df: float | None, most_pages: int
) -> None:
    """Norms, clock, validations: no slow rule says a word, and hardly a page from the others."""
    random, t = np.random.default_rng(7), np.arange(1, ROWS + 1)
    norms = np.exp(0.1 * random.standard_normal(ROWS)) * (0.5 + 9.5 * np.exp(-t / 20))
    seconds = np.cumsum(random.gamma(50, 0.02, ROWS) + np.where(t % 500 == 0, 90.0, 0.0))
    held_out = {int(s): 3.2 * s**-0.1 + 1.82 + float(random.normal(0, 0.004)) for s in t[99::100].tolist()}

    found = follow(
        curve(ROWS, df=df),
        rates=np.full(ROWS, 1e-3).tolist(),
        norms=norms.tolist(),
        seconds=seconds.tolist(),
        validation=held_out,
    )

    assert [] == [f for f in found if f.kind in SLOW]
    assert len([f for f in found if f.pages]) <= most_pages


def pages_in(follow: Follow, name: str, seeds: int = 2) -> list[Finding]:
    """Pages of logs of this noise, about each level."""
    logs = [losses(name, level, NOISE_ROWS, seed) for level in LEVELS for seed in range(seeds)]
    return [finding for log in logs for finding in follow(log) if finding.pages]


def test_noise_of_any_width_is_no_news(follow: Follow) -> None:
    """From 2 % to a factor of four a row, tails down to t(4): one page at most in eighty logs."""
    found = [page for name in WITHOUT_MEMORY if name not in HEAVY for page in pages_in(follow, name)]

    assert len(found) <= 1
    assert [] == [page for page in found if page.severity is Severity.CRITICAL]


def test_noise_with_heavy_tails_is_hardly_news(follow: Follow) -> None:
    """Tails of t(2.5) and t(3), of losses and of their logarithms: two pages at most in the four logs of a class."""
    found = {name: pages_in(follow, name) for name in HEAVY}

    assert {} == {name: pages for name, pages in found.items() if len(pages) > 2}
    assert [] == [page for pages in found.values() for page in pages if page.severity is Severity.CRITICAL]


@pytest.mark.parametrize("df", [1, 2, 4, 8])
def test_a_wide_log_that_falls_pages_nobody(follow: Follow, df: int) -> None:
    """The squared errors of small batches, falling."""
    logs = [losses(f"chi-squared({df})", "falling", NOISE_ROWS, seed) for seed in range(4)]

    assert [] == [finding for log in logs for finding in follow(log) if finding.pages]


@pytest.mark.parametrize("every", [1, 10])
def test_a_log_of_running_averages_hardly_pages_anybody(follow: Follow, every: int) -> None:
    """Rows that resemble the fifty before them, as of a loss that is smoothed before it is logged."""
    random = np.random.default_rng(2)
    steps = every * np.arange(1.0, 2501.0)
    level = 1.5 + 2.0 * (steps / (20.0 * every) + 1.0) ** -0.5
    logs = [level * np.exp(0.02 * remembering(random, len(level), 0.98)) for _ in range(6)]

    assert 2 >= sum(finding.pages for log in logs for finding in follow(log, steps=steps))


def test_a_rise_in_a_log_of_running_averages_is_found(follow: Follow) -> None:
    """A fifth of the loss, for good."""
    log = 1.5 * np.exp(0.02 * remembering(np.random.default_rng(3), 2500, 0.98))
    log[1499:] *= 1.2

    pages = [finding.step for finding in follow(log) if finding.pages]

    assert pages
    assert 1500 <= pages[0] <= 1560


def first_page(found: list[Finding]) -> int | None:
    """Rows from the beginning of the incident to the first page of it."""
    return next((finding.step - INCIDENT for finding in found if finding.pages and finding.step >= INCIDENT), None)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("seed", range(3))
def test_eight_times_the_loss_is_found_in_wide_noise(follow: Follow, level: str, seed: int) -> None:
    """The mean for good, in noise of which single rows come to four times the mean."""
    log = losses("chi-squared(4)", level, NOISE_ROWS, seed)
    log[INCIDENT - 1 :] *= 8.0

    delay = first_page(follow(log))

    assert delay is not None
    assert delay <= 60


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("seed", range(3))
def test_a_jump_of_a_negative_loss_is_found(follow: Follow, level: str, seed: int) -> None:
    """A log likelihood with tails of t(4), and fifteen of its sd, for good."""
    log, sd = negative(level, seed)
    log[INCIDENT - 1 :] += 15.0 * sd

    delay = first_page(follow(log))

    assert delay is not None
    assert delay <= 60


def negative(level: str, seed: int) -> tuple[Floats, float]:
    """A loss below zero with noise of t(4), and the sd of a row."""
    width, df = 0.1, 4.0
    noise = student_of_any_sign(df, width, below=9.0)
    steps = np.arange(1.0, NOISE_ROWS + 1.0)
    return noise(np.random.default_rng(seed), LEVELS[level](steps)), width * (df / (df - 2.0)) ** 0.5
