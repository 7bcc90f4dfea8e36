"""The level of a series over some rows at once, as `RobustBaseline` has it row by row: bit for bit the same.

It is the same arithmetic in the same order, without what only early rows and incidents need; a row that may be either
is not taken here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from scalewatch.detect.baseline import ANEW_ROWS, BROKEN, CLIP, FAST_ROWS, MIDDLE_ROWS, SLOW_ROWS, RobustBaseline
from scalewatch.detect.robust_scale import (
    BLOCK_ROWS,
    DIP_FADE,
    LEAST_SCALE,
    LONG_ROWS,
    NORMAL_DIP,
    REFRESH_ROWS,
    RobustScale,
)

__all__ = ["Mark", "Scored", "follow", "is_calm"]


#: Of one row what it was scored against: level before it, excess over that, scale before it, rise over the slow mean,
#: slow scale before it, rows that the slow mean rested on.
Scored = tuple[float, float, float, float, float, int]


@final
class Mark:
    """A level as it stood before some rows, to go back to."""

    def __init__(self, baseline: RobustBaseline, rows: int) -> None:
        scatter, blocks = baseline.scatter, baseline.scatter.blocks
        self._parts: list[tuple[Any, dict[str, Any]]] = [(part, dict(vars(part))) for part in (baseline, scatter)]
        self._parts.append((blocks, {**vars(blocks), "means": [*blocks.means]}))
        # of these two other lists take the place of what they hold
        self._parts += [(window, dict(vars(window))) for window in (scatter.bends, scatter.excesses)]
        if blocks.rows + rows >= BLOCK_ROWS:
            self._parts.append((blocks.past, dict(vars(blocks.past))))
            for window in (blocks.bends, blocks.long_bends):
                self._parts.append((window, {"values": [*window.values], "ranked": [*window.ranked]}))

    def go_back(self) -> None:
        """Let the level be as it was."""
        for part, state in self._parts:
            vars(part).update(state)


def is_calm(baseline: RobustBaseline) -> bool:
    """Return whether a level is past what only early rows and incidents need."""
    scatter = baseline.scatter
    return (
        baseline.rows > MIDDLE_ROWS
        and scatter.rows >= LONG_ROWS
        and not (baseline.frozen_by or baseline.frozen_rows or baseline.broken_rows)
        and len(scatter.past) == 2
    )


def follow(baseline: RobustBaseline, values: Sequence[float]) -> list[Scored]:
    """Score some rows and learn from them; fewer are scored if one is not calm, and the level is then undefined."""
    scored: list[Scored] = []
    scatter, taken, due = baseline.scatter, 0, REFRESH_ROWS - len(baseline.scatter.bends.waiting)
    scale, slow_scale, wander, steady = baseline.scale, baseline.slow_scale, scatter.wander, scatter.steady
    running, slow_mean, slow_rows = baseline.running_mean, baseline.slow_mean, baseline.slow_rows
    blocks, low, low_value, deepest = scatter.blocks, baseline.low, baseline.low_value, scatter.dip
    total, summed = blocks.sum, blocks.rows
    three = list(zip([*scatter.past, *values], [scatter.past[1], *values], values, strict=False))
    for count, (before, middle, value) in enumerate(three, 1):
        excess, rise = value - running, value - slow_mean
        if excess < BROKEN:
            return scored
        scored.append((running, excess, scale, rise, slow_scale, slow_rows))
        # the scale of one row
        dip = (before if before < value else value) - middle
        most, faded = 2.0 * NORMAL_DIP * scale, deepest * (1.0 - DIP_FADE)
        dip = dip if dip < most else most
        deepest = dip = dip if dip > faded else faded
        if count == due:
            _wait(scatter, three[taken:count], scored[taken:count])
            scatter.look_again()
            steady, taken, due = scatter.steady, count, due + REFRESH_ROWS
        dip /= NORMAL_DIP
        was, scale = scale, steady if steady > dip else dip
        scale = scale if scale > LEAST_SCALE else LEAST_SCALE
        slow_scale = scale * wander
        # the means
        fast, bound = running, CLIP * was
        if excess < -was:
            if low:
                running += max(0.5 * (max(low_value, value) - running), -bound)
            else:
                running += max(excess, -bound) / FAST_ROWS
            low, low_value = True, value
        else:
            low = False
            running += (excess if excess < bound else bound) / FAST_ROWS
        if slow_mean > fast + slow_scale:
            slow_mean, slow_rows = fast + slow_scale, ANEW_ROWS
        else:
            slow_rows += 1
            bound = CLIP * slow_scale
            move = bound if rise > bound else -bound if rise < -bound else rise
            slow_mean += move / (slow_rows if slow_rows < SLOW_ROWS else SLOW_ROWS)
        total += value
        summed += 1
        if summed >= BLOCK_ROWS:
            blocks.sum, blocks.rows, scatter.scale = total, summed, scale
            scatter.close_block()
            total, summed, wander = blocks.sum, blocks.rows, scatter.wander
    _wait(scatter, three[taken:], scored[taken:])
    scatter.rows += len(values)
    scatter.past, scatter.dip, scatter.scale = [three[-1][1], three[-1][2]], deepest, scale
    blocks.sum, blocks.rows = total, summed
    baseline.rows += len(values)
    baseline.scale, baseline.slow_scale, baseline.running_mean = scale, slow_scale, running
    baseline.slow_mean, baseline.slow_rows, baseline.low, baseline.low_value = slow_mean, slow_rows, low, low_value
    baseline.settle(values[-1], scored[-1][0], scored[-1][3], scored[-1][2])
    return scored


def _wait(scatter: RobustScale, three: list[tuple[float, float, float]], scored: list[Scored]) -> None:
    """Let bends and excesses of rows wait for the next look at the scatter."""
    # other lists, for somebody may go back to these
    scatter.bends.waiting = [*scatter.bends.waiting, *[abs(a - 2.0 * b + c) for a, b, c in three]]
    scatter.excesses.waiting = [*scatter.excesses.waiting, *[one[1] for one in scored]]
