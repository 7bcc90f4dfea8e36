"""Follows one run against its law and says where it will end.

On the step path a row is added to a block: constant time, no array. A forecast is made when it is asked
for, from the blocks, at a cost that does not grow with the run.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import repeat
from typing import Any, final

import numpy as np

from scalewatch.forecast.candidates import (
    LADDER,
    Candidate,
    doubted,
    held_as_well,
    memories_of,
    of_ladder,
    of_public_runs,
    weighed,
)
from scalewatch.forecast.conformal import surprise
from scalewatch.forecast.descent import why_no_law, why_not_told
from scalewatch.forecast.end_by_time import EndByTime
from scalewatch.forecast.epochs import Stairs, edges_of, stairs_of, why_at_first
from scalewatch.forecast.final_loss import noise_of_end
from scalewatch.forecast.forecast import Branch, Forecast
from scalewatch.forecast.law_residual import LawResidual, law_residual
from scalewatch.forecast.posterior import posteriors
from scalewatch.forecast.preregistered import BaselineForecast
from scalewatch.forecast.registration import register
from scalewatch.forecast.rising import with_rise
from scalewatch.forecast.schedule import AbstractSchedule, Future, ObservedSchedule, PlannedSchedule
from scalewatch.forecast.segments import after_change, newest_segment
from scalewatch.forecast.validity import rising_trend
from scalewatch.laws import CurveLaw, LossBlocks
from scalewatch.run import Run
from scalewatch.text import percent

__all__ = ["Forecaster"]

#: Blocks past the warm-up that a forecast without a law needs, and the part of the walk it needs behind it. By hand.
FEWEST_BLOCKS = 4
LEAST_WALK_SHARE = 0.02
#: A loss outside these is no loss [nats/token], and its square no float: it is not learned from. By hand.
LEAST_LOSS, MOST_LOSS = 1e-30, 1e30
#: A run is as far off its law as chance makes one in a hundred: then the law is doubted by that distance, but
#: not in the first fifth of the run, where the early descent is off any law [part of the run]. By hand.
OFF_LAW_CHANCE, DOUBT_FROM_SHARE = 0.01, 0.2
#: A law of smaller runs that counts for less is told to; an interval is that was made so many times wider. By hand.
CONTRADICTED, TOLD_SURPRISE = 0.2, 1.5
#: Steps that a run is taken to have until its clock says more: they leave each rate as it was shown. By hand.
UNPLANNED = 256
#: Part of the run up to which a log that begins shows how the run began. By hand.
BEGINNING = 0.02
#: Part of the walk before which the curve is of another law. By hand.
EARLIEST_WALK_SHARE = 0.02


@final
class Forecaster:
    """The forecast of one run.

    Args:
        run: the run as planned; without `total_steps` nothing can be forecast.
        law: a law of smaller runs of its recipe, or None to forecast from the run alone.
        baseline: what was registered when the run began, None to register it now if there is a law.
    """

    def __init__(self, run: Run, law: CurveLaw | None = None, baseline: BaselineForecast | None = None) -> None:
        self.run, self.law = run, law
        self.blocks, self.revision = LossBlocks(), 0
        self._made: tuple[int, Forecast | None, str] | None = None
        self._still: tuple[int, Forecaster] | None = None
        self._below_zero = self._rows = 0
        self._total = run.total_steps
        self._clock = EndByTime(run.max_seconds) if run.max_seconds and not run.total_steps else None
        self._schedule: AbstractSchedule | None = None
        self._plan: AbstractSchedule | None = None
        self._left_at: int | None = None
        self.baseline = baseline
        if self._total is None and self._clock is None:
            return
        self._memories = memories_of(law, self._total or UNPLANNED)
        if run.learning_rates is None:
            self._schedule = ObservedSchedule(self._total or UNPLANNED, self._memories)
        else:
            self._schedule = PlannedSchedule(run.learning_rates, self._memories)
        self._plan = self._schedule
        if law is not None and run.learning_rates is not None:
            made = self.forecast()
            if self.baseline is None and made is not None:
                self.baseline = register(made, law, self._schedule)

    def takes_many(self, step: int) -> bool:
        """Whether rows from `step` on may be observed at once; a clock that ends the run needs each time."""
        return self._clock is None and step > self.blocks.last_step

    def know(self, run: Run) -> None:
        """Take what more is known of the run; where it ends is known already."""
        self.run = replace(run, total_steps=self.run.total_steps)
        self.revision += 1

    def _end_at(self, clock: EndByTime) -> None:
        """Let the run end where its clock says, as far as that is known."""
        end, schedule = clock.end, self._schedule
        if end is not None and isinstance(schedule, ObservedSchedule):
            self._total, self.run = end.total, replace(self.run, total_steps=end.total)
            self._memories = memories_of(self.law, end.total)
            self._schedule = self._plan = schedule.ending(end.total, self._memories, end.sd)
            self.revision += 1

    def observe(
        self,
        step: int,
        loss: float,
        learning_rate: float | None,
        clean: bool = True,
        seconds: float = math.nan,
        tokens: float | None = None,
    ) -> bool:
        """Take one row; return whether a stretch of the curve was completed by it.

        Args:
            step: optimizer steps completed; a step that does not rise is passed over.
            loss: finite; one that is zero or below is not learned from, and counted.
            learning_rate: of this step, None if unknown.
            clean: whether the row belongs to no incident; a row that does is not learned from.
            seconds: its time, from any origin [s]; NaN where unknown. tokens: consumed so far, None or NaN if unknown.
        """
        blocks, schedule = self.blocks, self._schedule
        if step <= blocks.last_step:
            return False
        if self._clock is not None and self._clock.see(step, seconds):
            self._end_at(self._clock)
            schedule = self._schedule
        if tokens is not None and tokens == tokens and schedule is not None:
            schedule.see_tokens(step, tokens)
        learned = clean and LEAST_LOSS < loss < MOST_LOSS
        if loss <= 0.0:
            self._below_zero += 1
            self.revision += 1
            self._rows += 1
        elif learned:
            self._rows += 1
        if schedule is not None and (self.run.learning_rates is None or self._left_at is not None):
            schedule.observe(step, learning_rate)
            self.revision += 1
        elif learned:
            self.revision += 1
        return learned and blocks.add(step, loss)

    def observe_many(self, steps: Sequence[int], losses: Sequence[float], rates: Sequence[float] | None) -> None:
        """Take many rows that belong to no incident, as `observe` takes each.

        Args:
            steps: rising, from above `blocks.last_step` on. losses: between 1e-30 and 1e30. rates: NaN where unknown.
        """
        self._rows += len(steps)
        self.revision += len(steps)
        if self._schedule is not None and not self.follows_plan:
            for step, rate in zip(steps, rates or repeat(math.nan), strict=False):
                self._schedule.observe(step, rate if rate == rate else None)
        self.blocks.add_many(steps, losses)

    def rewind(self, step: int) -> None:
        """Forget the rows from `step` on: the run went back to an older checkpoint."""
        self.blocks.rewind(step)
        if self._left_at is not None and self._left_at >= step:
            self.rejoin_plan()
        if self._schedule is not None:
            self._schedule.rewind(step)
        if self._clock is not None:
            self._clock.rewind(step)
        self.revision += 1

    def begin_phase(self, step: int) -> None:
        """From `step` on something is changed by design: the level of the loss is told anew from there."""
        self.blocks.begin(step)
        self.revision += 1

    def leave_plan(self, step: int) -> None:
        """From `step` on the rates are those that are shown, and those to come are unknown: the plan was left."""
        plan, total = self.run.learning_rates, self._total
        if plan is None or total is None or self._left_at is not None:
            return
        shown = ObservedSchedule(total, self._memories, left_at=step)
        shown.follow(plan[: max(step - 1, 0)])
        self._schedule, self._left_at = shown, step
        self.revision += 1

    def rejoin_plan(self) -> None:
        """The planned rates hold again; what was done otherwise was short and is passed over."""
        if self._left_at is not None:
            self._schedule, self._left_at = self._plan, None
            self.revision += 1

    @property
    def follows_plan(self) -> bool:
        """Whether the learning rates to come are known: they were planned, and the plan was not left."""
        return self.run.learning_rates is not None and self._left_at is None

    @property
    def schedule(self) -> AbstractSchedule | None:
        """Where the run stands on its learning rates; None without a planned end."""
        return self._schedule

    def forecast(self) -> Forecast | None:
        """Return the forecast as of now, None if there is nothing to say yet."""
        return self._look()[0]

    @property
    def why_none(self) -> str:
        """Why there is no forecast, in words; "" where there is one, or it is too early to say."""
        return self._look()[1]

    def why_no_law(self) -> str:
        """Return why no law describes the run, without a look at its forecast; "" where one may."""
        why = why_no_law(self.run, self.blocks, self._below_zero, self._rows, has_law=self.law is not None)
        why = why or (self._clock.why_over if self._clock is not None else "")
        return why or why_at_first(edges_of(self.run, self.law), self.blocks.end_steps)

    def _look(self) -> tuple[Forecast | None, str]:
        if self._made is None or self._made[0] != self.revision:
            why = self.why_no_law()
            with np.errstate(all="ignore"):  # of a strange law: what is not finite is no forecast
                made = None if why else self._forecast()
                if made is not None and self.law is None:
                    why = why_not_told(self.run, made)
                elif made is None and not why and self.blocks.begins:
                    why = f"something new began at step {self.blocks.begins[-1]:,}, and too few rows have come since"
            self._made = self.revision, None if why else made, why
        return self._made[1:]

    def frozen(self) -> Forecaster:
        """Return it as it stands now, for another thread, while the run goes on; what never changes is shared.

        Whoever asks at the same row gets the same one, and its forecast is made once for all of them: nothing may be
        observed by it, nor may it go back (`copy`).
        """
        if self._still is None or self._still[0] != self.revision:
            self._still = self.revision, self.copy()
        return self._still[1]

    def copy(self) -> Forecaster:
        """Return one that goes its own way from here."""
        twin = copy.copy(self)
        twin.blocks = self.blocks.copy()
        twin._schedule = None if self._schedule is None else self._schedule.frozen()
        twin._plan = twin._schedule if self._plan is self._schedule else self._plan and self._plan.frozen()
        twin._still, twin._clock = None, copy.deepcopy(self._clock)
        return twin

    def _forecast(self) -> Forecast | None:
        schedule, total = self._schedule, self._total
        if schedule is None or total is None:
            return None
        ends, means, losses, rows = self.blocks.arrays()
        walked, annealed = schedule.at(means) if len(means) else (np.zeros(0), np.zeros((0, len(self._memories))))
        futures = schedule.futures()
        shortest = min(f.end_lr_sum for f in futures)
        if not shortest > 0.0:
            return None  # no learning rate is known yet, or each so far was zero
        noise = self.blocks.log_noise / np.sqrt(rows)
        stairs, keep = stairs_of(edges_of(self.run, self.law), schedule, ends, means, losses, noise)
        keep &= (means > schedule.settled_step) & (walked >= EARLIEST_WALK_SHARE * shortest)
        gap = self.law_gap()
        columns = (ends, means, walked, annealed, losses / np.exp(stairs.levels(means)[0]), noise)
        ends, means, walked, annealed, losses, noise = (column[keep] for column in columns)
        decayed, begins = annealed[:, int(self.law is not None)], self.blocks.begins
        segment = newest_segment(ends, means, losses, noise, decayed, begins)
        enough = bool(len(losses) >= FEWEST_BLOCKS and walked[-1] >= LEAST_WALK_SHARE * shortest)
        enough = enough and segment.is_told
        seen = float(walked[-1] / walked[segment.first]) if enough else 1.0
        branches, notes, surprised = list[Branch](), tuple[str, ...](), 1.0
        whole = (walked, annealed, losses, noise)
        curve = [column[segment.first :] for column in whole]
        of_text = self._own_laws(float(losses[-1]), seen, remembers=stairs.seen > 0) if enough else []
        plain = [self._candidates(future, of_text, float(losses[-1]) if enough else None, gap) for future in futures]
        if not all(plain):
            return None
        laws = after_change(plain, futures, segment, whole) if enough and segment.first else plain
        asked = [[law.asked(future) for law in competing] for competing, future in zip(laws, futures, strict=True)]
        told = iter(posteriors([each for of_future in asked for each in of_future], *curve))
        for place, (future, competing) in enumerate(zip(futures, laws, strict=True)):
            found = [next(told) for _ in competing]
            if not all(math.isfinite(each.log_evidence + float(each.weights.sum())) for each in found):
                return None
            weights = weighed(competing, [each.log_evidence for each in found])
            for candidate, each, weight in zip(competing, found, weights, strict=True):
                branches.append(Branch(candidate.law, future.probability * weight, future, each, candidate.spread))
            notes = competing[0].notes
            if competing[0].law == LADDER and weights[0] < CONTRADICTED:
                counts = f"The run's own curve contradicts its law, which counts for {percent(weights[0])} here."
                notes = (*notes, counts)
            # a jump that nobody noted may come again, and one that was meant does not
            best, again = int(np.argmax(weights)), segment.first > 0 and not segment.noted
            question = plain[place][best].asked(future) if again else asked[place][best]
            surprised = max(surprised, surprise(question, competing[best].spread, *(whole if again else curve)))
        # what a law misses of the fall to come is known beforehand and grows with no surprise
        branches = [
            b._replace(posterior=b.posterior.with_fall_error(b.posterior.fall_error / surprised)) for b in branches
        ]
        notes = (*notes, *([segment.text] if segment.first else []))
        if surprised > TOLD_SURPRISE:
            notes = (*notes, f"Earlier forecasts missed, so intervals were widened {surprised:.1f} times.")
        rise = rising_trend(self.blocks)
        if rise is not None:
            branches, notes = with_rise(branches, rise, self.blocks, total, self._memories), (*notes, rise.text)
        return self._finish(branches, (*notes, *stairs.notes, *schedule.notes), gap, surprised, stairs)

    def _own_laws(self, loss: float, seen: float, *, remembers: bool) -> list[Candidate]:
        blocks = self.blocks
        began = blocks.losses[0] if blocks.mean_steps[0] <= BEGINNING * (self._total or 0) else math.inf
        laws = of_public_runs(self.run, self._memories, int(self.law is not None), loss, blocks.log_noise, seen, began)
        return held_as_well(laws, self._memories, loss) if remembers else laws

    def _candidates(
        self, future: Future, own: list[Candidate], loss: float | None, gap: LawResidual | None
    ) -> list[Candidate]:
        """The laws that compete; before there is a present loss, only one that knows the end of this run."""
        if self.law is None:
            return own
        ladder = of_ladder(self.law, self.run, future, self._memories, loss)
        if gap is not None and gap.step >= DOUBT_FROM_SHARE * (self._total or 0) and gap.chance < OFF_LAW_CHANCE:
            ladder = doubted(ladder, gap.nats)
        return own if ladder.prior.end_loss is None else [ladder, *own]

    def _finish(
        self, branches: list[Branch], notes: tuple[str, ...], gap: LawResidual | None, surprised: float, stairs: Stairs
    ) -> Forecast | None:
        if self._schedule is None or self._total is None:
            raise RuntimeError("a forecast needs a schedule and an end")
        made = Forecast(
            step=self.blocks.last_step,
            total_steps=self._total,
            final_loss=0.0,
            law_gap=gap,
            schedule_known=self.follows_plan,
            surprise=surprised,
            notes=notes,
            _branches=tuple(branches),
            _schedule=self._schedule.frozen(),
            _end_noise=noise_of_end(self.run, self.law, self.blocks, self._schedule, self._total),
            _stairs=stairs,
        )
        final_loss = 0.5 * sum(made.interval(1e-9))
        if not math.isfinite(final_loss) or (self.law is not None and final_loss <= 0.0):
            return None  # a law that promises less than nothing is of other runs than this
        object.__setattr__(made, "final_loss", final_loss)
        return made

    def law_gap(self) -> LawResidual | None:
        """Return how far it is off its baseline, or was before a change by design; None before it has settled."""
        of = self.blocks.at_first, self.run.tokens_per_step
        return None if self.baseline is None else law_residual(self.baseline, *of)

    def expected_at(self, step: float) -> tuple[float, float] | None:
        """Return (loss, sd) [nats/token] that the law expected at `step` before the run started."""
        if self.baseline is None or step < self.baseline.steps[0]:
            return None
        losses, factors = self.baseline.at([step])
        return float(losses[0]), float(np.sqrt((factors[0] ** 2).sum()))

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs, as plain numbers, lists and dicts."""
        return {
            "blocks": self.blocks.state_dict(),
            "schedule": {} if self._schedule is None or self.follows_plan else self._schedule.state_dict(),
            "registered": {} if self.baseline is None else self.baseline.record(),
            "plan": self._plan.state_dict() if isinstance(self._plan, PlannedSchedule) else {},
            "left_at": self._left_at or 0,
            "below_zero": [self._below_zero, self._rows],
            "clock": {} if self._clock is None else self._clock.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.blocks.load_state_dict(state["blocks"])
        self._below_zero, self._rows = (int(count) for count in state["below_zero"])
        self.rejoin_plan()
        if self._clock is not None and state["clock"]:
            self._clock.load_state_dict(state["clock"])
            self._end_at(self._clock)
        if state["left_at"]:
            self.leave_plan(int(state["left_at"]))
        if isinstance(self._plan, PlannedSchedule) and state["plan"]:
            self._plan.load_state_dict(state["plan"])
        if self._schedule is not None and not self.follows_plan and state["schedule"]:
            self._schedule.load_state_dict(state["schedule"])
        if state["registered"]:
            # the first one counts, not that of today's law
            self.baseline = BaselineForecast.from_record(state["registered"])
        self.revision += 1
