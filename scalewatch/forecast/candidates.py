"""The laws that compete for a run's forecast, each with what is known of it before the run.

A law of smaller runs says where the run will end before its first step. Two others rest on public runs alone and take
the level from the run itself. They differ in what a decay of the learning rate gives:

    decay as a part of the walk   rho A,  A what the walk still has to give (Tissue et al. 2024, arXiv 2408.11029)
    decay as a part of the loss   b L,    L the present loss

No prefix at a constant rate tells these two apart, and no one of them is best on all public runs. Each law's weight is
its prior weight times how well it predicted what came next, stretch by stretch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from scalewatch.forecast.descent import RECITES
from scalewatch.forecast.schedule import Future
from scalewatch.forecast.shape_prior import MISFIT, Asked, ShapePrior
from scalewatch.laws import CurveLaw
from scalewatch.run import Run

__all__ = [
    "HELD",
    "LADDER",
    "LOSS_SHARE",
    "MEMORY_SHARES",
    "OTHER_SHARE",
    "OTHER_WALK",
    "RISES",
    "WALK_SHARE",
    "Candidate",
    "doubted",
    "held_as_well",
    "memories_of",
    "of_ladder",
    "of_public_runs",
    "of_rise",
    "weighed",
]

Floats = NDArray[np.float64]

#: What people call the laws.
LADDER = "law of smaller runs"
WALK_SHARE = "annealing law fitted on public runs, a decay as a part of the descent"
LOSS_SHARE = "annealing law fitted on public runs, a decay as a part of the loss"
HELD = "no law: the loss stays where it is"
RISES = "no law: the loss goes on rising"
OTHER_WALK = "annealing law for losses of any kind, a decay as a part of the descent"
OTHER_SHARE = "annealing law for losses of any kind, a decay as a part of the loss"
#: Prior of the shape where no ladder says better: mean and sd of ln alpha and ln rho. It, `REMAINING_SHARE` and the two
#: constants of the misfit in posterior.py were chosen by the error over the eight public sources of
#: tests/benchmarks/forecast.py (GPT and Llama 25M to 124M, cosine, WSD and linear schedules), each source counting
#: once; chosen with one source left out in turn and asked about that one, the mean error at 20, 30 and 50 % of a run
#: rises by .1 to .2 % of the loss.
LOG_ALPHA = (math.log(0.6), 0.25)
LOG_RATIO = (math.log(0.55), 0.3)
#: A decay from a higher peak gains more: rho goes as (peak / reference)^this between these rates, which are those of
#: AdamW; outside, the rate is one of another optimizer and says nothing. The noise that a decay takes away grows with
#: the rate (lr_scheduling: 1.8 % of the loss at 1e-4, 8 % at 3e-3); half of what those runs alone would ask for.
#: By hand.
RATE_EXPONENT, RATE_REFERENCE, RATE_RANGE = 0.15, 6e-4, (5e-5, 3.5e-3)
#: The same two laws for a loss that is not known to be one of text, and whose rows scatter by more than those of text
#: do or that is lower than text is: what the walk has to give, and the spread. Chosen on the healthy small runs of 23
#: kinds of training in data/zoo: at 30, 50 and 70 % of a run 80 % hold .70, .92, .86 of what is forecast. By hand.
OTHER_REMAINING_SHARE, OTHER_SPREAD = (0.15, 0.15), 2.0
#: What a decay gains there, as a part of the loss and of the walk, as those of text: a step of the rate halves the loss
#: of some classifiers and does nothing to others. And how much of the fall to come is missed, one sd: some stop falling
#: at the noise of their data, some fall as an exponential does. By hand, on 17 kinds of made-up curves and on data/zoo.
OTHER_LOG_GAIN, OTHER_LOG_RATIO, OTHER_FALL_SHARE = (math.log(0.08), 1.0), (math.log(0.55), 0.8), 0.5
#: A curve that begins here or above is one of text: a model that knows nothing pays ln 5,000 for one of as many tokens,
#: and classes are fewer [nats]. By hand.
TEXT_BEGINS = math.log(5_000)
#: What a model of text that knows nothing pays for a token of a million: a loss that stays above is a sum, or an error
#: in units of its own [nats]. By hand.
MOST_OF_TEXT = math.log(1_000_000)
#: Scatter of one row of text, relative, at most: batches of single devices have .03 to .06. By hand.
TEXT_NOISE = 0.08
#: Memories of the decay that compete, as parts of the run. By hand.
MEMORY_SHARES = (0.003, 0.015, 0.06, 0.2)
#: What the walk has to give at the planned end, mean and sd, as a part of the present loss (chosen on the runs of
#: tests/benchmarks/forecast.py).
REMAINING_SHARE = (0.105, 0.05)
#: Error of what the decay to come will give, as a part of the present loss for a full decay: over those runs the gain
#: is 4 to 8 % of the loss, more at a high peak rate, and no prefix on a constant rate tells which. By hand.
GAIN_ERROR_SHARE = 0.005
#: Grid of a shape parameter, in sds about its mean. By hand.
_GRID = np.linspace(-1.8, 1.8, 7)
#: Spread of the intervals over that of the posterior, before `conformal.py` widens them, without a law and with one,
#: and the part of what is still to fall that a law misses, one sd: laws err in what they have not seen, so the error
#: grows with the fall to come as it does in planning, and not with the part of the run. Of a form in the fall, one in
#: the part of the run and one in the walk still to come, the first alone has a better interval score on sources that it
#: was not set on, with a ladder and without. tests/benchmarks/forecast_left_out.py chooses the three again with one
#: source left out in turn, and says what they hold there. Before the first step a law's spread is 1, what the two
#: language-model ladders among the public sources want (0.7 to 2); a third source with nearly no noise would allow a
#: tenth and is not listened to.
SPREAD_OWN, SPREAD_LAW, SPREAD_BEFORE = 0.42, 0.8, 1.0
FALL_SHARE = 0.1
#: The gain of a full decay as a part of the loss: mean and sd of its logarithm (runs of tests/benchmarks/forecast.py).
LOG_GAIN = (math.log(0.055), 0.5)
#: How much each law is trusted before the run: what is known of the recipe counts for more than what is known of
#: others. A curve that follows none of them, such as one that rises, is one in some hundreds. By hand, on the runs of
#: tests/benchmarks/forecast.py.
LADDER_WEIGHT, WALK_WEIGHT, LOSS_WEIGHT, HELD_WEIGHT = 4.0, 0.7, 0.3, 0.003
#: How far the end may be from the present loss for a law that does not know its level, as a part of it, one sd.
#: By hand.
END_SHARE = 0.2
#: S of the newest stretch over that of the first from which on a curve can be said to stand still: a doubling, over
#: which a walk that gives a tenth of the loss at the end gives more than the misfit of any law. By hand.
SEEN_TO_STAND_STILL = 2.0
#: A walk that gives nothing, as a part of the loss. By hand.
NOTHING = 1e-9


@final
class Candidate(NamedTuple):
    """A law as it enters the competition.

    Attributes:
        law: its name. weight: before the run, over those of the same kind. prior: of its shapes, its end and its walk.
        misfit: relative sd of its own error on the newest stretch. gain_error: sd of the gain of a decay to come, as a
            part of the loss. spread: of its intervals over its posterior. fall_share: sd of what is still to fall, as a
            part of it. notes: what it says of itself.
    """

    law: str
    weight: float
    prior: ShapePrior
    misfit: float
    gain_error: float
    spread: float
    fall_share: float
    notes: tuple[str, ...] = ()

    def asked(self, future: Future) -> Asked:
        """What is asked of it: where a run ends that these rates take it to."""
        sums = future.end_lr_sum, future.end_annealing_sum
        # the spread is for the posterior, and undone here
        return Asked(self.prior, *sums, self.misfit, self.gain_error, self.fall_share / self.spread)


def memories_of(law: CurveLaw | None, total: int) -> Floats:
    """Return the memories of the decay that compete in a run of `total` steps [steps], that of its law first."""
    of_law = [] if law is None else [law.shape.memory_steps]
    memories: Floats = np.maximum([*of_law, *(np.array(MEMORY_SHARES) * total)], 1.0)
    return memories


def _shapes(memories: int, allowed: slice) -> Floats:
    """Log weights of the grid of shapes, (7, 7, memories); those of other memories than `allowed` are none."""
    each = -0.5 * _GRID**2
    weights = each[:, None, None] + each[None, :, None] + np.zeros((1, 1, memories))
    out = np.full_like(weights, -np.inf)
    out[:, :, allowed] = weights[:, :, allowed]
    return out


def of_ladder(law: CurveLaw, run: Run, future: Future, memories: Floats, loss: float | None) -> Candidate:
    """Return what a law of smaller runs says of this one.

    Args:
        law: of them; its memory is the first of `memories` [steps]. run, future: what is asked about.
        loss: at present [nats/token], None before there is one; the level where the law knows none.
    """
    expected = law.predict_run(run, future.end_lr_sum, float(future.end_annealing_sum[0]))
    end = None if expected.end_loss is None else (expected.end_loss, expected.end_loss_sd)
    if end is None and loss is not None:
        end = (loss - expected.remaining, END_SHARE * loss)
    prior = ShapePrior(
        alphas=law.shape.alpha * np.exp(law.shape.alpha_log_sd * _GRID),
        ratios=expected.ratio * np.exp(law.shape.ratio_log_sd * _GRID),
        gains=np.zeros_like(_GRID),
        memories=memories,
        log_weights=_shapes(len(memories), slice(0, 1)),
        end_loss=end,
        remaining=(expected.remaining, expected.remaining_sd),
    )
    spread = SPREAD_BEFORE if loss is None else SPREAD_LAW
    misfit = max(law.scatter.misfit, 0.3 * MISFIT)
    return Candidate(LADDER, LADDER_WEIGHT, prior, misfit, 0.0, spread, FALL_SHARE, expected.notes)


def doubted(candidate: Candidate, nats: float) -> Candidate:
    """Return a law that its run has left, with the distance [nats/token] added to what it may be wrong by."""
    prior, away = candidate.prior, abs(nats)
    (mean, sd), end = prior.remaining, prior.end_loss
    wider = None if end is None else (end[0], math.hypot(end[1], away))
    notes = (*candidate.notes, "The run is off its law, which counts for less here.")
    return candidate._replace(prior=replace(prior, end_loss=wider, remaining=(mean, math.hypot(sd, away))), notes=notes)


def of_public_runs(
    run: Run,
    memories: Floats,
    first: int,
    loss: float,
    noise: float = 0.0,
    seen: float = math.inf,
    began: float = math.inf,
) -> list[Candidate]:
    """Return what public runs say of any run.

    Args:
        run: as planned. memories: all that compete [steps]; theirs begin at `first`. loss: at present [nats/token].
        noise: sd of one row about the curve, relative. seen: S of the newest stretch over that of the first.
        began: loss at the beginning of the run; infinite where nobody knows [nats/token].
    """
    laws = _of_text(run, memories, first, loss)
    like_text = noise <= TEXT_NOISE and RECITES <= loss <= MOST_OF_TEXT and began >= TEXT_BEGINS
    if not run.is_text and not like_text:
        laws = [_of_any(law, name) for law, name in zip(laws, (OTHER_WALK, OTHER_SHARE), strict=True)]
    return [*laws, _held(memories, loss)] if seen >= SEEN_TO_STAND_STILL else laws


def _of_any(law: Candidate, name: str) -> Candidate:
    """A law of text for a loss of any kind: the same shapes, and less that is known."""
    _, sd = law.prior.end_loss or (0.0, 0.0)
    loss = sd / END_SHARE
    mean, wide = OTHER_REMAINING_SHARE
    ratios = _drawn_out(law.prior.ratios, LOG_RATIO, OTHER_LOG_RATIO)
    gains = _drawn_out(law.prior.gains, LOG_GAIN, OTHER_LOG_GAIN)
    end, remaining = ((1.0 - mean) * loss, sd), (mean * loss, wide * loss)
    prior = replace(law.prior, ratios=ratios, gains=gains, end_loss=end, remaining=remaining)
    gain_error = law.gain_error * law.spread / OTHER_SPREAD
    return Candidate(name, law.weight, prior, law.misfit, gain_error, OTHER_SPREAD, OTHER_FALL_SHARE)


def _of_text(run: Run, memories: Floats, first: int, loss: float) -> list[Candidate]:
    of_rate = _gain_of_rate(run)
    alphas, shapes = np.exp(LOG_ALPHA[0] + LOG_ALPHA[1] * _GRID), _shapes(len(memories), slice(first, None))
    walk = of_rate * np.exp(LOG_RATIO[0] + LOG_RATIO[1] * _GRID)
    share = of_rate * np.exp(LOG_GAIN[0] + LOG_GAIN[1] * _GRID) * loss
    mean, sd = REMAINING_SHARE
    none = np.zeros_like(_GRID)
    return [
        Candidate(
            law=name,
            weight=weight,
            prior=ShapePrior(
                alphas=alphas,
                ratios=ratios,
                gains=gains,
                memories=memories,
                log_weights=shapes,
                end_loss=((1.0 - mean) * loss, END_SHARE * loss),
                remaining=(mean * loss, sd * loss),
            ),
            misfit=MISFIT,
            gain_error=GAIN_ERROR_SHARE / SPREAD_OWN,
            spread=SPREAD_OWN,
            fall_share=FALL_SHARE,
        )
        for name, weight, ratios, gains in (
            (WALK_SHARE, WALK_WEIGHT, walk, none),
            (LOSS_SHARE, LOSS_WEIGHT, none, share),
        )
    ]


def _drawn_out(grid: Floats, of_text: tuple[float, float], of_any: tuple[float, float]) -> Floats:
    """A grid of a shape parameter by one prior as it is by another, each mean and sd of its logarithm."""
    away = of_any[0] - of_text[0] + (of_any[1] - of_text[1]) * _GRID
    drawn: Floats = grid * np.exp(away)
    return drawn


def held_as_well(laws: list[Candidate], memories: Floats, loss: float) -> list[Candidate]:
    """Return laws of fresh data, with one as likely that data seen before let a loss stay where it is.

    Args:
        laws: as `of_public_runs` gives them. memories: all that compete [steps]. loss: at present [nats/token].
    """
    others = [law for law in laws if law.law != HELD]
    return [*others, _held(memories, loss)._replace(weight=sum(law.weight for law in others))]


def _held(memories: Floats, loss: float) -> Candidate:
    """No law at all: what a curve that no law describes is forecast by."""
    return Candidate(HELD, HELD_WEIGHT, _level(memories, loss, END_SHARE * loss), MISFIT, 0.0, 1.0, FALL_SHARE)


def of_rise(loss: float, to_come: float, memories: Floats) -> Candidate:
    """Return what a curve is forecast by that rises: between where it is and where the rise leads.

    Args:
        loss: at present. to_come: what it would still rise by until the planned end, both [nats/token].
        memories: all that compete [steps].
    """
    prior = _level(memories, loss + 0.5 * to_come, max(to_come, MISFIT * loss))
    return Candidate(RISES, HELD_WEIGHT, prior, MISFIT, 0.0, 1.0, FALL_SHARE)


def _level(memories: Floats, end: float, sd: float) -> ShapePrior:
    """The prior of a curve without a shape, of which only the end is known."""
    nothing = NOTHING * end
    return ShapePrior(
        alphas=np.array([1.0]),
        ratios=np.zeros(1),
        gains=np.zeros(1),
        memories=memories,
        log_weights=np.where(np.arange(len(memories)) == 0, 0.0, -np.inf)[None, None, :],
        end_loss=(end, sd),
        remaining=(nothing, nothing),
    )


def _gain_of_rate(run: Run) -> float:
    """What the planned peak rate says about the gain of a decay, 1 where it says nothing [ratio]."""
    peak = 0.0 if run.learning_rates is None else float(run.learning_rates.max())
    known = RATE_RANGE[0] <= peak <= RATE_RANGE[1]
    return (peak / RATE_REFERENCE) ** RATE_EXPONENT if known else 1.0


def weighed(candidates: Sequence[Candidate], log_evidence: Sequence[float]) -> list[float]:
    """Return the weight of each law, summing to 1, given the log evidence of each.

    >>> from types import SimpleNamespace as Law
    >>> [round(w, 3) for w in weighed([Law(weight=0.8), Law(weight=0.2)], [-10.0, -10.0])]
    [0.8, 0.2]
    """
    logs = np.array([math.log(c.weight) for c in candidates]) + np.array(log_evidence)
    weights = np.exp(logs - logs.max())
    found: list[float] = (weights / weights.sum()).tolist()
    return found
