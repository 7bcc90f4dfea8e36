"""Emergence: is the jump in the model, or in the metric it is measured with?

A metric that wants K tokens right at once, p^K with p = exp(-L), rises from nothing to something while the loss
L per token falls smoothly: the jump is in the metric. A continuous proxy shows it: the edit distance, about
K (1 - p), is linear in p, and the log-probability of the right answer has no threshold at all. If the proxy
itself jumps between two models, the jump is in the model.

`judge_emergence` looks at both beside each other. It asks whether the proxy has a step where the metric jumps,
and whether the metric computed from the proxy's smooth part alone jumps as far. It answers only where the
models are enough to tell: a test of n items cannot see an accuracy below 1 / n, and one step among five models
is seldom distinguishable from noise.

Why not the accuracy alone: more than 92 % of the claims of emergence on BIG-Bench used two metrics, both of
this all-or-nothing kind.

Source: Schaeffer, Miranda, Koyejo (2023), arXiv 2304.15004, sections 2 and 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError, FitError
from scalewatch.laws.size import positive

__all__ = [
    "EmergenceEvidence",
    "EmergenceVerdict",
    "MetricJump",
    "ProxyStep",
    "answer_probability",
    "edit_distance",
    "exact_match",
    "judge_emergence",
    "resolution",
]

#: Models below which no step can be told from noise: line, step and two more. By hand.
FEWEST_MODELS = 6
#: Models from which the smooth part may bend. By hand.
MODELS_FOR_BEND = 8
#: A jump is the narrowest range of scale that holds this part of the metric's rise, if it holds it this many times
#: faster than the whole range does. A range and not two neighbours: the largest of many gains is mostly noise. By hand.
JUMP_SHARE = 0.5
JUMP = 1.5
#: Standard errors beyond which a gain, or a step of the proxy, is no chance. By hand.
SIGMAS = 3.0
#: Part of the metric's jump that its smooth part must explain for the jump to be the metric's, and below which
#: the jump is the model's if the proxy has a step. By hand.
EXPLAINED, UNEXPLAINED = 0.7, 0.5
#: An answer's tokens as fitted may be this many times fewer or more than as given: tokens of an answer err together.
#: By hand.
LENGTH_FACTOR = 4.0


def answer_probability(loss: ArrayLike) -> Floats:
    """Return p = exp(-L), the probability of one right token, of a loss on right answers [nats/token], any shape.

    Raises:
        ConfigError: if a loss is negative or not finite.
    """
    given = np.asarray(loss, dtype=np.float64)
    if given.size == 0 or not np.all(np.isfinite(given) & (given >= 0)):
        raise ConfigError("`loss` of the right answer must be finite and not negative [nats/token].")
    return np.asarray(np.exp(-given))[()]


def exact_match(probability: ArrayLike, answer_tokens: float) -> Floats:
    """Return p^K, the expected share of answers with all K tokens right, tokens being independent.

    Args:
        probability: p of one token, in [0, 1], any shape. answer_tokens: K, at least 1.

    Raises:
        ConfigError: if a number is out of range.

    >>> [f"{exact_match(p, 20):.3f}" for p in (0.7, 0.9, 0.99)]
    ['0.001', '0.122', '0.818']
    """
    length = float(positive("answer_tokens", answer_tokens, "tokens of an answer", least=1.0))
    return np.asarray(_probability(probability) ** length)[()]


def edit_distance(probability: ArrayLike, answer_tokens: float) -> Floats:
    """Return K (1 - p), the expected wrong tokens of an answer of K: linear where exact match is sharp.

    Raises:
        ConfigError: as `exact_match`.
    """
    length = float(positive("answer_tokens", answer_tokens, "tokens of an answer", least=1.0))
    return np.asarray(length * (1.0 - _probability(probability)))[()]


def resolution(items: int) -> float:
    """Return 1 / n, the least accuracy other than zero that n test items can show.

    Raises:
        ConfigError: if there is no item.
    """
    return 1.0 / float(positive("items", items, "test items, count", least=1.0))


@final
class EmergenceVerdict(StrEnum):
    """Where the jump is, and what to do about it."""

    NO_JUMP = "The metric rises without a jump: extrapolate it with its proxy as usual."
    METRIC = (
        "The jump is in the metric: the proxy falls smoothly and all-or-nothing scoring makes a cliff of it; monitor "
        "the proxy, and predict the metric from it."
    )
    MODEL = (
        "The jump is in the model: the proxy itself steps there; look for what changed between these two models, and "
        "train one in between."
    )
    NEITHER = (
        "The metric jumps where its proxy neither steps nor explains it: check the extraction of answers, the prompt "
        "and the format before believing either."
    )
    UNDECIDED = (
        "Not to be decided from these models: add models about the jump, or test items until 1 / n lies well below "
        "the smallest accuracy you care about."
    )


@final
@dataclass(frozen=True, slots=True)
class MetricJump:
    """The narrowest range of scale with half of the metric's rise.

    Attributes:
        start, end: of the range, in the unit of the scale.
        gain, gain_sd: of the metric over it, and its standard error from the test's size and the proxy's scatter,
            accuracy.
        sharpness: that gain over an average one, per e-fold of scale; 1 is no jump at all.
    """

    start: float
    end: float
    gain: float
    gain_sd: float
    sharpness: float


@final
@dataclass(frozen=True, slots=True)
class ProxyStep:
    """What the proxy does where the metric jumps.

    Attributes:
        step, step_sd: largest step of ln(proxy loss) within, beyond its smooth part; negative is better.
        smooth_jump: gain of the metric that the smooth part of the proxy alone brings, accuracy.
    """

    step: float
    step_sd: float
    smooth_jump: float


@final
@dataclass(frozen=True, slots=True)
class EmergenceEvidence:
    """The verdict, and what it rests on.

    Attributes:
        verdict: a sentence of advice. jump: of the metric. proxy: where it jumps.
        answer_tokens: K that maps proxy to metric best. resolution: least accuracy the test can show.
        unresolved: models whose expected accuracy lies below it, so their zeros say nothing.
        notes: what the verdict assumes, a sentence each.
    """

    verdict: EmergenceVerdict
    jump: MetricJump
    proxy: ProxyStep
    answer_tokens: float
    resolution: float
    unresolved: int
    notes: tuple[str, ...]

    @property
    def explained(self) -> float:
        """Part of the jump that the smooth part of the proxy brings, dimensionless; nan where there is none."""
        return self.proxy.smooth_jump / self.jump.gain if self.jump.gain > 0 else math.nan


def judge_emergence(
    scale: ArrayLike,
    accuracy: ArrayLike,
    proxy_loss: ArrayLike,
    *,
    items: int,
    answer_tokens: float,
    chance: float = 0.0,
) -> EmergenceEvidence:
    """Judge whether a jump of a metric is in the model or in the metric.

    Args:
        scale: of each model (compute, size or data), shape (n,), positive, all different.
        accuracy: all-or-nothing metric in [0, 1], shape (n,).
        proxy_loss: loss of the right answer [nats/token], shape (n,), positive.
        items: test items. answer_tokens: tokens of an answer, mean, at least 1.
        chance: accuracy of guessing, in [0, 1).

    Raises:
        FitError: if arrays do not match or are out of range, or there are fewer than six models.
    """
    x, acc, loss = _models(scale, accuracy, proxy_loss, chance)
    step = resolution(items)
    length = _fit_length(acc, loss, answer_tokens, items, chance)
    log_x, log_loss = np.log(x), np.log(loss)
    first, last, sharpness = _jump(log_x, acc, step)
    smooth, proxy_step, proxy_sd, scatter = _smooth(log_x, log_loss, first, last)
    expected = _metric(loss, length, chance)
    # a test of n items never has no variance: none right of n still leaves 1 / n
    variance = np.maximum(expected * (1.0 - expected) / items, step**2)
    variance += (scatter * length * loss * (expected - chance)) ** 2
    jump, jump_sd = float(acc[last] - acc[first]), float(math.sqrt(variance[first] + variance[last]))
    ends = _metric(np.exp(smooth[[first, last]]), length, chance)
    smooth_jump = float(ends[1] - ends[0])
    unresolved = int(np.count_nonzero(expected - chance < step))
    return EmergenceEvidence(
        verdict=_verdict(jump, jump_sd, sharpness, proxy_step, proxy_sd, smooth_jump),
        jump=MetricJump(float(x[first]), float(x[last]), jump, jump_sd, sharpness),
        proxy=ProxyStep(proxy_step, proxy_sd, smooth_jump),
        answer_tokens=length,
        resolution=step,
        unresolved=unresolved,
        notes=_notes(unresolved, step, length, float(answer_tokens), len(x)),
    )


def _jump(log_x: Floats, acc: Floats, step: float) -> tuple[int, int, float]:
    """First and last model of the narrowest range with half of the rise, and how much faster it rises there."""
    rise = max(float(acc.max() - acc.min()), step)
    best = (0, len(acc) - 1, 0.0)
    narrowest = math.inf
    for i in range(len(acc) - 1):
        for j in range(i + 1, len(acc)):
            width, gain = float(log_x[j] - log_x[i]), float(acc[j] - acc[i])
            if gain >= JUMP_SHARE * rise and width < narrowest:
                narrowest = width
                best = (i, j, gain / rise * float(log_x[-1] - log_x[0]) / width)
    return best


def _verdict(
    jump: float, jump_sd: float, sharpness: float, step: float, step_sd: float, smooth_jump: float
) -> EmergenceVerdict:
    if jump < SIGMAS * jump_sd:
        return EmergenceVerdict.UNDECIDED
    if sharpness < JUMP:
        return EmergenceVerdict.NO_JUMP
    if step < -SIGMAS * step_sd:
        return EmergenceVerdict.MODEL if smooth_jump < UNEXPLAINED * jump else EmergenceVerdict.UNDECIDED
    if smooth_jump >= EXPLAINED * jump or jump - smooth_jump < 2.0 * jump_sd:
        return EmergenceVerdict.METRIC
    # without a step and without an explanation: a fault of the scoring, if a step could have been seen
    return EmergenceVerdict.NEITHER if step > -2.0 * step_sd else EmergenceVerdict.UNDECIDED


def _smooth(log_x: Floats, log_loss: Floats, first: int, last: int) -> tuple[Floats, float, float, float]:
    """Smooth part of ln(loss) at each model; largest step within the jump, its error, and the scatter about both.

    The error is that of a normal with the same tail as Student's t, widened for the number of places that were
    tried, so that few models count for what they are.
    """
    from scipy.special import ndtri
    from scipy.stats import t as student

    centred = (log_x - log_x.mean()) / float(np.ptp(log_x))
    columns = [np.ones_like(centred), centred]
    if len(log_x) >= MODELS_FOR_BEND:
        columns.append(centred**2)
    smooth = np.stack(columns, axis=1)
    line = np.linalg.lstsq(smooth, log_loss, rcond=None)[0]
    rest = log_loss - smooth @ line
    scatter = float(np.sqrt(rest @ rest / (len(rest) - len(columns))))
    best = (smooth @ line, 0.0, math.inf, scatter)
    strongest, freedom = 0.0, len(log_x) - len(columns) - 1
    for at in range(first, last):
        after = (np.arange(len(log_x)) > at).astype(np.float64)
        # the first or last model alone carries its own step: nothing then tells it from noise
        if min(after.sum(), len(after) - after.sum()) < 2:
            continue
        design = np.column_stack([smooth, after])
        solution = np.linalg.lstsq(design, log_loss, rcond=None)[0]
        residuals = log_loss - design @ solution
        variance = max(float(residuals @ residuals) / freedom, 1e-30)
        value, sd = float(solution[-1]), math.sqrt(variance * float(np.linalg.inv(design.T @ design)[-1, -1]))
        if abs(value) / sd > strongest:
            strongest = abs(value) / sd
            tail = min(float(student.sf(strongest, freedom)) * (last - first), 0.5)
            sigmas = max(-float(ndtri(tail)), 0.5) if tail > 0 else 37.0
            best = (design[:, :-1] @ solution[:-1], value, max(sd, abs(value) / sigmas), math.sqrt(variance))
    return best


def _metric(loss: Floats, length: float, chance: float) -> Floats:
    return np.asarray(chance + (1.0 - chance) * np.exp(-loss * length))


def _fit_length(acc: Floats, loss: Floats, given: float, items: int, chance: float) -> float:
    """The K within a factor of four of the given one with the greatest binomial likelihood."""
    from scipy.optimize import minimize_scalar

    length = float(positive("answer_tokens", given, "tokens of an answer", least=1.0))

    def cost(log_length: float) -> float:
        p = np.clip(_metric(loss, math.exp(log_length), chance), 1e-9, 1.0 - 1e-9)
        return -float(np.sum(acc * np.log(p) + (1.0 - acc) * np.log1p(-p))) * items

    bounds = (math.log(max(length / LENGTH_FACTOR, 1.0)), math.log(length * LENGTH_FACTOR))
    # the likelihood of p^K may be flat where all is zero: a grid first, then the best bracket
    grid = np.linspace(*bounds, 41)
    best = int(np.argmin([cost(g) for g in grid]))
    around = (float(grid[max(best - 1, 0)]), float(grid[min(best + 1, 40)]))
    return math.exp(float(minimize_scalar(cost, bounds=around, method="bounded").x))


def _models(
    scale: ArrayLike, accuracy: ArrayLike, proxy_loss: ArrayLike, chance: float
) -> tuple[Floats, Floats, Floats]:
    x, acc, loss = (np.asarray(v, dtype=np.float64) for v in (scale, accuracy, proxy_loss))
    if x.ndim != 1 or not x.shape == acc.shape == loss.shape:
        raise FitError(
            f"`scale`, `accuracy`, `proxy_loss` must have one shape (n,) (got {x.shape}, {acc.shape}, {loss.shape})."
        )
    if not np.all((x > 0) & np.isfinite(x) & (loss > 0) & np.isfinite(loss) & (acc >= 0) & (acc <= 1)):
        raise FitError(
            "`scale` and `proxy_loss` must be positive and finite, `accuracy` in [0, 1]; a percentage is a hundred "
            "times too large."
        )
    if not 0 <= chance < 1:
        raise FitError(f"`chance` must be in [0, 1) (got {chance!r}).")
    order = np.argsort(x)
    if len(np.unique(x)) < len(x) or len(x) < FEWEST_MODELS:
        raise FitError(
            f"A jump needs {FEWEST_MODELS} models of different scale to be judged (got {len(np.unique(x))} of "
            f"{len(x)}): add models, and average the seeds of one scale."
        )
    return x[order], acc[order], loss[order]


def _probability(value: ArrayLike) -> Floats:
    given = np.asarray(value, dtype=np.float64)
    if given.size == 0 or not np.all((given >= 0) & (given <= 1)):
        raise ConfigError("`probability` must lie in [0, 1].")
    return given


def _notes(unresolved: int, step: float, length: float, given: float, models: int) -> tuple[str, ...]:
    notes = []
    if unresolved:
        notes.append(
            f"{unresolved} of {models} models are expected below the test's resolution of {step:.2g}: their zeros say "
            "nothing about when the ability began; add items, or read their proxy."
        )
    if abs(math.log(length / given)) > math.log(1.5):
        notes.append(
            f"The metric follows the proxy as an answer of {length:.1f} tokens would, not {given:.1f}: tokens of an "
            "answer are not independent, or another text is scored."
        )
    return tuple(notes)
