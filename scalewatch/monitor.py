"""The one door: observation in, findings out.

The detectors look at each row, the forecaster follows the curve, and what was found becomes advice. It is
deterministic: the same observations give the same findings, whether live, replayed or resumed.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, final

from scalewatch.advice import Advice
from scalewatch.advising.adviser import AdviceContext, Adviser, Goals
from scalewatch.checkpoints import SavedCheckpoint
from scalewatch.columns import Columns
from scalewatch.detect import AnyDetector, CalmRows, DetectorSet, Sample, checked_detectors, one_by_one_or_many
from scalewatch.errors import ConfigError, JournalError
from scalewatch.finding import Finding, Kind, Phase
from scalewatch.forecast import Forecast, Forecaster, LawResidual
from scalewatch.forecast.descent import clearly_fell, never_fell
from scalewatch.forecast.kept_incidents import FinalLoss, KeptIncidents
from scalewatch.forecast.law_residual_detector import LawResidualDetector
from scalewatch.forecast.milestones import Look, Looks, Milestone
from scalewatch.forecast.preregistered import BaselineForecast
from scalewatch.forecast.schedule_detector import ScheduleDetector
from scalewatch.forecast.suspended import recovers, suspended, with_note
from scalewatch.forecast.verdict import Verdict
from scalewatch.guard import FAULT, Guard
from scalewatch.kinds import HOLD_THE_LOSS, not_measured
from scalewatch.laws import CurveLaw
from scalewatch.objective import unjudged
from scalewatch.observation import Observation
from scalewatch.plain import odd_part
from scalewatch.run import Run
from scalewatch.shown import card_of
from scalewatch.status import Status

__all__ = ["Monitor"]

#: Version of `state_dict`.
STATE_VERSION = 1
#: Rows that are taken together at most [rows]. By hand: more than a block of any detector holds.
MOST_AT_ONCE = 64


@final
class Monitor:
    """Watches one training run; for one thread at a time (give each thread its own, or a lock).

    Args:
        run: what is trained, as planned.
        law: a law fitted on smaller runs of the same recipe (`scalewatch.fitting.curves`); None to
            forecast from the run alone.
        guard: shared with the program around it; one of its own by default.
        target_loss, incumbent_loss, least_gain: what is wanted of the run [nats/token], as in `Goals`: advice to stop
            follows from them.
        detectors: detectors of your own beside the built-in ones, objects such as `[DeadNeurons(0.9)]`, of which it
            makes copies. Those that installed packages name under `scalewatch.detectors` are found without it.
        registered: what was registered when the run began, as its journal holds it; None to register it now.

    Raises:
        ConfigError: if `run` is no `Run` or `law` no `CurveLaw`, an aim is not positive and finite, or one of
            `detectors` is none.

    >>> monitor = Monitor(Run("demo", total_steps=1000))
    >>> for step in range(1, 400):
    ...     found = monitor.observe(Observation(step, 3.0 + 2.0 * step**-0.5 + 0.01 * (step % 3)))
    >>> [str(f.kind) for f in monitor.observe(Observation(400, float("nan")))]
    ['nonfinite']
    """

    def __init__(
        self,
        run: Run,
        law: CurveLaw | None = None,
        guard: Guard | None = None,
        *,
        target_loss: float | None = None,
        incumbent_loss: float | None = None,
        least_gain: float | None = None,
        registered: BaselineForecast | None = None,
        detectors: Iterable[AnyDetector] = (),
    ) -> None:
        if not isinstance(run, Run):
            raise ConfigError(f"`run` must be a scalewatch.Run (got {type(run).__name__}).")
        if law is not None and not isinstance(law, CurveLaw):
            raise ConfigError(f"`law` must be None, or as fit_curves or load_law return it (got {type(law).__name__}).")
        self._adviser = Adviser(Goals(target_loss, incumbent_loss, least_gain))
        self.run, self.law = run, law
        self.guard = guard if guard is not None else Guard()
        self._watch = DetectorSet(run, self.guard, checked_detectors(detectors))
        self._forecaster = self.guard.call("forecast", Forecaster, run, law, registered)
        self._off_law = LawResidualDetector(run.total_steps)
        self._off_plan = ScheduleDetector(run)
        self.checkpoints: Sequence[SavedCheckpoint] = ()
        self._incidents = KeptIncidents()
        self._looks, self._final = Looks(run.total_steps), FinalLoss(run.total_steps)
        if (baseline := self.registered) is not None:
            first = Milestone(0.0, 0, baseline.final_loss, baseline.low, baseline.high)
            self._looks.made.append(Look(0.0, first))

    def observe(self, observation: Observation) -> list[Finding]:
        """Take one row of the log; return what is new with it, mostly nothing.

        Never raises on a value: steps may repeat, skip, go back or start over, numbers may be missing, NaN
        or infinite. Constant time; at each tenth of the run the curve is kept, for the forecast of then.
        """
        watch, sample = self._watch, self._watch.sample
        before = sample.row
        found = self.guard.given("detectors", watch.observe, observation)
        if found is FAULT:
            return []
        if sample.row == before:
            # a validation that was logged apart from the loss of its step
            return [self._incidents.count(finding) for finding in found]
        step = sample.step
        if found:
            self._remember(found, step)
        if self._off_plan.has_plan:
            left = self.guard.call("learning-rate plan", self._off_plan.update, step, sample.learning_rate)
            if left is not None:
                found.append(self._incidents.count(left))
                self.guard.call("forecast", self._take_plan, left)
        if -math.inf < sample.loss < math.inf:
            gap = self.guard.given("forecast", self._look_ahead, sample)
            if gap is not None and gap is not FAULT:
                found.append(self._incidents.count(gap))
        return found

    def observe_many(self, rows: Columns) -> list[Finding]:
        """Take many rows of the log; what is found and remembered is bit for bit that of `observe`, row by row."""
        return one_by_one_or_many(rows, self.observe, self._take_calm)

    def _take_calm(self, rows: CalmRows, first: int, end: int) -> tuple[int, int]:
        """Take rows of which nothing is to be said, the first of them at least where that can be; where they end."""
        forecaster = self._forecaster
        if forecaster is None or not forecaster.takes_many(rows.steps[first]):
            return first, first
        due = min(self._looks.due, math.inf if self.registered is None else forecaster.blocks.room_until())
        end = bisect_left(rows.steps, due, first, min(end, first + MOST_AT_ONCE))
        end, single = self._watch.take_calm(rows, first, self._off_plan.calm_until(rows, first, end))
        if end > first:
            steps, losses = rows.steps[first:end], rows.losses[first:end]
            self._off_plan.follow(rows, first, end)
            self._final.add_many(steps, losses)
            if rows.tokens is not None and self._off_plan.has_plan and forecaster.schedule is not None:
                for step, tokens in zip(steps, rows.tokens[first:end], strict=True):
                    if tokens == tokens:
                        forecaster.schedule.see_tokens(step, tokens)
            forecaster.observe_many(steps, losses, rows.rates and rows.rates[first:end])
        return end, single

    def _look_ahead(self, sample: Sample) -> Finding | None:
        """Follow the curve; what there is to say of its law."""
        step, loss, shown, tokens = sample.step, sample.loss, sample.learning_rate, sample.tokens
        clean, forecaster, rate = self._watch.clean, self._forecaster, shown if shown == shown else None
        self._final.add(step, loss)
        closed = forecaster is not None and forecaster.observe(step, loss, rate, clean, sample.seconds, tokens)
        gap = self._off_law.update(self._law_gap()) if closed else None
        if step >= self._looks.due:
            self._looks.at(step, forecaster, self.guard)
        return gap

    def _take_plan(self, finding: Finding) -> None:
        if self._forecaster is not None and finding.phase is Phase.CLOSED:
            self._forecaster.rejoin_plan()
        elif self._forecaster is not None:
            self._forecaster.leave_plan(finding.start_step)

    def _remember(self, found: list[Finding], step: int) -> None:
        for finding in found:
            self._incidents.count(finding)
            if finding.kind is Kind.REWOUND:
                self._rewind(step)
            elif finding.kind is Kind.PHASE:
                self._off_law.hold()
                if self._forecaster is not None:
                    self.guard.call("forecast", self._forecaster.begin_phase, step)

    def _rewind(self, step: int) -> None:
        self._incidents.rewind(step)
        if self._forecaster is not None:
            self.guard.call("forecast", self._forecaster.rewind, step)
        self._off_law.restart()
        self._off_plan.restart()
        self._looks.rewind(step)
        self._final.restart()

    @property
    def registered(self) -> BaselineForecast | None:
        """What was registered of the run before it began, and what it is held against; None without a law."""
        return None if self._forecaster is None else self._forecaster.baseline

    @property
    def forecaster(self) -> Forecaster | None:
        """What follows the run's curve, for asking it about other schedules (`forecast.whatif`)."""
        return self._forecaster

    def forecast(self) -> Forecast | None:
        """Return where the run will end as of now; None until there is something to say.

        There is nothing to say without a planned end, where no law describes the curve, of a run that is lost, or
        before the run is past its warm-up unless a law of smaller runs says it.
        """
        return self._told_by(self._forecaster)()

    def forecast_later(self) -> Callable[[], Forecast | None]:
        """Return what makes the forecast as of now, later or in another thread, at the cost of a copy of the curve."""
        return self._told_by(None if self._forecaster is None else self._forecaster.frozen())

    def _told_by(self, forecaster: Forecaster | None) -> Callable[[], Forecast | None]:
        if forecaster is None or suspended(self._watch.open_incidents, self._watch.sample.step):
            return lambda: None
        make = partial(self.guard.call, "forecast", forecaster.forecast)
        return partial(with_note, make, recovers(self._watch.open_incidents))

    def why_no_forecast(self, *, look: bool = True) -> str:
        """Return why there is no forecast, in words; "" if there is one, or it is too early to say.

        Without `look` no forecast is made for it, and "" may also be one that is too wide to be told.
        """
        forecaster = self._forecaster
        if forecaster is None:
            return ""
        why = self.guard.call("forecast", forecaster.why_no_law) or suspended(
            self._watch.open_incidents, self._watch.sample.step
        )
        return why or (self.guard.call("forecast", lambda: forecaster.why_none) or "" if look else "")

    def note_phase(self, name: str) -> None:
        """Let a phase begin with the next row; `scalewatch.note_phase` does so for all monitors, and fails as this."""
        self._watch.note_phase(name)

    def learn_logged(self, names: Iterable[str], steps_per_epoch: float | None = None) -> None:
        """Take note of series that are logged beside the loss, and of epochs; what they tell of it counts from now."""
        length = steps_per_epoch or self.run.steps_per_epoch
        run = replace(self.run, logged=(*self.run.logged, *names), steps_per_epoch=length)
        if (run.logged, length) == (self.run.logged, self.run.steps_per_epoch):
            return
        self.run = run
        self._watch.know(run)
        if self._forecaster is not None:
            self._forecaster.know(run)

    def expected_at(self, step: float) -> tuple[float, float] | None:
        """Return (loss, sd) [nats/token] that the law expected at `step` before the run; None without one."""
        return None if self._forecaster is None else self._forecaster.expected_at(step)

    def advice(self, *, look: bool = True) -> list[Advice]:
        """Return what to do now, the most urgent first; empty if there is nothing to do but train on.

        Of a healthy run that is a look at its forecast, 1 to 30 ms once a row; without `look` it is what the last
        refresh found. It names the last good one of `checkpoints`, which who writes them sets. Asking changes nothing.
        """
        return self.guard.call("advice", lambda: self._adviser.advise(self._situation(), look=look)) or []

    def refresh_in_background(self) -> Callable[[], None] | None:
        """Return the look at the forecast as of now, for another thread to take; None while something is wrong."""
        return self.guard.call("advice", lambda: self._adviser.refresh_in_background(self._situation()))

    @property
    def forecast_advice(self) -> list[Advice]:
        """What the last refresh found in the forecast of the run, which was healthy then."""
        return self._adviser.forecast_advice

    def _situation(self) -> AdviceContext:
        return AdviceContext(
            step=self._watch.sample.step,
            open_incidents=self._watch.open_incidents,
            spikes=self._incidents.counts[Kind.SPIKE],
            gap=None if self._off_law.open is None else self._law_gap(),
            off_plan=self._off_plan,
            rollbacks=self._incidents.rollbacks,
            spacing=self._watch.sample.spacing,
            run=self.run,
            forecaster=self._forecaster,
            goals=self._adviser.goals,
            checkpoints=self.checkpoints,
        )

    def _law_gap(self) -> LawResidual | None:
        return None if self._forecaster is None else self._forecaster.law_gap()

    @property
    def goals(self) -> Goals:
        """What is wanted of the run."""
        return self._adviser.goals

    @property
    def step(self) -> int:
        """Newest step, 0 before there is one."""
        return self._watch.sample.step

    @property
    def watch(self) -> DetectorSet:
        """The detectors: each one's state, the noise of a row, and how the newest row stands in it."""
        return self._watch

    @property
    def open_incidents(self) -> list[Finding]:
        """The newest finding of each incident that is open."""
        still = {self._off_law.open, Kind.OFF_PLAN if self._off_plan.since is not None else None}
        slow = {f.kind: f for f in self._incidents.findings if f.kind in still}
        return [*self._watch.open_incidents, *slow.values()]

    def verdict(self) -> Verdict:
        """Return the state of the run in a few lines."""
        forecaster, watch = self._forecaster, self._watch
        step = watch.sample.step
        losses = [] if forecaster is None else forecaster.blocks.losses
        last = losses[-1] if losses else None
        if self._watch.sample.row and any(f.kind in HOLD_THE_LOSS for f in self._watch.open_incidents):
            last = self._watch.sample.loss  # the stretches leave an incident out, and are from before it
        return Verdict(
            run=self.run,
            step=step,
            end_loss=self._final.mean,
            stretch_loss=last,
            looks=tuple(self._looks.made),
            incidents=tuple(self._incidents.findings),
            incident_counts=Counter(self._incidents.counts),
            open_incidents=tuple(self.open_incidents),
            law_gap=self.guard.call("forecast", self._law_gap),
            unjudged=self._unjudged(),
            no_forecast=self.why_no_forecast(look=False),
            not_measured=not_measured(watch.given) if watch.rows else (),
        )

    @property
    def status(self) -> Status:
        """How the run stands: one of six states, in words, since when."""
        return self.verdict().status

    def _unjudged(self) -> str:
        """Why nothing can be told of the run: a fault of the ordinary size would not be seen."""
        watch, run = self._watch, self.run
        if watch.noise is None:
            # what is logged is known of a run that makes steps, also where no row of it has a loss
            rows = watch.rows or int(watch.has_series)
            return unjudged(run.logged, rows, watch.judged_rows, has_loss=watch.given["loss"])
        if self._forecaster is None:
            return f"its objective is no descent: {run.no_descent}" if run.no_descent else ""
        blocks = self._forecaster.blocks
        if run.no_descent:
            # names alone are no verdict: the loss of some policies falls for good, and such a fall is watched like any
            return "" if clearly_fell(blocks) else f"its objective is no descent: {run.no_descent}"
        if any(finding.pages for finding in watch.open_incidents) or not never_fell(blocks):
            return ""
        return f"after {watch.rows:,} rows the loss is no lower than where it began"

    _repr_html_ = card_of

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to go on, as plain ints, floats, strings, lists and dicts."""
        return {
            "version": STATE_VERSION,
            "watch": self._watch.state_dict(),
            "forecaster": {} if self._forecaster is None else self._forecaster.state_dict(),
            "off_law": self._off_law.state_dict(),
            "off_plan": self._off_plan.state_dict(),
            **self._looks.state_dict(),
            **self._incidents.state_dict(),
            "final": self._final.state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`: what follows is what would have followed without the break.

        Raises:
            ConfigError: if it was not written by this version; the monitor is then as it was before.
        """
        if not isinstance(state, Mapping) or state.get("version") != STATE_VERSION:
            raise ConfigError(f"`state` must be a monitor's state of version {STATE_VERSION}.")
        before = self.state_dict()
        odd = odd_part(before, state)
        if odd is not None:
            raise ConfigError(f"`state` is not a whole monitor state: `{odd}` is missing or of a wrong kind.")
        try:
            self._load(state)
            self.verdict()  # what cannot be told is no state
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, JournalError) as fault:
            self._load(before)
            raise ConfigError(f"`state` is not a whole monitor state: {type(fault).__name__} at {fault}.") from None

    def _load(self, state: Mapping[str, Any]) -> None:
        self._watch.load_state_dict(state["watch"])
        if self._forecaster is not None and state["forecaster"]:
            self._forecaster.load_state_dict(state["forecaster"])
        self._off_law.load_state_dict(state["off_law"])
        self._off_plan.load_state_dict(state["off_plan"])
        self._looks.load_state_dict(state)
        self._incidents.load_state_dict(state)
        self._final.load(state["final"])
        self._adviser.restart()
