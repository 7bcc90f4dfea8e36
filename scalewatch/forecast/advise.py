"""From what was found to what to do.

Every rule names its evidence. What is known: many spikes recover alone (BLOOM-176B, +2.9 nats, back within
30 steps without action); going back about 100 steps and skipping 200 to 500 batches gets past the rest
(PaLM, Chowdhery et al. 2022, section 5.1); recurring spikes want a structural fix (QK normalisation, z-loss:
Wortsman et al. 2023). What is not known: any factor by which to cut a learning rate; none is advised,
except back to the plan.

While an incident is open there is no advice but about the incident.
"""

from __future__ import annotations

from collections.abc import Sequence

from scalewatch.advice import Action, Advice, EvidenceGrade
from scalewatch.finding import Finding, Kind, Severity
from scalewatch.forecast.forecast import LawGap
from scalewatch.forecast.off_law import OffPlan

__all__ = ["advise"]

#: Steps before the incident to go back to, and the steps after which waiting has had its chance (PaLM; BLOOM).
REWIND_STEPS = 100
PATIENCE_STEPS = 300
#: Spikes in one run from which on the cause is taken to be structural.
RECURRING_SPIKES = 3


def advise(
    step: int, open_incidents: Sequence[Finding], spikes: int, gap: LawGap | None, off_plan: OffPlan
) -> list[Advice]:
    """Return what to do now, the most urgent first; empty if there is nothing to do but train on.

    Args:
        step: newest step.
        open_incidents: the newest finding of each open incident.
        spikes: spikes so far in this run.
        gap: how far the run is off its law, None without a law or while it is on it.
        off_plan: where the learning rate stands against its plan.
    """
    # a NaN loss and a NaN gradient are of one kind: the worse of them counts
    by_kind = {f.kind: f for f in sorted(open_incidents, key=lambda f: f.severity.rank)}
    urgent = [by_kind[k] for k in (Kind.NONFINITE, Kind.DIVERGENCE, Kind.SPIKE) if k in by_kind and by_kind[k].pages]
    if urgent:
        return _about_incident(step, urgent[0], spikes, off_plan)
    if gap is not None and gap.nats > 0:
        return [
            Advice(
                Action.CHECK_SETUP,
                f"The run is {gap.text()} Compare what differs from the runs of the law: data order and mixture, "
                "batch size, learning rate, initialisation. Nothing in the loss says which it is.",
                EvidenceGrade.B,
                None,
                step,
            )
        ]
    if gap is not None:
        return [
            Advice(
                Action.FIX_DATA,
                f"The run is {gap.text()} If nothing was changed on purpose, look for validation text in the "
                "training data, repeated data or a loss that counts padding.",
                EvidenceGrade.C,
                None,
                step,
            )
        ]
    return []


def _about_incident(step: int, incident: Finding, spikes: int, off_plan: OffPlan) -> list[Advice]:
    since = incident.start_step
    back = max(since - REWIND_STEPS, 1)
    advice: list[Advice] = []
    if off_plan.since is not None and off_plan.factor > 1:
        advice.append(
            Advice(
                Action.LOWER_LEARNING_RATE,
                f"The learning rate is {off_plan.factor:.3g} times its plan since step {off_plan.since:,}, and the "
                f"{_name(incident)} began at step {since:,}: put it back on its plan.",
                EvidenceGrade.B,
                None,
                step,
            )
        )
    skip = "" if advice else " and skip the next 200 to 500 batches, as PaLM did"
    rewind = Advice(
        Action.REWIND,
        f"Go back to a checkpoint from before step {back:,}{skip}.",
        EvidenceGrade.B,
        None,
        step,
    )
    lost = incident.severity is Severity.CRITICAL
    if lost:
        stop = f"Every step since {since:,} is lost to the {_name(incident)}: stop rather than pay for more of them."
        return [*advice, Advice(Action.STOP, stop, EvidenceGrade.B, None, step), rewind]
    if spikes >= RECURRING_SPIKES:
        advice.append(
            Advice(
                Action.CHECK_SETUP,
                f"This is spike {spikes} of this run: rewinding again will not cure it. Consider QK normalisation, "
                "z-loss, a longer warm-up or a lower peak rate.",
                EvidenceGrade.B,
                None,
                step,
            )
        )
    if step - since < PATIENCE_STEPS and not advice:
        wait = f"Spikes like this often recover alone. Look again at step {since + PATIENCE_STEPS:,}."
        return [Advice(Action.WAIT, wait, EvidenceGrade.B, None, step)]
    return [*advice, rewind]


def _name(incident: Finding) -> str:
    return {Kind.NONFINITE: "non-finite loss"}.get(incident.kind, incident.kind.value.replace("_", " "))
