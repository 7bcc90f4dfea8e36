"""Advice about the setup of a run that trains on: off its law, too good, slow, or overfitting."""

from __future__ import annotations

from scalewatch.advice import Action, Advice, EvidenceGrade
from scalewatch.advising.context import AdviceContext
from scalewatch.finding import Finding, Kind

__all__ = ["about_law", "about_setup"]

#: Incidents that call for a look at the setup while training goes on, what to look at, and what would speak against it.
SETUP = {
    Kind.TOO_GOOD: (
        Action.FIX_DATA,
        "If nothing was changed on purpose, look for repeated data, a leak of targets into inputs, or a loss that "
        "counts padding.",
        "Held-out loss falling by as much.",
    ),
    Kind.VALIDATION: (
        Action.CHECK_SETUP,
        "More steps on this data make the model worse on held-out text: use the checkpoint of its lowest validation "
        "loss, and add or mix data. If it is no number, look at the evaluation.",
        "A lower validation loss at a later checkpoint.",
    ),
    Kind.THROUGHPUT: (
        Action.CHECK_SETUP,
        "Look at data loading, at the slowest rank and its network, and at who else uses the machines.",
        "Steps as fast as before, without a change.",
    ),
}


def about_law(now: AdviceContext) -> list[Advice]:
    """Return what to do about a run that has left its law; empty while it is on it, or without one."""
    gap = now.gap
    if gap is None:
        return []
    if gap.nats > 0:
        reason = (
            f"The run is {gap.text()} Compare what differs from the runs of the law: data order and mixture, batch "
            "size, learning rate, initialisation. Nothing in the loss says which it is."
        )
        change = "The loss back in the law's interval, or a law of runs with this tokenizer and batch size."
        return [Advice(Action.CHECK_SETUP, reason, EvidenceGrade.B, None, now.step, None, change)]
    reason = (
        f"The run is {gap.text()} If nothing was changed on purpose, look for validation text in the training data, "
        "repeated data or a loss that counts padding."
    )
    change = "The same gap on held-out text that cannot be in the training data."
    return [Advice(Action.FIX_DATA, reason, EvidenceGrade.C, None, now.step, None, change)]


def about_setup(now: AdviceContext) -> list[Advice]:
    """Return what to look at while training goes on, for each such incident that wakes someone."""
    by_kind = {f.kind: f for f in sorted(now.open_incidents, key=lambda f: f.severity.rank)}
    return [_one(now.step, by_kind[kind]) for kind in SETUP if kind in by_kind and by_kind[kind].pages]


def _one(step: int, incident: Finding) -> Advice:
    action, what, change = SETUP[incident.kind]
    said = incident.message[0].upper() + incident.message[1:]
    return Advice(action, f"{said}. {what}", EvidenceGrade.C, None, step, None, change)
