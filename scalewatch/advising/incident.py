"""Advice about an open incident of the loss: wait, stop, rewind, put the rate back, cure what recurs.

What is known: many spikes recover alone (BLOOM-176B, +2.9 nats, back within 30 steps without action); going back about
100 steps and skipping 200 to 500 batches gets past the rest (PaLM, Chowdhery et al. 2022, section 5.1); recurring
spikes want a structural fix (QK normalisation, z-loss: Wortsman et al. 2023), and after two rollbacks a third restores
the run without curing it (DeepSeek-V4 report). What is not known: any factor by which to cut a learning rate. None is
advised but back to the plan, or, where gradient norm or noise were rising before the incident, the habit of 10 to 30 %
with its price by the law and grade C.
"""

from __future__ import annotations

import math

from scalewatch.advice import Action, Advice, EvidenceGrade
from scalewatch.advising.context import AdviceContext
from scalewatch.checkpoints import SavedCheckpoint, last_good
from scalewatch.finding import Finding, Severity
from scalewatch.forecast.candidate_schedules import scaled
from scalewatch.forecast.counterfactual import position, what_if
from scalewatch.forecast.schedule_detector import ScheduleDetector
from scalewatch.kinds import HOLD_THE_LOSS, kind_name, kind_row
from scalewatch.text import percent

__all__ = ["about_incident"]

#: Steps before the incident to go back to (PaLM, Chowdhery et al. 2022, section 5.1), and the steps after which waiting
#: has had its chance: BLOOM came back in 30 by itself.
REWIND_STEPS = 100
PATIENCE_STEPS = 300
#: The same in what a short or sparse log is made of: part of the run, but not fewer rows. By hand.
PATIENCE_SHARE, PATIENCE_ROWS = 0.1, 10
#: A log with this many steps to a row is told in rows. By hand.
SPARSE = 1.5
#: Spikes in one run, and rollbacks, from which on the cause is taken to be structural. By hand.
RECURRING_SPIKES = 3
RECURRING_ROLLBACKS = 2
#: What to do about a cause that is no matter of training.
REMEDIES = {
    "hardware": "Take that rank out, or swap its device, and see whether the loss of the others goes on as before.",
    "optimizer_state_lost": "Load the state of the optimizer with the weights, or warm the learning rate up again.",
    "fp16_overflow": "Train in bf16, or look at the loss scale.",
}
#: The cut of a rate that may be too high for this run: habit (by 20 %). By hand.
HABITUAL_CUT = 0.8


def about_incident(context: AdviceContext) -> list[Advice]:
    """Return what to do about the most urgent incident of the loss; empty if none is open."""
    # a NaN loss and a NaN gradient are of one kind: the worse of them counts
    by_kind = {f.kind: f for f in sorted(context.open_incidents, key=lambda f: f.severity.rank)}
    incident = next((by_kind[kind] for kind in HOLD_THE_LOSS if kind in by_kind and by_kind[kind].pages), None)
    if incident is None:
        return []
    if context.is_over:
        return [_ended(context, incident)]
    first = [*_back_to_plan(context.step, incident, context.off_plan), *_remedy(context.step, incident)]
    rewind = _rewind(context, incident, skip=context.of_text and not first)
    if incident.severity is Severity.CRITICAL:
        return [*first, _lost(context.step, incident), *_structural(context), rewind]
    advice = [*first, *_structural(context)] or _strained(context, incident)
    until = incident.start_step + patience(context)
    ends = None if context.run is None else context.run.total_steps
    if context.step < until and not advice and (ends is None or until <= ends):
        return [_wait(context, incident, until)]
    return [*advice, rewind]


def patience(context: AdviceContext) -> int:
    """Return for how long an incident is waited for [steps]: 300, or a tenth of a short run, or ten rows of its log."""
    planned = None if context.run is None else context.run.total_steps
    share = PATIENCE_SHARE * (planned or context.step)
    return math.ceil(max(min(PATIENCE_STEPS, share), PATIENCE_ROWS * context.spacing))


def _ended(context: AdviceContext, incident: Finding) -> Advice:
    reason = (
        f"The run ended in the {kind_name(incident.kind)} that began at step {incident.start_step:,}: what came after "
        f"it is lost. If it is to go on, then from {_back_to(context, incident)}."
    )
    change = "the loss of the last checkpoint, measured apart, is as low as before that step."
    return Advice(Action.REWIND, reason, EvidenceGrade.B, None, context.step, None, change)


def _back_to(context: AdviceContext, incident: Finding) -> str:
    """The checkpoint to go back to, as far as it is known."""
    good = last_good(context.checkpoints, incident.start_step)
    if good is not None:
        before = f"{incident.start_step - good.step:,} steps before the {kind_name(incident.kind)}"
        return f"{good.name}, {before}{_place(good)}"
    if incident.start_step <= REWIND_STEPS:
        return "the beginning"
    gone = ", of which none is left" if context.checkpoints else ""
    return f"a checkpoint from before step {incident.start_step - REWIND_STEPS:,}{gone}"


def _place(checkpoint: SavedCheckpoint) -> str:
    folder = checkpoint.path[: -len(checkpoint.name)].rstrip("/\\") if checkpoint.path else ""
    return f" (in {folder})" if folder else ""


def _back_to_plan(step: int, incident: Finding, off_plan: ScheduleDetector) -> list[Advice]:
    if off_plan.since is None or off_plan.factor <= 1:
        return []
    reason = (
        f"The learning rate is {off_plan.factor:.3g} times its plan since step {off_plan.since:,}, and the "
        f"{kind_name(incident.kind)} began at step {incident.start_step:,}: put it back on its plan."
    )
    change = "the loss stays where it is with the rate back on its plan for some hundred steps."
    return [Advice(Action.LOWER_LEARNING_RATE, reason, EvidenceGrade.B, None, step, None, change)]


def _remedy(step: int, incident: Finding) -> list[Advice]:
    cause = str(incident.evidence.get("cause", ""))
    if cause not in REMEDIES:
        return []
    reason = str(incident.evidence.get("cause_reason", ""))
    grade = EvidenceGrade(str(incident.evidence.get("cause_grade") or "C"))
    sentence = f"{reason[:1].upper()}{reason[1:]}. {REMEDIES[cause]}"
    change = "the same incident comes after that cause is out of the way."
    return [Advice(Action.CHECK_SETUP, sentence, grade, None, step, None, change)]


def _structural(context: AdviceContext) -> list[Advice]:
    if context.rollbacks >= RECURRING_ROLLBACKS:
        what = f"The run was rolled back {context.rollbacks} times already: one more restores it, and cures nothing."
    elif context.spikes >= RECURRING_SPIKES:
        what = f"This is spike {context.spikes} of this run: rewinding again will not cure it."
    else:
        return []
    cures = (
        "QK normalisation, z-loss, a longer warm-up" if context.of_text else "clipping of gradients, a longer warm-up"
    )
    reason = f"{what} Consider {cures} or a lower peak rate; by which factor nobody has shown, 10 to 30 % is a habit."
    change = "spikes come at the same batches with other weights: then it is the data."
    return [Advice(Action.CHECK_SETUP, reason, EvidenceGrade.B, None, context.step, None, change)]


def _strained(context: AdviceContext, incident: Finding) -> list[Advice]:
    before = [f for f in context.open_incidents if kind_row(f.kind).strain and f.start_step < incident.start_step]
    if not before:
        return []
    what = kind_name(incident.kind)
    rising = " and the ".join(f"{kind_row(f.kind).strain} since step {f.start_step:,}" for f in before)
    reason = (
        f"The {rising} had been rising before this {what}: the rate may be too high for this run. By which "
        f"factor to lower it nobody has shown; a cut of {percent(1 - HABITUAL_CUT)} is habit"
    )
    gain, interval = _price(context)
    reason += "." if gain is None else ", with its price by the law if nothing else was wrong."
    cures = " (QK normalisation, z-loss)" if context.of_text else ""
    change = f"the same spikes come at the lower rate: then the cure is structural{cures}."
    return [Advice(Action.LOWER_LEARNING_RATE, reason, EvidenceGrade.C, gain, context.step, interval, change)]


def _price(context: AdviceContext) -> tuple[float | None, tuple[float, float] | None]:
    """What the habitual cut gains by the law (less than nothing), and its 80 % interval."""
    at = None if context.forecaster is None else position(context.forecaster)
    if context.forecaster is None or at is None or not at.planned or context.forecaster.forecast() is None:
        return None, None
    outcome = what_if(context.forecaster, [scaled(at.rest, HABITUAL_CUT)])[1]
    low, high = outcome.difference_interval(0.8)
    return -outcome.difference, (-high, -low)


def _lost(step: int, incident: Finding) -> Advice:
    since, what = f"{incident.start_step:,}", kind_name(incident.kind)
    reason = f"Nothing since step {since} helped: the run is lost to the {what}."
    change = "the loss is back where it was before that step, without a rewind."
    return Advice(Action.STOP, reason, EvidenceGrade.B, None, step, None, change)


def _rewind(context: AdviceContext, incident: Finding, *, skip: bool) -> Advice:
    past = ", and skip the next 200 to 500 batches, as PaLM did" if skip else ""
    reason = f"Restart from {_back_to(context, incident)}{past}."
    change = "the loss returns to its trend by itself before the checkpoint is loaded."
    return Advice(Action.REWIND, reason, EvidenceGrade.B, None, context.step, None, change)


def _wait(context: AdviceContext, incident: Finding, until: int) -> Advice:
    when = f"at step {until:,}"
    if context.spacing > SPARSE:
        when = f"in {math.ceil((until - context.step) / context.spacing):,} rows of the log, {when}"
    good = last_good(context.checkpoints, incident.start_step)
    else_ = "" if good is None else f"; if it has not, restart from {_back_to(context, incident)}"
    reason = f"Spikes like this often recover alone. Look again {when}{else_}."
    change = f"the loss is still above its trend at step {until:,}, or not finite before."
    return Advice(Action.WAIT, reason, EvidenceGrade.B, None, context.step, None, change)
