"""Follows one run against its law and says where it will end.

On the step path a row is added to a block: constant time, no array. A forecast is made when it is asked
for, from the blocks, at a cost that does not grow with the run.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from scalewatch.forecast.forecast import Forecast
from scalewatch.forecast.held_against import measure
from scalewatch.forecast.law_gap import LawGap
from scalewatch.forecast.posterior import MISFIT, LawPosterior, ShapePrior, posterior
from scalewatch.forecast.registered import Registered, register
from scalewatch.forecast.schedule import AbstractSchedule, Future, ObservedSchedule, PlannedSchedule
from scalewatch.laws import CurveLaw, LossBlocks
from scalewatch.run import Run

__all__ = ["Forecaster"]

Floats = NDArray[np.float64]

#: Prior of the shape where no ladder says better: mean and sd of ln alpha and ln rho. It, `REMAINING_SHARE` and the
#: two constants of the misfit in posterior.py were chosen by the error over eight public sources (GPT and Llama 25M to
#: 124M, cosine, WSD and linear schedules), each source counting once; chosen with one source left out in turn and
#: asked about that one, the mean error at 20, 30 and 50 % of a run rises by .1 to .2 % of the loss.
LOG_ALPHA = (math.log(0.6), 0.25)
LOG_RATIO = (math.log(0.55), 0.3)
#: A decay from a higher peak gains more: rho goes as (peak / reference)^this between these rates, which are those of
#: AdamW; outside, the rate is one of another optimizer and says nothing. The noise that a decay takes away grows with
#: the rate (lr_scheduling: 1.8 % of the loss at 1e-4, 8 % at 3e-3); half of what those runs alone would ask for.
RATE_EXPONENT, RATE_REFERENCE, RATE_RANGE = 0.15, 6e-4, (5e-5, 6e-3)
#: Memories of the decay that compete, as parts of the run.
MEMORY_SHARES = (0.003, 0.015, 0.06, 0.2)
#: What the walk has to give at the planned end, mean and sd, as a part of the present loss (same runs).
REMAINING_SHARE = (0.105, 0.05)
#: Error of what the decay to come will give, as a part of the present loss for a full decay: over those runs the gain
#: is 4 to 8 % of the loss, more at a high peak rate, and no prefix on a constant rate tells which.
GAIN_ERROR_SHARE = 0.01
#: Grid of a shape parameter, in sds about its mean.
_GRID = np.linspace(-1.8, 1.8, 7)
#: Blocks past the warm-up that a forecast without a law needs, and the part of the walk it needs behind it.
FEWEST_BLOCKS = 4
LEAST_WALK_SHARE = 0.02
#: The final loss of a run is the mean over this last part of its plan.
FINAL_SHARE = 0.02
#: Rows from which on a run knows its own noise better than its law does.
ROWS_TO_KNOW_NOISE = 100
#: A loss outside these is no loss [nats/token], and its square no float: it is not learned from.
LEAST_LOSS, MOST_LOSS = 1e-30, 1e30
#: Part of the walk before which the curve is of another law.
EARLIEST_WALK_SHARE = 0.02
#: Spread of the intervals over that of the posterior. Without a law: so that 80 % hold 80 % of the runs of the
#: average public source, over 10 to 90 % of the run. With one: 1, what the two language-model ladders among the
#: public sources want (0.7 to 2); a third source with nearly no noise would allow a tenth and is not listened to.
SPREAD_OWN = 0.55
SPREAD_LAW = 1.0
#: A run is as far off its law as chance makes one in a hundred: then the law's promise is doubted by that distance, but
#: not in the first fifth of the run, where the early descent is off any law [part of the run].
OFF_LAW_CHANCE, DOUBT_FROM_SHARE = 0.01, 0.2


@final
class Forecaster:
    """The forecast of one run.

    Args:
        run: the run as planned; without `total_steps` nothing can be forecast.
        law: a law of smaller runs of its recipe, or None to forecast from the run alone.
        promise: what was registered when the run began, None to register it now if there is a law.
    """

    def __init__(self, run: Run, law: CurveLaw | None = None, promise: Registered | None = None) -> None:
        self.run, self.law = run, law
        self.blocks = LossBlocks()
        self.registered: Forecast | None = None
        self._made: Forecast | None = None
        self._total = run.total_steps
        self._schedule: AbstractSchedule | None = None
        self._notes: tuple[str, ...] = ()
        self.promise = promise
        if self._total is None:
            return
        shares = np.array(MEMORY_SHARES) * self._total
        memories = np.maximum(shares if law is None else np.array([law.memory_steps]), 1.0)
        if run.learning_rates is None:
            self._schedule = ObservedSchedule(self._total, memories)
        else:
            self._schedule = PlannedSchedule(run.learning_rates, memories)
        self._memories = memories
        if law is not None and run.learning_rates is not None:
            self.registered = self._forecast()
            if self.promise is None and self.registered is not None:
                self.promise = register(self.registered, law, self._schedule)

    def observe(self, step: int, loss: float, learning_rate: float | None, clean: bool = True) -> bool:
        """Take one row; return whether a stretch of the curve was completed by it.

        Args:
            step: optimizer steps completed; a step that does not rise is passed over.
            loss: positive and finite [nats/token].
            learning_rate: of this step, None if unknown.
            clean: whether the row belongs to no incident; a row that does is not learned from.
        """
        if step <= self.blocks.last_step:
            return False
        if self._schedule is not None:
            self._schedule.observe(step, learning_rate)
        return clean and LEAST_LOSS < loss < MOST_LOSS and self.blocks.add(step, loss)

    def rewind(self, step: int) -> None:
        """Forget the rows from `step` on: the run went back to an older checkpoint."""
        self.blocks.rewind(step)
        if self._schedule is not None:
            self._schedule.rewind(step)
        self._made = None

    @property
    def schedule(self) -> AbstractSchedule | None:
        """Where the run stands on its learning rates; None without a planned end."""
        return self._schedule

    def forecast(self) -> Forecast | None:
        """Return the forecast as of now, None if there is nothing to say yet."""
        if self._schedule is None:
            return None
        if self._made is None or self._made.step != self.blocks.last_step:
            made = self._forecast()
            if made is not None and self.registered is None:
                self.registered = made
            self._made = made
        return self._made

    def _forecast(self) -> Forecast | None:
        schedule, total = self._schedule, self._total
        if schedule is None or total is None:
            return None
        _, means, losses, rows = self.blocks.arrays()
        walked, annealed = schedule.at(means) if len(means) else (np.zeros(0), np.zeros((0, len(self._memories))))
        futures = schedule.futures()
        shortest = min(f.end_walked for f in futures)
        if not shortest > 0.0:
            return None  # no learning rate is known yet, or each so far was zero
        keep = (means > schedule.settled_step) & (walked >= EARLIEST_WALK_SHARE * shortest)
        law_knows = self.law is not None
        gap = self.law_gap()
        enough = keep.sum() >= FEWEST_BLOCKS and walked[-1] >= LEAST_WALK_SHARE * shortest
        branches: list[tuple[Future, LawPosterior]] = []
        notes: tuple[str, ...] = ()
        for future in futures:
            prior, notes = self._prior(future, losses)
            if gap is not None and gap.step >= DOUBT_FROM_SHARE * total and gap.chance < OFF_LAW_CHANCE:
                prior, notes = _doubted(prior, gap), (*notes, "The run is off its law, which counts for less here.")
            if prior.end_loss is None and not enough:
                return None
            curve = (walked[keep] / future.end_walked, annealed[keep], losses[keep])
            noise = self.blocks.log_noise / np.sqrt(rows[keep])
            end = (1.0, future.end_annealed)
            misfit = MISFIT if self.law is None else max(self.law.misfit, 0.3 * MISFIT)
            gain_error = 0.0 if self.law is not None else GAIN_ERROR_SHARE / SPREAD_OWN
            branches.append((future, posterior(prior, *curve, noise, end, misfit, gain_error)))
        if self.run.learning_rates is None:
            notes = (*notes, "The learning rates to come are unknown: the interval spans holding and decaying.")
        made = self._finish(branches, notes, gap, SPREAD_LAW if law_knows else SPREAD_OWN)
        return made if made.final_loss > 0.0 else None  # a loss near zero is of no law of pre-training

    def _finish(
        self, branches: list[tuple[Future, LawPosterior]], notes: tuple[str, ...], gap: LawGap | None, spread: float
    ) -> Forecast:
        if self._schedule is None or self._total is None:
            raise RuntimeError("a forecast needs a schedule and an end")
        made = Forecast(
            step=self.blocks.last_step,
            total_steps=self._total,
            final_loss=0.0,
            law_gap=gap,
            schedule_known=self.run.learning_rates is not None,
            notes=notes,
            _branches=tuple(branches),
            _schedule=self._schedule,
            _spread=spread,
            _end_noise=self._end_noise(),
        )
        low, high = made.interval(1e-9)
        object.__setattr__(made, "final_loss", 0.5 * (low + high))
        return made

    def _end_noise(self) -> float:
        """Noise of the final loss [nats/token]: a mean over the last fiftieth of the run's rows."""
        seen, last = self.blocks.rows_seen, self.blocks.last_step
        row_noise = self.blocks.log_noise
        if self.law is not None and seen < ROWS_TO_KNOW_NOISE:
            row_noise = self.law.row_noise
        rows_a_step = min(seen / last, 1.0) if last else 1.0
        rows = max(FINAL_SHARE * (self._total or 0) * rows_a_step, 1.0)
        level = self.blocks.losses[-1] if self.blocks.losses else self._expected_end()
        return row_noise / math.sqrt(rows) * level

    def _expected_end(self) -> float:
        if self.law is None or self._schedule is None:
            return 0.0
        end = self._schedule.futures()[0]
        return self.law.predict(self.run, end.end_walked, float(end.end_annealed[0])).end_loss or 0.0

    def _prior(self, future: Future, losses: Floats) -> tuple[ShapePrior, tuple[str, ...]]:
        grid = -0.5 * _GRID**2
        weights = grid[:, None, None] + grid[None, :, None] + np.zeros((1, 1, len(self._memories)))
        if self.law is None:
            scale = float(losses[-1]) if len(losses) else 1.0
            return ShapePrior(
                alphas=np.exp(LOG_ALPHA[0] + LOG_ALPHA[1] * _GRID),
                ratios=self._gain_of_rate() * np.exp(LOG_RATIO[0] + LOG_RATIO[1] * _GRID),
                memories=self._memories,
                log_weights=weights,
                end_loss=None,
                remaining=(REMAINING_SHARE[0] * scale, REMAINING_SHARE[1] * scale),
            ), ()
        law = self.law
        told = law.predict(self.run, future.end_walked, float(future.end_annealed[0]))
        return ShapePrior(
            alphas=law.alpha * np.exp(law.alpha_log_sd * _GRID),
            ratios=told.ratio * np.exp(law.ratio_log_sd * _GRID),
            memories=self._memories,
            log_weights=weights,
            end_loss=None if told.end_loss is None else (told.end_loss, told.end_loss_sd),
            remaining=(told.remaining, told.remaining_sd),
        ), told.notes

    def _gain_of_rate(self) -> float:
        """What the planned peak rate says about the gain of a decay, 1 where it says nothing [ratio]."""
        peak = 0.0 if self.run.learning_rates is None else float(self.run.learning_rates.max())
        known = RATE_RANGE[0] <= peak <= RATE_RANGE[1]
        return (peak / RATE_REFERENCE) ** RATE_EXPONENT if known else 1.0

    def law_gap(self) -> LawGap | None:
        """Return how far the run is off its promise now, None without one or before it has settled."""
        return None if self.promise is None else measure(self.promise, self.blocks, self.run.tokens_per_step)

    def expected_at(self, step: float) -> tuple[float, float] | None:
        """Return (loss, sd) [nats/token] that the law expected at `step` before the run started."""
        if self.promise is None or step < self.promise.steps[0]:
            return None
        losses, factors = self.promise.at([step])
        return float(losses[0]), float(np.sqrt((factors[0] ** 2).sum()))

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs, as plain numbers, lists and dicts."""
        schedule = {} if self._schedule is None else self._schedule.state_dict()
        promise = {} if self.promise is None else self.promise.record()
        return {"blocks": self.blocks.state_dict(), "schedule": schedule, "registered": promise}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.blocks.load_state_dict(state["blocks"])
        if self._schedule is not None and state["schedule"]:
            self._schedule.load_state_dict(state["schedule"])
        if state["registered"]:
            self.promise = Registered.from_record(state["registered"])  # the first one counts, not that of today's law
        self._made = None


def _doubted(prior: ShapePrior, gap: LawGap) -> ShapePrior:
    """The prior, with the distance between the run and the law added to what the law may be wrong by."""
    end, (mean, sd) = prior.end_loss, prior.remaining
    wider = None if end is None else (end[0], math.hypot(end[1], gap.nats))
    return replace(prior, end_loss=wider, remaining=(mean, math.hypot(sd, gap.nats)))
