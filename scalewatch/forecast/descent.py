"""Whether a curve is one that laws of loss curves are of: above zero, and falling by more than its own scatter.

Where it is not, there is no forecast, and a sentence says why: no forecast is better than a confident wrong one.
"""

from __future__ import annotations

import math

from scalewatch.forecast.forecast import Forecast
from scalewatch.laws import LossBlocks
from scalewatch.run import Run

__all__ = ["RECITES", "clearly_fell", "never_fell", "why_no_law", "why_not_told"]

#: Loss below which a model recites its data: text has more entropy than that (Hoffmann et al. 2022: E = 1.7 nats/token
#: over web text; code is near 0.5), so laws of pre-training say nothing [nats/token].
RECITES = 0.3
#: Blocks from which on a curve is asked whether it fell, and the part of them at either end that is compared. By hand.
FEWEST_BLOCKS, END_PART = 8, 0.25
#: A fall is clear from this many standard errors of the difference of two means on. By hand; of the curves of data/zoo
#: that no law describes, the flat and wide ones have at most 2.
CLEAR_SIGMAS = 4.0
#: Part of its first level below which a loss has fallen for good, whatever its objective is called. By hand.
FELL = 0.5
#: Rows from which on a loss that never fell is told, fall that two standard errors must rule out, part of the newest
#: step at which its first rows must lie for them to be its beginning [rows, share, share]. By hand.
NEVER_ROWS, NEVER_FALL, BEGINNING = 256, 0.01, 0.05
#: Part of the rows at or below zero, and their count, from which on a loss is not one that stays above zero. By hand.
BELOW_ZERO_SHARE, BELOW_ZERO_ROWS = 0.01, 3
#: How many times wider than usual the interval of a loss may have to be that is not known to be one of text, and how
#: many times its lower end the upper end of any may be, before nothing is said. By hand: data/zoo, intervals that hold
#: .8.
MOST_SURPRISE, MOST_RATIO = 3.0, 3.0
#: The same of text: no public run of tests/benchmarks/forecast.py has more than 8. By hand.
MOST_SURPRISE_OF_TEXT = 10.0


def why_no_law(run: Run, blocks: LossBlocks, below_zero: int, rows: int, *, has_law: bool = False) -> str:
    """Return why no law describes a run, in words; "" where one may.

    Args:
        run: as planned. blocks: its curve. below_zero: rows whose loss is zero or less. rows: those and the rows that
            were learned from. has_law: whether it is held against a law of text, which knows the shape of its curve.
    """
    if run.total_steps is None:
        timed = run.max_seconds is not None
        return (
            "the clock ends it, and how fast its steps are is not known yet" if timed else "the run has no planned end"
        )
    if (run.is_text or has_law) and blocks.losses and blocks.losses[-1] < RECITES:
        left = f"the loss is {blocks.losses[-1]:.2g}: so little is left that the model recites its data"
        return f"{left}, and laws of pre-training say nothing about that"
    if has_law:
        return ""
    if run.no_descent:
        return f"its objective is no descent: {run.no_descent}"
    if below_zero >= max(BELOW_ZERO_SHARE * rows, BELOW_ZERO_ROWS):
        return f"{below_zero:,} of {rows:,} rows have a loss of zero or below, and laws of loss curves stay above it"
    sigmas = _fall(blocks.newest)
    if sigmas is None or sigmas > CLEAR_SIGMAS or (sigmas >= -CLEAR_SIGMAS and _fell_before(blocks)):
        return ""
    if sigmas < -CLEAR_SIGMAS:
        return "the loss rises over the length of the run, and laws of loss curves only fall"
    return "the loss has not fallen by more than its own scatter, so that no law can be told in it"


def why_not_told(run: Run, made: Forecast) -> str:
    """Return why a forecast that could be made is not worth telling, in words; "" where it is."""
    low, high = made.interval(0.8)
    if not low > 0.0:
        return f"its 80 % interval would reach from zero to {high:.3g}, which says nothing"
    if high > MOST_RATIO * low:
        return f"its 80 % interval would reach from {low:.3g} to {high:.3g}, which says nothing"
    if made.surprise > (MOST_SURPRISE_OF_TEXT if run.is_text else MOST_SURPRISE):
        return f"what came lay {made.surprise:.0f} times as far off what had been forecast as it may: no law holds here"
    return ""


def clearly_fell(blocks: LossBlocks) -> bool:
    """Return whether a curve is at less than half of where it began, and not by chance."""
    blocks = blocks.newest
    sigmas = _fall(blocks)
    return sigmas is not None and sigmas > CLEAR_SIGMAS and _ends(blocks)[1] < FELL * _ends(blocks)[0]


def never_fell(blocks: LossBlocks) -> bool:
    """Return whether a loss is no lower than where it began, after rows enough to see a fall of one per cent.

    Of a log that begins in the middle of a run nothing is said.
    """
    if blocks.rows_seen < NEVER_ROWS or len(blocks) < FEWEST_BLOCKS:
        return False
    if blocks.begins or blocks.mean_steps[0] > BEGINNING * blocks.last_step:
        return False
    first, newest, error = _ends(blocks)
    return 1.0 - newest / first + 2.0 * error < NEVER_FALL


def _fell_before(blocks: LossBlocks) -> bool:
    """Whether the curve fell before something was changed by design: then it may be slow since, and is described."""
    sigmas = _fall(blocks.before) if blocks.begins else None
    return sigmas is not None and sigmas > CLEAR_SIGMAS


def _fall(blocks: LossBlocks) -> float | None:
    """How far the newest quarter of a curve is below its first [standard errors]; None if it is too short to say."""
    if len(blocks) < FEWEST_BLOCKS:
        return None
    first, newest, error = _ends(blocks)
    return (1.0 - newest / first) / max(error, 1e-12)


def _ends(blocks: LossBlocks) -> tuple[float, float, float]:
    """Mean loss of the first and of the newest quarter of the blocks, and the relative error of their ratio."""
    _, _, losses, rows = blocks.arrays()
    part = max(int(END_PART * len(losses)), 1)
    begun, now = float(rows[:part].sum()), float(rows[-part:].sum())
    first, newest = float(rows[:part] @ losses[:part]) / begun, float(rows[-part:] @ losses[-part:]) / now
    error = blocks.log_noise * math.hypot(begun**-0.5, now**-0.5)
    return first, newest, error
