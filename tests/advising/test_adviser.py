"""Each rule from a finding to an advice, with its evidence, and silence otherwise."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from scalewatch import Action, Advice, EvidenceGrade, Finding, Kind, LawResidual, Monitor, Run, Severity
from scalewatch.advising.adviser import AdviceContext, advise
from scalewatch.advising.incident import PATIENCE_STEPS, RECURRING_SPIKES, REWIND_STEPS
from scalewatch.forecast.schedule_detector import ScheduleDetector
from tests.synthetic import TrueLaw, constant, cosine, noisy, planned, rows, watch

PLAN = cosine(2000)
BEGAN = 1000


def incident(kind: Kind, severity: Severity = Severity.WARNING, began: int = BEGAN) -> Finding:
    return Finding(kind, severity, began + 2, began, "what happened")


def law_gap(nats: float) -> LawResidual:
    return LawResidual(900, 2.5 + nats, 2.5, 0.02, 0.0, 0.8, 9e8)


def off_plan(factor: float | None) -> ScheduleDetector:
    """The rate at so many times its plan for ten rows before the incident, None for on plan."""
    watch = ScheduleDetector(Run("demo", learning_rates=PLAN))
    for step in range(BEGAN - 10, BEGAN):
        watch.update(step, (factor or 1.0) * float(PLAN[step - 1]))
    return watch


def advised(*incidents: Finding, **more: Any) -> list[Advice]:
    run = Run("demo", total_steps=20_000)
    of: dict[str, Any] = {"step": BEGAN + 10, "spikes": 0, "gap": None, "factor": None, "run": run} | more
    factor = of.pop("factor")
    return advise(AdviceContext(open_incidents=incidents, off_plan=off_plan(factor), **of))


def actions(advice: list[Advice]) -> list[Action]:
    return [each.action for each in advice]


def test_a_healthy_run_is_left_alone() -> None:
    """Nothing open, on its law, on its plan: nothing to do but train on."""
    assert [] == advised()


@pytest.mark.parametrize(
    ("cause", "reason", "what"),
    [
        ("hardware", "the loss of rank 3 alone is not finite at step 1000", "rank"),
        ("optimizer_state_lost", "the run went back to step 900", "state of the optimizer"),
        ("fp16_overflow", "the gradient norm was infinite in 4 rows", "bf16"),
    ],
)
def test_a_cause_that_is_no_matter_of_training_is_said_first(cause: str, reason: str, what: str) -> None:
    """With its numbers, its grade and its remedy; then what to do about the run."""
    plain = incident(Kind.DIVERGENCE, Severity.CRITICAL)
    told = replace(plain, evidence={"cause": cause, "cause_grade": "B", "cause_reason": reason})

    first, *rest = advised(told)

    assert (Action.CHECK_SETUP, EvidenceGrade.B) == (first.action, first.evidence_grade)
    assert reason[4:] in first.reason
    assert what in first.reason
    assert [Action.STOP, Action.REWIND] == actions(rest)


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        (Kind.SUSPICIOUS_IMPROVEMENT, Action.FIX_DATA),
        (Kind.VALIDATION, Action.CHECK_SETUP),
        (Kind.THROUGHPUT, Action.CHECK_SETUP),
    ],
)
def test_what_is_wrong_around_a_run_that_trains_on_is_to_be_looked_at(kind: Kind, action: Action) -> None:
    """Where it wakes someone; a note gives no advice, and an incident of the loss comes first."""
    assert [action] == actions(advised(incident(kind)))
    assert [] == advised(incident(kind, Severity.INFO))
    assert [Action.WAIT] == actions(advised(incident(kind), incident(Kind.SPIKE)))


def test_a_changed_rate_alone_is_no_reason_to_advise() -> None:
    """Someone lowered or raised it and the loss is well."""
    assert [] == advised(factor=3.0)


@pytest.mark.parametrize("kind", [Kind.SPIKE, Kind.DIVERGENCE])
def test_a_fresh_incident_is_waited_for(kind: Kind) -> None:
    """Many spikes recover alone: wait, and look again after the patience is over."""
    (advice,) = advised(incident(kind))

    assert (Action.WAIT, EvidenceGrade.B, None, BEGAN + 10) == (
        advice.action,
        advice.evidence_grade,
        advice.expected_gain,
        advice.step,
    )
    assert f"step {BEGAN + PATIENCE_STEPS:,}" in advice.reason


def test_an_incident_that_outlasts_the_patience_is_rewound() -> None:
    """Before the step at which it began, with some batches skipped, as PaLM did."""
    language_model = Run("demo", total_steps=20_000, tokens_per_step=512)
    (advice,) = advised(incident(Kind.SPIKE), step=BEGAN + PATIENCE_STEPS, run=language_model)

    assert Action.REWIND == advice.action
    assert f"before step {BEGAN - REWIND_STEPS:,}" in advice.reason


def test_a_rewind_never_leads_to_before_the_first_step() -> None:
    """An incident at step 20 leads to the beginning."""
    (advice,) = advised(incident(Kind.SPIKE, began=20), step=20 + PATIENCE_STEPS)

    assert "Restart from the beginning." == advice.reason


@pytest.mark.parametrize("kind", [Kind.NONFINITE, Kind.DIVERGENCE])
def test_a_lost_run_is_stopped_first_and_rewound_then(kind: Kind) -> None:
    """Every further step is paid for nothing, however fresh the incident is."""
    advice = advised(incident(kind, Severity.CRITICAL))

    assert [Action.STOP, Action.REWIND] == actions(advice)
    assert f"since step {BEGAN:,}" in advice[0].reason


def test_a_nan_loss_is_not_hidden_by_the_note_on_its_gradient() -> None:
    """Both are of one kind and both open; the loss is lost, whichever comes last."""
    loss = incident(Kind.NONFINITE, Severity.CRITICAL)
    gradient = incident(Kind.NONFINITE, Severity.INFO)

    assert [Action.STOP, Action.REWIND] == actions(advised(loss, gradient))
    assert [Action.STOP, Action.REWIND] == actions(advised(gradient, loss))


def test_the_third_spike_wants_a_cure_and_not_only_a_rewind() -> None:
    """Recurring spikes are structural."""
    advice = advised(incident(Kind.SPIKE), spikes=RECURRING_SPIKES)

    assert [Action.CHECK_SETUP, Action.REWIND] == actions(advice)
    assert f"spike {RECURRING_SPIKES} of this run" in advice[0].reason


def test_a_rate_above_its_plan_goes_back_on_it_first() -> None:
    """The one change of a rate that is advised, and only with an incident: by the factor that it is off."""
    advice = advised(incident(Kind.DIVERGENCE), factor=20.0)

    assert Action.LOWER_LEARNING_RATE == advice[0].action
    assert "20 times its plan" in advice[0].reason
    assert [Action.LOWER_LEARNING_RATE, Action.STOP, Action.REWIND] == actions(
        advised(incident(Kind.DIVERGENCE, Severity.CRITICAL), factor=20.0)
    )


def test_a_rate_below_its_plan_is_not_lowered() -> None:
    """It cannot be the cause."""
    assert [Action.WAIT] == actions(advised(incident(Kind.SPIKE), factor=0.2))


def test_above_the_law_the_setup_is_checked() -> None:
    """With the sentence of the gap, and no guess at the cause."""
    (advice,) = advised(gap=law_gap(0.2))

    assert (Action.CHECK_SETUP, EvidenceGrade.B) == (advice.action, advice.evidence_grade)
    assert "0.200 nats" in advice.reason
    assert "above its law" in advice.reason


def test_below_the_law_the_data_is_looked_at() -> None:
    """A leak, repeated data, or padding that is counted."""
    (advice,) = advised(gap=law_gap(-0.2))

    assert (Action.FIX_DATA, EvidenceGrade.C) == (advice.action, advice.evidence_grade)
    assert "0.200 nats" in advice.reason
    assert "below its law" in advice.reason


@pytest.mark.parametrize("nats", [0.2, -0.2])
def test_during_an_incident_there_is_no_advice_but_about_it(nats: float) -> None:
    """First things first: off its law is what a spiking run is anyway."""
    assert actions(advised(incident(Kind.SPIKE))) == actions(advised(incident(Kind.SPIKE), gap=law_gap(nats)))


def test_the_most_urgent_incident_is_advised_on() -> None:
    """NaN before divergence before spike."""
    fresh = incident(Kind.SPIKE, began=BEGAN + 5)
    lost = incident(Kind.NONFINITE, Severity.CRITICAL, began=BEGAN + 8)

    assert f"{BEGAN + 8:,}" in advised(fresh, lost)[0].reason
    assert [Action.STOP, Action.REWIND] == actions(advised(fresh, lost))


@pytest.mark.parametrize("kind", [Kind.BAD_BATCH, Kind.OFF_PLAN, Kind.REWOUND])
def test_a_note_asks_for_nothing(kind: Kind) -> None:
    """What is not worth waking someone is not worth an advice."""
    assert [] == advised(incident(kind, Severity.INFO))


def test_what_was_advised_survives_a_break() -> None:
    """A resumed adviser says what was said before: it follows from the curve, and a look at it is in no state."""
    monitor = Monitor(planned(constant(1_000)), least_gain=0.5)
    watch(monitor, rows(noisy(TrueLaw().losses(constant(1_000), 8e6), 0.01, 3)[:500], constant(1_000)[:500]))
    advised = monitor.advice()
    resumed = Monitor(planned(constant(1_000)), least_gain=0.5)
    resumed.load_state_dict(json.loads(json.dumps(monitor.state_dict())))

    assert [] != advised == resumed.advice()
    assert [] == resumed.advice(look=False) == resumed.forecast_advice


def test_a_run_that_has_ended_is_not_told_to_wait_or_to_stop() -> None:
    """In the past tense: what was lost, and from where to go on."""
    run = Run("demo", total_steps=BEGAN + 10)
    for severity in (Severity.WARNING, Severity.CRITICAL):
        (advice,) = advised(incident(Kind.DIVERGENCE, severity), run=run)

        assert Action.REWIND == advice.action
        assert "The run ended in the divergence that began at step 1,000" in advice.reason


def test_what_is_wrong_with_the_setup_of_a_run_that_has_ended_is_no_advice() -> None:
    """Nothing of it can be changed any more."""
    assert [] == advised(incident(Kind.THROUGHPUT), run=Run("demo", total_steps=BEGAN))


def test_a_short_run_is_waited_for_a_tenth_of_it_and_never_beyond_its_end() -> None:
    """One row an epoch, 102 epochs: nobody looks again at step 309."""
    epochs = Run("demo", total_steps=102)
    (early,) = advised(incident(Kind.SPIKE, began=40), step=44, run=epochs)
    (late,) = advised(incident(Kind.SPIKE, began=40), step=52, run=epochs)
    (last,) = advised(incident(Kind.SPIKE, began=97), step=99, run=epochs)

    assert "Look again at step 51" in early.reason
    assert [Action.REWIND, Action.REWIND] == [late.action, last.action]


def test_the_patience_with_a_sparse_log_is_told_in_its_rows() -> None:
    """A row each 50 steps: 300 steps are six rows, too few to see anything come back."""
    (advice,) = advised(incident(Kind.SPIKE), step=BEGAN + 100, spacing=50.0, run=Run("demo", total_steps=9_000))

    assert "Look again in 8 rows of the log, at step 1,500" in advice.reason


def test_cures_of_language_models_are_for_language_models() -> None:
    """Nobody with a regression has queries and keys to normalise, nor batches of PaLM to skip."""
    spikes = {"spikes": RECURRING_SPIKES, "step": BEGAN + PATIENCE_STEPS}
    text = " ".join(each.text for each in advised(incident(Kind.SPIKE), run=Run("lm", tokens_per_step=512), **spikes))
    other = " ".join(each.text for each in advised(incident(Kind.SPIKE), run=Run("mse"), **spikes))

    assert "QK normalisation" in text
    assert "QK" not in other
    assert "PaLM" not in other
