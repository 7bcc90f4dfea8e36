"""Where a curve begins anew: what was noted to be changed by design, and jumps that a rate does not explain.

Other data, another context length or another pass over the same data move the level of a loss and leave the law of its
fall much as it was. So the level is taken from the newest segment alone, and the shape and what is still to fall from
the one before, with a doubt: its weights to the power of a half, and at least the spread that is known of any run. How
much of the fall since is that of a model that takes to other data nobody knows, so that what is still to fall is as
uncertain as that of a loss of any kind, and less so the longer ago the change is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.forecast.candidates import LADDER, OTHER_FALL_SHARE, Candidate
from scalewatch.forecast.posterior import LawPosterior, posteriors
from scalewatch.forecast.schedule import Future

__all__ = ["Segment", "after_change", "carried", "newest_segment"]

#: Blocks before a jump that its level is told from, and blocks from the jump on that must be off it. By hand.
BEFORE, AFTER = 5, 2
#: Blocks of a segment from which on it tells what a law is like. By hand.
FEWEST_BEFORE = 4
#: A jump that counts: as a part of the loss, in sds of a block by batch noise, and beyond what the rate can have done,
#: for a full decay, as a part of the loss: twice what one gives. By hand.
JUMP, SIGMAS, OF_RATE = 0.03, 8.0, 0.15
#: The same sds where rows of an incident were left out before it: there a jump is no surprise; how many times as far
#: apart as usual two blocks are there at least, and which part of the steps so far. By hand.
SIGMAS_AFTER_GAP, GAP, GAP_SHARE = 3.0, 3.0, 0.01
#: Part of a jump that the block has at least in which it lies. By hand.
FIRST_SHARE = 0.1
#: Part of a new segment so far in which the loss still comes down from the change itself, which no law describes: a
#: model takes to other data faster than it learns. By hand.
SETTLING = 0.5
#: A jump that a model has to take to, as a part of the loss, and for how long nobody knows where that ends,
#: as a part of the steps before it. By hand.
LOUD, UNTOLD = 0.1, 0.1
#: Power of what a segment before says of the shapes: half of it, by hand.
CARRIED = 0.5
#: How much less is known of what is still to fall, in sds of the segment before. By hand.
WIDER = 2.0
#: Sd of the level of other data about that of a law's, as a part of the loss. By hand.
LEVEL_DOUBT = 0.1


@final
class Segment(NamedTuple):
    """The newest segment of a curve.

    Attributes:
        first: its first block; 0 where the curve is one. before: first block of the segment before it, which ends at
            `last`, exclusive. since: step at which it began, 0 where the curve is one. noted: whether somebody said so.
        is_told: whether enough was seen of it.
    """

    first: int = 0
    before: int = 0
    last: int = 0
    since: int = 0
    noted: bool = False
    is_told: bool = True

    @property
    def text(self) -> str:
        """What that means for a forecast, in a sentence."""
        began = "something was changed by design" if self.noted else "the loss jumped to another level"
        return (
            f"At step {self.since:,} {began}: the level is that of the rows since, and how it falls is what was seen "
            "before, with a doubt."
        )


def newest_segment(
    ends: Floats, means: Floats, losses: Floats, noise: Floats, annealed: Floats, begins: Sequence[int]
) -> Segment:
    """Return the newest segment of a curve.

    Args:
        ends, means, losses: newest step, mean step and mean loss of each block, shape (n,). noise: relative sd of each
            by batch noise. annealed: D of each, shape (n,). begins: steps at which something was noted to begin.
    """
    noted = [at for at in np.searchsorted(ends, np.asarray(begins)).tolist() if at > 0]
    marks = [(at, at, step, True) for at, step in zip(noted, begins[len(begins) - len(noted) :], strict=True)]
    for at in _jumps(ends, means, losses, noise, annealed):
        if not any(0 <= at + 1 - there <= BEFORE + 1 for there in noted):  # that it was changed by design explains it
            marks.append((at, at + 1, int(ends[at - 1]) + 1, False))
    if not marks:
        return Segment()
    marks.sort()
    last, first, since, meant = marks[-1]
    settled = int(np.searchsorted(ends, since + SETTLING * (ends[-1] - since)))
    first = max(first, min(settled, len(ends) - AFTER))
    loud = last > 0 and abs(math.log(losses[min(first, len(losses) - 1)] / losses[last - 1])) > LOUD
    told = len(ends) - first >= AFTER and not (loud and ends[-1] < (1.0 + UNTOLD) * since)
    return Segment(first, marks[-2][1] if len(marks) > 1 else 0, last, since, meant, told)


def _jumps(ends: Floats, means: Floats, losses: Floats, noise: Floats, annealed: Floats) -> list[int]:
    """Blocks in which the loss jumps and stays, by more than noise and rate explain."""
    count = len(losses) - BEFORE - AFTER + 1
    if count < 1:
        return []
    x, columns = np.log(means), np.stack([np.log(losses), annealed])
    at = BEFORE + np.arange(count)
    past, next_ = (at[:, None] + np.arange(*part)[None, :] for part in ((-BEFORE, 0), (0, AFTER)))
    middle = x[past].mean(axis=1, keepdims=True)
    away = x[past] - middle
    slope = (columns[:, past] * away).sum(axis=2) / (away**2).sum(axis=1)
    ahead = columns[:, past].mean(axis=2)[:, :, None] + slope[:, :, None] * (x[next_] - middle)
    off, of_rate = columns[:, next_] - ahead
    # rows of a block are spread evenly about their mean
    apart = 2.0 * means - ends - np.concatenate([[0.0], ends[:-1]])
    gaps = apart > np.maximum(GAP * np.median(apart), GAP_SHARE * ends)
    sigmas = np.where(gaps[next_].any(axis=1), SIGMAS_AFTER_GAP, SIGMAS)
    least = np.maximum(JUMP, sigmas * noise[next_].max(axis=1)) + OF_RATE * np.abs(of_rate).max(axis=1)
    # it may lie within the first of them
    jumped = (np.abs(off[:, -1]) > least) & (off[:, 0] * off[:, -1] > FIRST_SHARE * off[:, -1] ** 2)
    found: list[int] = []
    for block in at[jumped].tolist():
        if not found or block > found[-1] + BEFORE:  # those after it are off for the same jump
            found.append(block)
    return found


def carried(candidate: Candidate, before: LawPosterior, loss: float) -> Candidate:
    """Return a law that knows, with a doubt, what the segment before has told of it.

    Args:
        candidate: as it enters the competition. before: what the segment before leaves of it. loss: at present.
    """
    prior = candidate.prior
    with np.errstate(divide="ignore"):
        told = np.log(before.weights).reshape(prior.log_weights.shape)
    weights = (1.0 - CARRIED) * prior.log_weights + CARRIED * told
    mean = float(before.weights @ before.remaining)
    variance = float(before.weights @ (before.covariance[2] + (before.remaining - mean) ** 2))
    sd = min(WIDER * float(np.sqrt(variance)), prior.remaining[1])
    end = prior.end_loss
    if candidate.law == LADDER and end is not None:
        end = (end[0], float(np.hypot(end[1], LEVEL_DOUBT * loss)))
    return candidate._replace(prior=replace(prior, log_weights=weights, remaining=(mean, sd), end_loss=end))


def after_change(
    laws: list[list[Candidate]], futures: list[Future], segment: Segment, curve: Sequence[Floats]
) -> list[list[Candidate]]:
    """Return the laws of each future as they are after a change.

    Args:
        laws: as they enter the competition. segment: the newest, which does not begin with the curve.
        curve: walked, annealed, losses and noise of all blocks. What the segment before has told of each law counts as
            `carried` has it, if it is long enough.
    """
    walked, _, losses, _ = curve
    if segment.last - segment.before >= FEWEST_BEFORE:
        asked = [law.asked(future) for competing, future in zip(laws, futures, strict=True) for law in competing]
        told = iter(posteriors(asked, *(column[segment.before : segment.last] for column in curve)))
        laws = [[carried(law, next(told), float(losses[-1])) for law in competing] for competing in laws]
    part = float(walked[segment.last - 1] / walked[-1])
    return [[_unsettled(law, part) for law in competing] for competing in laws]


def _unsettled(law: Candidate, part: float) -> Candidate:
    """A law that knows less of what is still to fall; `part` of the walk so far was before the change."""
    return law._replace(fall_share=law.fall_share + max(OTHER_FALL_SHARE - law.fall_share, 0.0) * part)
