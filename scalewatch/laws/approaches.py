"""Chinchilla's three ways to find what to train with a budget, on the same runs, side by side.

    1 envelope     at each compute, the run with the lowest loss so far; its size against compute
    2 isoFLOP      at each budget, the bottom of the valley of final losses over size; parabola, and Akima
    3 parametric   L = E + A N^-alpha + B D^-beta fitted to the final losses; a = beta / (alpha + beta)

Each gives a of N ~ C^a with an interval. That they agree is evidence, that they do not is too: in the paper the
third contradicted the other two, and it was the third that was wrong.

Why the envelope leaves its ends out: where the smallest or the largest size is the best one, the size that would
be best was not trained, and the staircase there has no slope.

Source: Hoffmann et al. (2022), arXiv 2203.15556, sections 3.1 to 3.3; Porian et al. (2024), section 3.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.errors import ConfigError, FitError
from scalewatch.laws.bootstrap import group_labels
from scalewatch.laws.families import Points, read_points
from scalewatch.laws.fit_chinchilla import allocation_exponent, fit_chinchilla
from scalewatch.laws.isoflop import SEED_NOISE_NATS, Method, allocation_fit, bottoms
from scalewatch.laws.size import Parameters, SizeKind, positive

__all__ = [
    "Approach",
    "ApproachResult",
    "Comparison",
    "compare_approaches",
    "envelope",
    "isoflop",
    "parametric",
    "side_by_side",
]

Floats = NDArray[np.float64]

#: Budgets at which the envelope is read (Hoffmann et al. 2022, section 3.1).
ENVELOPE_BUDGETS = 1_500
#: Resamples by run behind an interval.
RESAMPLES = 400
#: Sizes an envelope needs: those at its two ends are left out.
LEAST_SIZES = 4


@final
class Approach(StrEnum):
    """One way to an allocation."""

    ENVELOPE = "1 envelope"
    PARABOLA = "2 isoFLOP parabola"
    AKIMA = "2 isoFLOP Akima"
    PARAMETRIC = "3 parametric"


@final
@dataclass(frozen=True, slots=True)
class ApproachResult:
    """What one approach says; exponents are None where it has nothing to say, and `notes` say why.

    Attributes:
        approach: which. kind: what N counts.
        exponent: a of N ~ C^a. low, high: its interval at `level`. D ~ C^(1 - a).
        log_scale: ln of the best size at 1 FLOP, so that N = exp(log_scale) C^a.
        flops: least and most compute it rests on [FLOP].
        notes: what it left out or could not do, a sentence each.
    """

    approach: Approach
    kind: SizeKind
    exponent: float | None
    low: float
    high: float
    log_scale: float
    flops: tuple[float, float]
    level: float
    notes: tuple[str, ...] = ()

    @property
    def tokens_exponent(self) -> float | None:
        """The exponent b of D ~ C^b, 1 - a."""
        return None if self.exponent is None else 1.0 - self.exponent

    def size_at(self, flops: float) -> Parameters:
        """Return the best size for a budget [FLOP].

        Raises:
            ConfigError: if the approach has no answer, or the budget is not positive.
        """
        if self.exponent is None:
            raise ConfigError(f"The approach '{self.approach}' has no answer: {' '.join(self.notes)}")
        log_flops = np.log(positive("flops", flops, "FLOP"))
        return Parameters(np.exp(self.log_scale + self.exponent * log_flops), self.kind)


@final
@dataclass(frozen=True, slots=True)
class Comparison:
    """The approaches side by side.

    Attributes:
        results: one for each approach, in the order of the paper.
        disagreements: a sentence for each pair whose intervals do not meet.
        status: one sentence on whether to rely on them.
    """

    results: tuple[ApproachResult, ...]
    disagreements: tuple[str, ...]
    status: str

    def table(self, flops: float | None = None) -> str:
        """Return the approaches as lines of text, with the best size for `flops` [FLOP] if it is given."""
        lines = [f"{'approach':<20} {'a':>7} {'interval':>17} {'b':>7}" + ("" if flops is None else f" {'N':>10}")]
        for result in self.results:
            if result.exponent is None:
                lines.append(f"{result.approach:<20} {'none':>7}   {' '.join(result.notes)}")
                continue
            size = "" if flops is None else f" {float(result.size_at(flops).count):>10.3g}"
            interval = f"{result.low:.3f} to {result.high:.3f}"
            lines.append(
                f"{result.approach:<20} {result.exponent:>7.3f} {interval:>17} {1 - result.exponent:>7.3f}{size}"
            )
        return "\n".join(lines)


def envelope(
    parameters: Parameters | ArrayLike,
    tokens: ArrayLike,
    loss: ArrayLike,
    runs: ArrayLike | Sequence[object],
    *,
    level: float = 0.8,
    seed: int = 0,
) -> ApproachResult:
    """Approach 1: the lowest of all training curves at 1,500 budgets.

    Args:
        parameters: of each row, shape (n,). tokens: seen so far, shape (n,), count. loss: shape (n,) [nats/token].
        runs: run of each row, shape (n,). level: of the interval, from resampling runs. seed: of the resamples.

    Raises:
        FitError: if the input is no table of positive numbers.
        ConfigError: if `level` is not within (0, 1).
    """
    points, tail = read_points(parameters, tokens, loss), _tail(level)
    labels = group_labels(runs, len(points))
    sizes, curves, log_flops = _curves(points, labels)
    if len(np.unique(sizes)) < LEAST_SIZES:
        return _nothing(Approach.ENVELOPE, points, level, f"An envelope takes {LEAST_SIZES} sizes with curves.")
    line = _envelope_line(sizes, curves, log_flops)
    if line is None:
        return _nothing(Approach.ENVELOPE, points, level, "Fewer than two sizes are ever the best, ends aside.")
    stream = np.random.default_rng(seed)
    drawn = (
        _envelope_line(sizes, curves, log_flops, np.unique(stream.integers(0, len(sizes), len(sizes))))
        for _ in range(RESAMPLES)
    )
    slopes = [other[1] for other in drawn if other is not None]
    low, high = np.quantile(slopes, [tail, 1 - tail]) if len(slopes) > RESAMPLES / 2 else (-math.inf, math.inf)
    reach = (float(np.exp(line[2])), float(np.exp(line[3])))
    return ApproachResult(
        Approach.ENVELOPE, points.kind, line[1], float(low), float(high), line[0], reach, level, _training_note()
    )


def _training_note() -> tuple[str, ...]:
    return ("Reads losses in mid-schedule: where the learning rate has not decayed yet they are too high.",)


def _curves(points: Points, labels: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Return ln(size) of each run (r,), its ln(loss) on the common budgets (r, c), NaN outside, and these (c,)."""
    log_flops = points.log_flops
    grid = np.linspace(log_flops.min(), log_flops.max(), ENVELOPE_BUDGETS)
    sizes, curves = [], []
    for run in range(int(labels.max()) + 1):
        rows = np.flatnonzero(labels == run)
        rows = rows[np.argsort(log_flops[rows], kind="stable")]
        if len(rows) < 2:
            continue
        sizes.append(points.log_size[rows[0]])
        curves.append(np.interp(grid, log_flops[rows], points.log_loss[rows], left=np.nan, right=np.nan))
    return np.array(sizes), np.array(curves).reshape(-1, len(grid)), grid


def _envelope_line(
    sizes: Floats, curves: Floats, log_flops: Floats, runs: NDArray[np.int64] | None = None
) -> tuple[float, float, float, float] | None:
    """Return intercept, slope, and least and most ln(C) of the line through the envelope; None if there is none."""
    if runs is not None:
        sizes, curves = sizes[runs], curves[runs]
    covered = np.sum(np.isfinite(curves), axis=0) >= 2
    if not covered.any():
        return None
    best = sizes[np.argmin(np.where(np.isfinite(curves[:, covered]), curves[:, covered], np.inf), axis=0)]
    at = log_flops[covered]
    inside = (best > sizes.min() + 1e-9) & (best < sizes.max() - 1e-9)
    if len(np.unique(best[inside])) < 2:
        return None
    slope, level = np.polyfit(at[inside], best[inside], 1)
    return float(level), float(slope), float(at[inside][0]), float(at[inside][-1])


def isoflop(
    parameters: Parameters | ArrayLike,
    tokens: ArrayLike,
    loss: ArrayLike,
    *,
    method: Method = "parabola",
    noise_nats: float = SEED_NOISE_NATS,
    level: float = 0.8,
    seed: int = 0,
) -> ApproachResult:
    """Approach 2: the bottom of each isoFLOP valley of final losses.

    Args:
        parameters: of each finished run, shape (n,). tokens: shape (n,), count. loss: final, shape (n,) [nats/token].
        method: "parabola" (Hoffmann et al.) or "akima" (Porian et al.).
        noise_nats: standard deviation of a final loss over seeds [nats/token].
        level: of the interval. seed: of the noise.

    Raises:
        FitError: if the input is no table of positive numbers.
        ConfigError: if `level` is not within (0, 1).
    """
    points, tail = read_points(parameters, tokens, loss), _tail(level)
    approach = Approach.AKIMA if method == "akima" else Approach.PARABOLA
    size = Parameters(np.exp(points.log_size), points.kind)
    losses, flops = np.exp(points.log_loss), np.exp(points.log_flops)
    found, left_out = bottoms(size, flops, losses, method=method, noise_nats=noise_nats, seed=seed)
    try:
        fit = allocation_fit(found, left_out, seed=seed)
    except FitError as fault:
        return _nothing(approach, points, level, str(fault))
    low, high = np.quantile(fit.draws, [tail, 1 - tail])
    reach = (min(b.flops for b in found), max(b.flops for b in found))
    return ApproachResult(
        approach, points.kind, fit.exponent, float(low), float(high), fit.log_scale, reach, level, left_out
    )


def parametric(
    parameters: Parameters | ArrayLike,
    tokens: ArrayLike,
    loss: ArrayLike,
    *,
    level: float = 0.8,
    seed: int = 0,
    groups: ArrayLike | Sequence[object] | None = None,
) -> ApproachResult:
    """Approach 3: Chinchilla's law fitted to final losses.

    Args:
        parameters: of each finished run, shape (n,). tokens: shape (n,), count. loss: final, shape (n,) [nats/token].
        level: of the interval, from 400 resamples by run. seed: of the resamples. groups: run of each row.

    Raises:
        FitError: if the input is no table of positive numbers.
        ConfigError: if `level` is not within (0, 1).
    """
    points = read_points(parameters, tokens, loss)
    _tail(level)
    try:
        fit = fit_chinchilla(parameters, tokens, loss, bootstrap=RESAMPLES, seed=seed, groups=groups)
    except FitError as fault:
        return _nothing(Approach.PARAMETRIC, points, level, str(fault))
    if not fit.status.usable:
        return _nothing(Approach.PARAMETRIC, points, level, fit.status.value)
    low, high = fit.interval_of(allocation_exponent, level)
    law, log_flops = fit.law, points.log_flops
    exponent = law.exponents[0]
    log_scale = math.log(float(law.optimum(1e21).size.count)) - exponent * math.log(1e21)
    reach = (float(np.exp(log_flops.min())), float(np.exp(log_flops.max())))
    return ApproachResult(
        Approach.PARAMETRIC, points.kind, exponent, low, high, log_scale, reach, level, _notes(fit.statuses)
    )


def _notes(statuses: Sequence[StrEnum]) -> tuple[str, ...]:
    return tuple(status.value for status in statuses if status.name != "OK")


def compare_approaches(
    parameters: Parameters | ArrayLike,
    tokens: ArrayLike,
    loss: ArrayLike,
    runs: ArrayLike | Sequence[object] | None = None,
    *,
    noise_nats: float = SEED_NOISE_NATS,
    level: float = 0.8,
    seed: int = 0,
) -> Comparison:
    """Put the approaches side by side on the same runs.

    Args:
        parameters: of each row, shape (n,). tokens: seen so far, shape (n,), count. loss: shape (n,) [nats/token].
        runs: run of each row, shape (n,); the row with the most tokens is a run's end. None: each row is a
            finished run, and there is no envelope.
        noise_nats: standard deviation of a final loss over seeds [nats/token]. level: of the intervals.
        seed: of the resamples.

    Raises:
        FitError: if the input is no table of positive numbers.
        ConfigError: if `level` is not within (0, 1).
    """
    points = read_points(parameters, tokens, loss)
    labels = group_labels(runs, len(points))
    ends = np.array([rows[np.argmax(points.log_tokens[rows])] for rows in _rows_of(labels)])
    final = points.take(ends)
    size = Parameters(np.exp(final.log_size), points.kind)
    table = (size, np.exp(final.log_tokens), np.exp(final.log_loss))
    if runs is None:
        first = _nothing(Approach.ENVELOPE, points, level, "Needs whole training curves: give `runs`.")
    else:
        first = envelope(parameters, tokens, loss, runs, level=level, seed=seed)
    results = (
        first,
        isoflop(*table, method="parabola", noise_nats=noise_nats, level=level, seed=seed),
        isoflop(*table, method="akima", noise_nats=noise_nats, level=level, seed=seed),
        parametric(*table, level=level, seed=seed),
    )
    return side_by_side(results)


def _rows_of(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    order = np.argsort(labels, kind="stable")
    return [np.asarray(r) for r in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)]


def side_by_side(results: Sequence[ApproachResult]) -> Comparison:
    """Compare results that were computed one by one: who disagrees with whom, and what to do about it."""
    told = [r for r in results if r.exponent is not None]
    apart = []
    for one, other in itertools.combinations(told, 2):
        if one.low > other.high or other.low > one.high:
            apart.append(
                f"'{one.approach}' says a = {one.exponent:.3f} ({one.low:.3f} to {one.high:.3f}), '{other.approach}' "
                f"{other.exponent:.3f} ({other.low:.3f} to {other.high:.3f})."
            )
    if len(told) < 2:
        status = "Fewer than two approaches have an answer, so nothing confirms it: train runs of equal compute."
    elif apart:
        status = "The approaches disagree: plan for the whole range of their answers, or train runs that decide."
    else:
        status = "The approaches agree within their intervals."
    return Comparison(tuple(results), tuple(apart), status)


def _nothing(approach: Approach, points: Points, level: float, why: str) -> ApproachResult:
    return ApproachResult(
        approach, points.kind, None, -math.inf, math.inf, math.nan, (math.nan, math.nan), level, (why,)
    )


def _tail(level: float) -> float:
    if not 0 < level < 1:
        raise ConfigError(f"`level` must be above 0 and below 1 (got {level!r:.80}).")
    return (1 - level) / 2
