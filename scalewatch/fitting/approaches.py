"""Chinchilla's three ways to find what to train with a budget, on the same runs, side by side.

    1 envelope     at each compute, the run with the lowest loss so far; its size against compute
    2 isoFLOP      at each budget, the bottom of the valley of final losses over size; parabola, and Akima
    3 parametric   L = E + A N^-alpha + B D^-beta fitted to the final losses; a = beta / (alpha + beta)

Each gives a of N ~ C^a with an interval. That they agree is evidence, that they do not is too: in the paper the
third contradicted the other two, and it was the third that was wrong.

Source: Hoffmann et al. (2022), arXiv 2203.15556, sections 3.1 to 3.3; Porian et al. (2024), section 3.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.errors import ConfigError, FitError
from scalewatch.fitting.bootstrap import group_labels
from scalewatch.fitting.chinchilla import allocation_exponent, fit_chinchilla
from scalewatch.fitting.envelope import fit_envelope
from scalewatch.fitting.families import Points, read_points
from scalewatch.fitting.isoflop import SEED_NOISE_NATS, Method, allocation_fit, bottoms, check_noise
from scalewatch.fitting.status import FitStatus
from scalewatch.laws.size import Parameters, SizeKind, positive
from scalewatch.text import few_digits, percent

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

#: Resamples by run behind an interval. By hand.
RESAMPLES = 400
#: Least width of an interval: the third digit of an exponent is what approaches differ in. By hand.
LEAST_WIDTH = 1e-4
#: Width from which an interval holds both Kaplan's exponent (0.73, Kaplan et al. 2020) and Chinchilla's (0.50, Hoffmann
#: et al. 2022).
TELLS_NOTHING = 0.23
#: Log size and log tokens within which two runs are alike; from how many such groups, and how far apart [e-folds] they
#: are no longer seeds of one another, which differ by 0.1 %. By hand.
SAME, FEWEST_TWINS, TWINS_DIFFER = 0.03, 3, 0.03


@final
class Approach(StrEnum):
    """One way to an allocation."""

    ENVELOPE = "1 envelope"
    PARABOLA = "2 isoFLOP parabola"
    AKIMA = "2 isoFLOP Akima"
    PARAMETRIC = "3 parametric"

    @property
    def number(self) -> str:
        """Its number in the paper: both readings of the valleys are "2"."""
        return self.value[0]


@final
@dataclass(frozen=True, slots=True)
class ApproachResult:
    """What one approach says; exponents are None where it has nothing to say, and `notes` say why.

    Attributes:
        approach: which. kind: what N counts.
        exponent: a of N ~ C^a, and D ~ C^(1 - a). low, high: its interval. level: of that, in (0, 1).
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
        disagreements: a sentence for each pair whose intervals do not meet, with by how much they differ.
        status: one sentence on whether to rely on them.
        cautions: what makes the runs themselves suspicious, a sentence each.
    """

    results: tuple[ApproachResult, ...]
    disagreements: tuple[str, ...]
    status: str
    cautions: tuple[str, ...] = ()

    def table(self, flops: float | None = None) -> str:
        """Return the approaches as lines of text, with the best size for `flops` [FLOP] if it is given."""
        level = f"{percent(self.results[0].level)} interval" if self.results else "interval"
        lines = [f"{'approach':<20} {'a':>7} {level:>17} {'b':>7}" + ("" if flops is None else f" {'N':>10}")]
        for result in self.results:
            if result.exponent is None:
                lines.append(f"{result.approach:<20} {'none':>7}")
                continue
            size = "" if flops is None else f" {few_digits(float(result.size_at(flops).count)):>10}"
            known = math.isfinite(result.high - result.low)
            interval = f"{result.low:.3f} to {result.high:.3f}" if known else "not known"
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
    noise_nats: float = SEED_NOISE_NATS,
    level: float = 0.8,
    seed: int = 0,
) -> ApproachResult:
    """Approach 1: the lowest of all training curves at 1,500 budgets, and where one size overtakes another.

    Args:
        parameters: of each row, shape (n,). tokens: seen so far, shape (n,), count. loss: shape (n,) [nats/token].
        runs: run of each row, shape (n,). noise_nats: standard deviation of a final loss over seeds [nats/token].
        level: of the interval, from resampling the runs of each size, with the noise of training, and from the scatter
            about the line. seed: of the resamples.

    Raises:
        FitError: if the input is no table of positive numbers.
        ConfigError: if `level` is not within (0, 1).
    """
    points, tail = read_points(parameters, tokens, loss), _tail(level)
    labels = group_labels(runs, len(points))
    try:
        fit = fit_envelope(points, labels, noise_nats=noise_nats, seed=seed)
    except FitError as fault:
        return _nothing(Approach.ENVELOPE, points, level, str(fault))
    interval, notes = (-math.inf, math.inf), [_MID_SCHEDULE]
    if fit.draws is None:
        notes.append("Its interval cannot be told: noise of training undoes the line; train more sizes.")
    else:
        interval = np.quantile(fit.draws, [tail, 1 - tail]).tolist()
    return _answer(Approach.ENVELOPE, points, level, fit.exponent, interval, fit.log_scale, fit.flops, notes)


_MID_SCHEDULE = "Reads losses in mid-schedule: where the learning rate has not decayed yet they are too high."


def isoflop(
    parameters: Parameters | ArrayLike,
    tokens: ArrayLike,
    loss: ArrayLike,
    *,
    method: Method = "parabola",
    budgets: ArrayLike | None = None,
    noise_nats: float = SEED_NOISE_NATS,
    level: float = 0.8,
    seed: int = 0,
) -> ApproachResult:
    """Approach 2: the bottom of each isoFLOP valley of final losses.

    Args:
        parameters: of each finished run, shape (n,). tokens: shape (n,), count. loss: final, shape (n,) [nats/token].
        method: "parabola" (Hoffmann et al.) or "akima" (Porian et al.).
        budgets: compute that each run was planned for, shape (n,) [FLOP]; None to find budgets in 6 N D.
        noise_nats: standard deviation of a final loss over seeds [nats/token]. level: of the interval. seed: of noise.

    Raises:
        FitError: if the input is no table of positive numbers.
        ConfigError: if `level` is not within (0, 1).
    """
    points, tail = read_points(parameters, tokens, loss), _tail(level)
    approach = Approach.AKIMA if method == "akima" else Approach.PARABOLA
    size = Parameters(np.exp(points.log_size), points.kind)
    losses = np.exp(points.log_loss)
    flops = np.exp(points.log_flops) if budgets is None else positive("budgets", budgets, "FLOP")
    found, left_out = bottoms(size, flops, losses, method=method, noise_nats=noise_nats, seed=seed)
    try:
        fit = allocation_fit(found, left_out, seed=seed)
    except FitError as fault:
        return _nothing(approach, points, level, str(fault))
    low, high = np.quantile(fit.draws, [tail, 1 - tail]).tolist()
    reach = (min(b.flops for b in found), max(b.flops for b in found))
    return _answer(approach, points, level, fit.exponent, (low, high), fit.log_scale, reach, left_out)


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
    interval = fit.interval_of(allocation_exponent, level)
    law, log_flops = fit.law, points.log_flops
    exponent = law.exponents[0]
    log_scale = math.log(float(law.optimum(1e21).size.count)) - exponent * math.log(1e21)
    reach = (float(np.exp(log_flops.min())), float(np.exp(log_flops.max())))
    notes = [status.value for status in fit.statuses if status.name != "OK"]
    return _answer(Approach.PARAMETRIC, points, level, exponent, interval, log_scale, reach, notes)


def compare_approaches(
    parameters: Parameters | ArrayLike,
    tokens: ArrayLike,
    loss: ArrayLike,
    runs: ArrayLike | Sequence[object] | None = None,
    *,
    budgets: ArrayLike | None = None,
    noise_nats: float = SEED_NOISE_NATS,
    level: float = 0.8,
    seed: int = 0,
) -> Comparison:
    """Put the approaches side by side on the same runs.

    Args:
        parameters: of each row, shape (n,). tokens: seen so far, shape (n,), count. loss: shape (n,) [nats/token].
        runs: run of each row, shape (n,); the row with the most tokens is a run's end. None: each row is a
            finished run, and there is no envelope.
        budgets: compute that each row's run was planned for, shape (n,) [FLOP]; None to find budgets in 6 N D.
        noise_nats: standard deviation of a final loss over seeds [nats/token]. level: of the intervals. seed: of draws.

    Raises:
        FitError: if the input is no table of positive numbers.
        ConfigError: if `level` is not within (0, 1).
    """
    points, labels = read_points(parameters, tokens, loss), group_labels(runs, np.size(tokens))
    check_noise(noise_nats)
    ends = np.array([rows[np.argmax(points.log_tokens[rows])] for rows in _rows_of(labels)])
    final = points.take(ends)
    size = Parameters(np.exp(final.log_size), points.kind)
    table = (size, np.exp(final.log_tokens), np.exp(final.log_loss))
    third = parametric(*table, level=level, seed=seed)
    if third.exponent is None and FitStatus.MIXED_UNITS.value in third.notes:
        results = tuple(_nothing(approach, points, level, FitStatus.MIXED_UNITS.value) for approach in Approach)
        return replace(side_by_side(results), status="No approach has an answer: the losses are in two units.")
    if runs is None:
        first = _nothing(Approach.ENVELOPE, points, level, _NO_CURVES)
    else:
        first = envelope(parameters, tokens, loss, runs, noise_nats=noise_nats, level=level, seed=seed)
    planned = None if budgets is None else np.asarray(budgets, dtype=np.float64)[ends]
    parabola, akima = (
        isoflop(*table, method=method, budgets=planned, noise_nats=noise_nats, level=level, seed=seed)
        for method in _READINGS
    )
    compared, cautions = side_by_side((first, parabola, akima, third)), _cautions(final)
    status = compared.status + (" Rely on none of it before the caution is settled." if cautions else "")
    return replace(compared, status=status, cautions=cautions)


_READINGS: tuple[Method, Method] = ("parabola", "akima")
_NO_CURVES = "Needs whole training curves: give `runs`, the run of each row (a table: a column `run`)."


def _cautions(final: Points) -> tuple[str, ...]:
    """Return whether runs that ought to be alike are not."""
    keys = np.round(np.stack([final.log_size, final.log_tokens], axis=1) / SAME)
    label = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
    apart = [float(np.ptp(final.log_loss[rows])) for rows in _rows_of(label) if len(rows) > 1]
    if len(apart) < FEWEST_TWINS or float(np.median(apart)) < TWINS_DIFFER:
        return ()
    return (
        f"Runs of one size and equal tokens end {percent(np.expm1(np.median(apart)))} apart ({len(apart)} such "
        "groups): if they differ in data, tokenizer or recipe, compare one kind at a time; of a sweep the best counts.",
    )


def _rows_of(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    order = np.argsort(labels, kind="stable")
    return [np.asarray(r) for r in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)]


def side_by_side(results: Sequence[ApproachResult]) -> Comparison:
    """Compare results that were computed one by one: who disagrees with whom, by how much, and what to do about it."""
    answered = [r for r in results if r.exponent is not None]
    apart, across = [], False
    for one, other in itertools.combinations(answered, 2):
        if one.low > other.high or other.low > one.high:
            gap = abs(float(one.exponent or 0.0) - float(other.exponent or 0.0))
            apart.append(
                f"'{one.approach}' and '{other.approach}' disagree by {gap:.3f}, more than their "
                f"intervals allow: a = {_within(one)} against {_within(other)}."
            )
            across = across or one.approach.number != other.approach.number
    return Comparison(tuple(results), tuple(apart), _status(answered, bool(apart), across=across))


def _status(answered: Sequence[ApproachResult], apart: bool, *, across: bool) -> str:
    if not answered:
        return "No approach has an answer: train runs of several sizes at each of several budgets."
    exponents = sorted(float(r.exponent or 0.0) for r in answered)
    span = f"a = {exponents[0]:.3f} to {exponents[-1]:.3f}"
    if len({r.approach.number for r in answered}) < 2:
        readings = (
            f"The two readings of the valleys say {span}" if len(answered) > 1 else f"It says a = {exponents[0]:.3f}"
        )
        return f"Only approach {answered[0].approach.number} has an answer. {readings}, and no other confirms it."
    if across:
        return f"The approaches disagree: plan for the whole range, {span}, or train runs that decide."
    if apart:
        return f"The readings of the valleys disagree, so these are no parabolas: plan for the whole range, {span}."
    unknown = [f"'{r.approach}'" for r in answered if not math.isfinite(r.high - r.low)]
    if unknown:
        return f"The approaches say {span}; whether they agree is open, no interval is known for {', '.join(unknown)}."
    widest = max(answered, key=lambda r: r.high - r.low)
    if widest.high - widest.low > TELLS_NOTHING:
        return (
            f"The approaches say {span}. Their intervals meet, but that of '{widest.approach}' is so wide "
            f"({widest.low:.3f} to {widest.high:.3f}) that it would meet nearly any: this confirms little."
        )
    return f"The approaches agree within their intervals: {span}, at most {exponents[-1] - exponents[0]:.3f} apart."


def _within(result: ApproachResult) -> str:
    return f"{result.exponent:.3f} ({result.low:.3f} to {result.high:.3f})"


def _answer(
    approach: Approach,
    points: Points,
    level: float,
    exponent: float,
    interval: tuple[float, float],
    log_scale: float,
    reach: tuple[float, float],
    notes: Sequence[str],
) -> ApproachResult:
    low, high = interval
    if not high - low > LEAST_WIDTH:
        low, high = -math.inf, math.inf
        notes = [*notes, "Its interval cannot be told: the runs follow a law more exactly than losses are measured."]
    return ApproachResult(approach, points.kind, exponent, low, high, log_scale, reach, level, tuple(notes))


def _nothing(approach: Approach, points: Points, level: float, why: str) -> ApproachResult:
    nan = math.nan
    return ApproachResult(approach, points.kind, None, -math.inf, math.inf, nan, (nan, nan), level, (why,))


def _tail(level: float) -> float:
    if not 0 < level < 1:
        raise ConfigError(f"`level` must be above 0 and below 1 (got {level!r:.80}).")
    return (1 - level) / 2
