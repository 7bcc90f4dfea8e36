"""Advice about the setup of a run that trains on: off its law, too good, slow, or overfitting."""

from __future__ import annotations

from scalewatch.advice import Action, Advice, EvidenceGrade
from scalewatch.advising.context import AdviceContext
from scalewatch.finding import Finding
from scalewatch.kinds import KINDS, Remedy

__all__ = ["about_law", "about_setup"]


def about_law(context: AdviceContext) -> list[Advice]:
    """Return what to do about a run that has left its law; empty while it is on it, or without one."""
    gap = context.gap
    if gap is None:
        return []
    if gap.nats > 0:
        reason = (
            f"The run is {gap.text()} Compare what differs from the runs of the law: data order and mixture, batch "
            "size, learning rate, initialisation. Nothing in the loss says which it is."
        )
        change = (
            "the loss is back in the law's interval, or a law of runs with this tokenizer and batch size explains it."
        )
        return [Advice(Action.CHECK_SETUP, reason, EvidenceGrade.B, None, context.step, None, change)]
    reason = (
        f"The run is {gap.text()} If nothing was changed on purpose, look for validation text in the training data, "
        "repeated data or a loss that counts padding."
    )
    change = "The same gap on held-out text that cannot be in the training data."
    return [Advice(Action.FIX_DATA, reason, EvidenceGrade.C, None, context.step, None, change)]


def about_setup(context: AdviceContext) -> list[Advice]:
    """Return what to look at while training goes on, for each such incident that wakes someone."""
    by_kind = {f.kind: f for f in sorted(context.open_incidents, key=lambda f: f.severity.rank)}
    rows = (row for row in KINDS.values() if row.kind in by_kind and by_kind[row.kind].pages)
    return [_one(context.step, by_kind[row.kind], row.remedy) for row in rows if row.remedy is not None]


def _one(step: int, incident: Finding, remedy: Remedy) -> Advice:
    found = incident.message[0].upper() + incident.message[1:]
    return Advice(remedy.action, f"{found}. {remedy.what}", EvidenceGrade.C, None, step, None, remedy.would_change)
