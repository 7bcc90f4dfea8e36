"""Carries out what the gate of rank 0 decides: on every process after the same batch, or on none.

Every loop has the same: a trainer's callbacks and a hand-written loop differ in what they let be done to them, which is
their `LoopControl`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, final

from torch import Tensor

from scalewatch.acting.acts import Act, Acts, Decision
from scalewatch.acting.rewinding import RewindExit, RewindRequest
from scalewatch.errors import ConfigError
from scalewatch.guard import Guard
from scalewatch_torch.acting.rates import RateFactor
from scalewatch_torch.acting.skipping import Skipped, SkipSteps
from scalewatch_torch.acting.taken import StepsTaken
from scalewatch_torch.acting.weights import are_finite
from scalewatch_torch.ranks import AllRanks
from scalewatch_torch.watching.agreement import Agreement
from scalewatch_torch.watching.control import LoopControl
from scalewatch_torch.watching.session import Session
from scalewatch_torch.watching.several import Sessions
from scalewatch_torch.watching.step_metrics import DoneToSteps, StepMetrics

__all__ = ["Acting", "Asked"]

#: Steps in which the learning rate goes to what was decided [steps]. By hand.
RAMP_STEPS = 16


class Rewound(NamedTuple):
    """What a run has gone back by, and what becomes of the batches that it was lost at.

    Attributes:
        left_out: first and last of the steps that are not taken, None for none.
        passes: (step, count): the batches of so many steps are passed over once that step is done; None for none.
    """

    request: RewindRequest
    left_out: tuple[int, int] | None = None
    passes: tuple[int, int] | None = None

    def leaving_out(self, control: LoopControl, first: int, last: int) -> Rewound:
        """Pass over the batches of these steps; where that cannot be, or has not helped, leave the steps out."""
        steps = last - first + 1
        if self.request.number > 1 or not control.can_pass_over(steps):
            return self._replace(left_out=(first, last))
        if self.request.step < first - 1:
            return self._replace(passes=(first - 1, steps))
        # the batch of the first is drawn already
        return self._replace(left_out=(first, first), passes=(first, steps - 1))


class Asked(NamedTuple):
    """A stop that was asked of the loop, and the step after which it was."""

    decision: Decision
    step: int


@final
class Acting:
    """What is done to one run.

    Args:
        acts: what was asked for; without any, nothing here does anything.

    Attributes:
        asked: the stop that was asked of the loop, None for none.
    """

    def __init__(self, acts: Acts) -> None:
        self.acts = acts
        self.asked: Asked | None = None
        # decisions must go on where everything else is off: the other processes wait for this one's
        self._guard = Guard()
        self._agreement = Agreement(self._guard)
        self._taken = StepsTaken()
        self._rates = RateFactor()
        self._skips: SkipSteps | None = None
        self._control: LoopControl | None = None
        self._session: Session | Sessions | None = None
        self._kept: dict[str, Any] = {}
        self._rewound: Rewound | None = None
        self._rewinding = False

    @property
    def is_lost(self) -> bool:
        """Whether the weights are given up: they are not worth a checkpoint."""
        if self._rewinding:
            return True
        critical = self._session is not None and self._session.critical_since is not None
        return critical and self.asked is not None and self.asked.decision.lost

    @property
    def gave_up(self) -> bool:
        """The same as all processes know it, without a word between them."""
        return self._rewinding or (self.asked is not None and self.asked.decision.lost)

    def attach(self, control: LoopControl, optimizers: Sequence[Any], state: dict[str, Any] | None) -> None:
        """Take part in the steps of the optimizers, on all processes; `state` is what a checkpoint held of us."""
        self._control = control
        self._kept = dict((state or {}).get("acts") or {})
        if {Act.LOWER_LEARNING_RATE, Act.REWIND} & self.acts.wanted and not self.acts.dry:
            self._rates.attach(optimizers)
            factor = self._kept.get("factor")
            if isinstance(factor, float) and 0.0 < factor < 1.0:
                if self._kept.get("for_plan"):
                    self._rates.keep_to_plan(factor, is_off=True)
                else:
                    self._rates.set(factor)
        if Act.SKIP in self.acts and not control.scaled:  # loss scaling leaves such steps out by itself
            self._skips = SkipSteps(self.acts.limits, dry=self.acts.dry)
        begun_by = RewindRequest.begun_by() if Act.REWIND in self.acts else None
        if begun_by is not None and begun_by.step == control.step and not self.acts.dry:
            self._rewound, decision = Rewound(begun_by), begun_by.decision
            if decision.skip is not None:
                self._rewound = self._rewound.leaving_out(control, *decision.skip)
            if decision.to_plan:
                self._rates.keep_to_plan(decision.factor, is_off=False)
            elif decision.factor < 1.0:
                self._rates.set(decision.factor)
            if state is not None:  # what is in the checkpoint is from before
                rollbacks = max(begun_by.number, int(state["monitor"].get("rollbacks", 0)))
                state["monitor"] = {**state["monitor"], "rollbacks": rollbacks}

    def begin(self, session: Session | Sessions, metrics: StepMetrics, weights: Callable[[], Iterable[Tensor]]) -> None:
        """Watch the steps of a run, on the process that decides; `weights` are looked at when they may be lost."""
        self._session, control = session, self._control
        if not self.acts or control is None:
            return
        self._taken.attach(metrics.optimizer)
        rewound = self._rewound
        metrics.acts = DoneToSteps(self._taken, self._rates, rewound and rewound.left_out)
        session.act(self.acts, lambda: are_finite(weights()), self._taken.was_taken, self._kept)
        wanted = RewindRequest.begun_by() if Act.REWIND in self.acts else None
        if rewound is not None and session.acting is not None:
            request = rewound.request
            session.acting.rewinds = request.number
            session.acting.gate.went_back(request.decision)
            session.tell_act(request.decision, "honoured", went_back(request, passes=rewound.passes is not None))
        elif wanted is not None:
            session.note(
                f"was started again to go on from {wanted.checkpoint}, and begins at step {control.step:,}:"
                f" give {control.resumes_by}, or `scalewatch run` `--resume-with`"
            )

    def before_step(self, optimizer: Any, guard: Guard) -> None:
        """Leave a step out whose gradient is no number; on all processes, where it is the same."""
        control, skips, left_out = self._control, self._skips, self._rewound and self._rewound.left_out
        if control is None or (skips is None and left_out is None):
            return
        step = control.step + 1
        if left_out is not None and left_out[0] <= step <= left_out[1]:
            self._guard.call("skip", SkipSteps.take_away, optimizer, scaled=control.scaled)
            self._taken.leave_out()
            return
        if skips is None:
            return
        count = skips.count
        # a guard of its own: what one process leaves out the others do too
        skipped = self._guard.call("skip", skips.before_step, optimizer, step)
        if skips.count > count and not self.acts.dry:
            self._taken.leave_out()
        if skipped is not None and self._session is not None:
            guard.call("act", tell_skip, self._session, skipped, self.acts.dry)
        if skips.spent:
            self._skips = None
            if self._session is not None:
                self._session.note(skips.spent)

    def after_batch(
        self, session: Session | Sessions | None, guard: Guard, ranks: AllRanks | None, *, shared: bool
    ) -> None:
        """Decide after a batch, if it is time to, and do it.

        Args:
            ranks: what joins the ranks, None where rank 0 alone is watched. shared: whether they have just exchanged.

        Raises:
            RewindExit: where the process is to go on from a checkpoint.
        """
        control = self._control
        if not self.acts or control is None:
            return
        self._pass_over(control, session)
        decide = None if session is None else lambda: guard.call("act", session.decide)
        if ranks is None:
            decision = self._agreement.told(control, decide)
        else:
            decision = self._agreement.voted(ranks, decide) if shared else None
        if decision is not None:
            self._guard.call("act", self._carry_out, control, session, decision)
        elif self.asked is not None:
            self._guard.call("act", self._hush, control, self.asked.decision)

    def _pass_over(self, control: LoopControl, session: Session | Sessions | None) -> None:
        if self._rewound is None or self._rewound.passes is None or control.step < self._rewound.passes[0]:
            return
        steps, self._rewound = self._rewound.passes[1], self._rewound._replace(passes=None)
        drawn = self._guard.call("passing over", control.pass_over, steps)
        if session is not None:
            session.note(f"passed over {drawn or 0} batches after step {control.step:,}")

    def _carry_out(self, control: LoopControl, session: Session | Sessions | None, decision: Decision) -> None:
        if self.acts.dry:
            if session is not None:
                session.tell_act(decision, "would", would_do(decision))
        elif decision.act is Act.STOP:
            self._stop(control, session, decision)
        elif decision.act is Act.LOWER_LEARNING_RATE:
            self._lower(control, session, decision)
        elif decision.act is Act.REWIND:
            self._rewind(session, decision)

    def _lower(self, control: LoopControl, session: Session | Sessions | None, decision: Decision) -> None:
        if decision.to_plan:
            self._rates.keep_to_plan(decision.factor, is_off=True)
        else:
            self._rates.set(decision.factor, RAMP_STEPS)
        if session is not None:
            what = f"multiplies the learning rate with {decision.factor:.3g} from step {control.step + 1:,} on"
            session.tell_act(decision, "asked", f"{what}: {decision.reason}")

    def _rewind(self, session: Session | Sessions | None, decision: Decision) -> None:
        """Leave the request on rank 0, and end every process: who supervises starts the run anew."""
        text, self._rewinding = decision.reason, True
        feed = None if session is None else session.acting
        good = None if feed is None else feed.back_to
        if session is not None and feed is not None and good is not None:
            request = RewindRequest(good.path, good.step, feed.rewinds + 1, decision)
            with contextlib.suppress(OSError, ConfigError):  # the other processes end: then it is a stop
                request.leave()
            text = f"rewinds to {good.name}, {decision.since - good.step:,} steps before: {decision.reason}"
            session.tell_act(decision, "asked", text)
        raise RewindExit(text)

    def _stop(self, control: LoopControl, session: Session | Sessions | None, decision: Decision) -> None:
        self.asked = Asked(decision, control.step)
        control.stop(decision)
        self._hush(control, decision)
        if session is not None:
            held = control.held_by()
            but = f" ({control.called} goes on until {held} is met)" if held else ""
            session.tell_act(decision, "asked", f"stops the run at step {control.step:,}: {decision.reason}{but}")

    def _hush(self, control: LoopControl, decision: Decision) -> None:
        if decision.lost:
            control.hush(decision)

    def ended(self, session: Session | Sessions | None, step: int, planned: str) -> str:
        """Return the words for how a run has ended after `step`: `planned`, or stopped, as it really was."""
        if self.asked is None or self._control is None:
            return planned
        decision, asked = self.asked
        as_asked = f"scalewatch asked to stop at step {asked:,}"
        honoured = planned != "as planned"
        if not honoured:
            words = f"as planned; {as_asked}: {decision.reason}"
        elif step == asked:
            words = f"stopped by scalewatch after step {step:,}: {decision.reason}"
        else:
            went_on = f"{self._control.called} went on for {self._control.went_on_for() or 'a while'}"
            words = f"stopped by scalewatch after step {step:,}; {as_asked}, and {went_on}: {decision.reason}"
        if session is not None:
            session.keep_act(decision, "honoured" if honoured else "not honoured", words)
        return words

    def end(self) -> None:
        """Leave the loop and its optimizers as they were."""
        closing = Guard()  # whatever has failed before
        closing.call("act", self._taken.detach)
        closing.call("act", self._rates.detach)
        if self._control is not None:
            closing.call("act", self._control.restore)
        self._session = None


def would_do(decision: Decision) -> str:
    """Return what is told of an act that is not done."""
    what = {
        Act.STOP: "stop the run",
        Act.REWIND: "rewind the run",
        Act.SKIP: "skip the step",
        Act.LOWER_LEARNING_RATE: f"multiply the learning rate with {decision.factor:.3g}",
    }[decision.act]
    return f"would {what} at step {decision.step:,} (dry run): {decision.reason}"


def tell_skip(session: Session | Sessions, skipped: Skipped, dry: bool) -> None:
    """Tell of a step that was left out: of the first, and whenever there are twice as many; the journal has all."""
    step, count = skipped
    decision = Decision(Act.SKIP, step, "its gradient is no number", step, lost=False)
    text = f"{'would skip' if dry else 'skips'} step {step:,}, the gradient of which is no number ({count} so far)"
    if count & (count - 1) == 0:
        session.tell_act(decision, "would" if dry else "asked", text)
    else:
        session.keep_act(decision, "would" if dry else "asked", text)


def went_back(request: RewindRequest, *, passes: bool) -> str:
    """Return what is told of a run that has gone back; `passes` over batches, or leaves out their steps."""
    decision, parts = request.decision, [f"went back to step {request.step:,} (rewind {request.number})"]
    if decision.skip is not None:
        what = "passes over the batches of" if passes else "leaves out"
        parts.append(f"{what} steps {decision.skip[0]:,} to {decision.skip[1]:,}")
    if decision.to_plan:
        parts.append(f"keeps the learning rate on its plan where it is {1 / decision.factor:.3g} times as high")
    elif decision.factor < 1.0:
        parts.append(f"multiplies the learning rate with {decision.factor:.3g}")
    return f"{', '.join(parts)}: {decision.reason}"
