"""Rows of which no detector of rows has anything to say, taken a dozen at once: bit for bit what one by one gives.

Of a long quiet log nearly all rows are like this. Whether a row may be news is asked of all of them first, and more
strictly than the detectors ask; from the first that may be, the detectors look at each row by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

from scalewatch.detect.baseline import SLOW_ROWS, SPARSE_STEPS
from scalewatch.detect.calm_level import Mark, Scored, follow, is_calm
from scalewatch.detect.calm_rows import LEAST, CalmRows
from scalewatch.detect.divergence import MEAN_ROWS, MOST_SCALES, MOST_TIMES, Divergence
from scalewatch.detect.grad_norm import HIGH_EXCESS, GradNorm
from scalewatch.detect.nonfinite import NonFinite, NonFiniteGradient
from scalewatch.detect.ranks import RankApart
from scalewatch.detect.rise_sum import ALLOWANCE, CLIP, FREEZE, FREEZE_ROWS, LEAST_RISE, LIMIT, OVER
from scalewatch.detect.sample_reader import MAX_SECONDS
from scalewatch.detect.shared_parts import SharedParts
from scalewatch.detect.short_log import START_ROWS
from scalewatch.detect.spike import CALM_SIGMAS, SPARSE_STAY, Spike

__all__ = ["CalmStretch"]

#: Fewest rows that are worth it [rows]. By hand.
FEWEST = 4


@final
class CalmStretch:
    """Takes calm rows into all that a row changes, but for what comes after the detectors of rows.

    Args:
        shared: what all detectors look at. detectors: those of rows, as `DetectorSet` has them.
    """

    def __init__(
        self,
        shared: SharedParts,
        detectors: tuple[Spike, Divergence, GradNorm, NonFinite, NonFiniteGradient, RankApart],
    ) -> None:
        self._shared = shared
        self._spike, self._divergence, self._grad_norm, *_ = detectors
        self._nonfinite, self._nonfinite_gradient, self._ranks = detectors[3:]

    def take(self, rows: CalmRows, first: int, end: int) -> tuple[int, int]:
        """Take the rows from `first` to before `end`, or the first of them.

        Returns the place of the next one, and the one to which they are to be looked at one by one.
        """
        blocks = self._shared.blocks
        left = blocks.size - blocks.rows
        if left <= FEWEST:
            return first, first + left  # the block closes
        end = min(end, first + left - 1)
        if end - first < FEWEST or not self._is_quiet(rows, first):
            return first, first
        end = self._shared.schedule.calm_until(rows, first, end)
        at = self._chunk(rows, first, end) if end > first else first
        single = at
        if at < end:
            # the rows before the first that may be news are calm all the same
            if at - first < FEWEST or self._chunk(rows, first, at) < at:
                return first, first
            single = at + 1
        if at > first:
            self._shared.schedule.follow(rows, first, at)
        return at, single

    def _is_quiet(self, rows: CalmRows, first: int) -> bool:
        """Whether nothing is going on: no incident, no early rows, no rate that moves the loss."""
        spike, divergence, reader = self._spike, self._divergence, self._shared.reader
        return (
            is_calm(self._shared.baseline)
            and (rows.norms is None or is_calm(self._grad_norm.baseline))
            and reader.losses
            and reader.loss_scale.unit == 0.0
            and rows.steps[first] > reader.last_step
            and not (spike.pending or spike.incident.is_open or spike.freezes_baseline)
            and divergence.sum.total <= FREEZE
            and not (divergence.incident.is_open or divergence.muted or divergence.freezes_baseline)
            and divergence.claims
            and len(divergence.first.begun) > START_ROWS
            and not (
                self._grad_norm.incident.is_open or self._nonfinite.incident.is_open or self._nonfinite_gradient.count
            )
            and not (self._ranks.rows or self._ranks.incident.is_open)
        )

    def _chunk(self, rows: CalmRows, first: int, end: int) -> int:
        """Take the rows if all of them are calm, or none; the place of the first that may be news, `end` for none."""
        steps, values = rows.steps[first:end], rows.values[first:end]
        spacings = self._spacings(steps)
        sparse = spacings[0] >= SPARSE_STEPS
        if (min(spacings) >= SPARSE_STEPS) != (max(spacings) >= SPARSE_STEPS):
            return first + next(at for at, each in enumerate(spacings) if (each >= SPARSE_STEPS) != sparse)
        marks = [Mark(self._shared.baseline, end - first)]
        level = follow(self._shared.baseline, values)
        calm = first + self._look(level, steps)
        if rows.norms is not None and calm == end:
            given = rows.log_norms[first:end]
            places = list(range(first, end))
            if not rows.every_norm:
                places = [at for at in places if rows.norms[at] == rows.norms[at]]
                given = [rows.log_norms[at] for at in places]
            if given:
                marks.append(Mark(self._grad_norm.baseline, len(given)))
                norms = follow(self._grad_norm.baseline, given)
                high = next((at for at, one in enumerate(norms) if one[1] > HIGH_EXCESS), len(norms))
                calm = end if high == len(given) else places[high]
        if calm < end:
            for mark in marks:
                mark.go_back()
            return calm
        self._take_level(sparse)
        self._shared.blocks.extend(rows, first, end)
        self._read(rows, first, end, spacings[-1])
        return end

    def _spacings(self, steps: Sequence[int]) -> list[float]:
        reader = self._shared.reader
        return [(step - reader.first_step) / count for count, step in enumerate(steps, reader.epoch_rows)]

    def _look(self, level: list[Scored], steps: Sequence[int]) -> int:
        """How many rows from the first on neither the spike nor the divergence may have anything to say of."""
        self._sigmas = [excess / scale for _, excess, scale, _, _, _ in level]
        if not level or max(self._sigmas) > SPARSE_STAY:
            return next((at for at, z in enumerate(self._sigmas) if z > SPARSE_STAY), 0)
        return self._sums(level, steps)

    def _take_level(self, sparse: bool) -> None:
        """Let the spike and the divergence take in the rows that were looked at."""
        spike, divergence = self._spike, self._divergence
        pairs = [
            before if before < z else z for before, z in zip([spike.before, *self._sigmas], self._sigmas, strict=False)
        ]
        spike.before = self._sigmas[-1]
        if sparse:
            spike.singles.see_many(self._sigmas, self._sigmas, CALM_SIGMAS)
        spike.pairs.see_many(pairs, self._sigmas, CALM_SIGMAS)
        divergence.mean_rise, total, rows, step, past, lows = self._risen
        rise = divergence.sum
        rise.total, rise.rows, rise.step = total, rows, step
        rise.freezes = divergence.freezes_trend = False
        rise.past.see_many(past, past, math.ulp(0.0))
        for low in lows:
            rise.recent.see(low)

    def _sums(self, level: list[Scored], steps: Sequence[int]) -> int:
        rise_sum = self._divergence.sum
        mean, total, rows, onset = self._divergence.mean_rise, rise_sum.total, rise_sum.rows, rise_sum.step
        past: list[float] = []
        lows: list[float] = []
        for step, (fast, _, _, rise, scale, rests) in zip(steps, level, strict=False):
            bound = MOST_TIMES * abs(mean) + MOST_SCALES * scale
            mean += ((rise if rise < bound else bound) - mean) / MEAN_ROWS
            z = rise / scale
            allowance = ALLOWANCE + (rests if rests < SLOW_ROWS else SLOW_ROWS) ** -0.5
            grown = total + (z if z < CLIP else CLIP) - allowance
            if grown <= 0.0 or mean < OVER * scale:
                past.append(0.0)
                lows.append(fast)
                total, rows, onset = 0.0, 0, step
                continue
            total, rows = grown, rows + 1
            past.append(total)
            if (total > FREEZE and rests > FREEZE_ROWS) or (total >= LIMIT and mean >= LEAST_RISE):
                return len(past) - 1
        self._risen = mean, total, rows, onset, past, lows
        return len(past)

    def _read(self, rows: CalmRows, first: int, end: int, spacing: float) -> None:
        """Let the newest row be the last of them."""
        reader, sample, last = self._shared.reader, self._shared.reader.sample, end - 1
        reader.last_step, reader.last_loss = rows.steps[last], rows.losses[last]
        reader.rows += end - first
        reader.epoch_rows += end - first
        norm = math.nan if rows.norms is None else rows.norms[last]
        reader.norms = reader.norms or (rows.norms is not None and any(map(LEAST.__lt__, rows.norms[first:end])))
        reader.loss_scale.see_many(rows.losses[first:end])
        sample.row, sample.step, sample.spacing = reader.rows, rows.steps[last], spacing
        sample.loss, sample.value, sample.loss_given, sample.usable = rows.losses[last], rows.values[last], True, True
        sample.learning_rate = rows.rates[last] if rows.rates is not None else math.nan
        sample.grad_given, sample.grad_norm = norm == norm, norm
        seconds = math.nan if rows.seconds is None else rows.seconds[last]
        sample.seconds = seconds if -MAX_SECONDS < seconds < MAX_SECONDS else math.nan
        sample.validation_given = sample.rise_expected = sample.warming = False
        sample.rank_losses = sample.precursors = None
