"""Advice from the forecast and from the plan of a run: stop, extend, decay, another schedule, another size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scalewatch import Action, Advice, EvidenceGrade, Finding, Kind, Monitor, Run, Severity
from scalewatch.advising.adviser import AdviceContext, Goals, advise
from scalewatch.errors import ConfigError
from scalewatch.forecast.schedule_detector import ScheduleDetector
from scalewatch.laws import CurveLaw
from tests.synthetic import Floats, TrueLaw, constant, cosine, fitted, noisy, planned, rows, watch, wsd

TOTAL, HALF = 2_000, 1_000
SIZE = 8e6


@pytest.fixture(scope="module")
def law() -> CurveLaw:
    return fitted()


def monitored(plan: Floats, law: CurveLaw, until: int = HALF, **goals: float) -> Monitor:
    """A run on the true law, watched with it up to a step."""
    monitor = Monitor(planned(plan, SIZE), law, **goals)
    losses = noisy(TrueLaw().losses(plan, SIZE), 0.01, 3)
    watch(monitor, rows(losses[:until], plan[:until]))
    return monitor


def end_of(plan: Floats) -> float:
    return float(TrueLaw().losses(plan, SIZE)[-40:].mean())


def actions(advice: list[Advice]) -> list[Action]:
    return [each.action for each in advice]


def test_a_run_that_cannot_beat_the_incumbent_is_stopped(law: CurveLaw) -> None:
    """A decayed run 0.3 nats above the best one so far: with its probability, what is saved, and what would help."""
    plan = wsd(TOTAL, decay=0.7)
    (advice,) = monitored(plan, law, incumbent_loss=end_of(plan) - 0.3).advice()

    assert (Action.STOP, EvidenceGrade.B) == (advice.action, advice.evidence_grade)
    assert "less than 1 %" in advice.reason
    assert "1,000 steps, 50 %" in advice.reason
    assert "incumbent" in advice.reason
    assert advice.would_change


def test_a_run_that_can_beat_it_goes_on(law: CurveLaw) -> None:
    """With a bar above where it will end there is nothing to say; nor without a bar."""
    plan = cosine(TOTAL)

    assert [] == monitored(plan, law, target_loss=end_of(plan) + 0.05).advice()
    assert [] == monitored(plan, law).advice()


def test_no_forecast_stops_a_run_in_its_first_fifth(law: CurveLaw) -> None:
    """However hopeless it looks."""
    plan = wsd(TOTAL, decay=0.7)

    assert [] == monitored(plan, law, until=TOTAL // 6, target_loss=1.0).advice()


def test_a_bar_that_another_schedule_reaches_is_no_reason_to_stop(law: CurveLaw) -> None:
    """A constant rate misses the target, and decaying at its end reaches it: that is the advice, with its gain."""
    plan = constant(TOTAL)
    decayed = np.concatenate([plan[:1_600], plan[1_600:] * np.linspace(1, 0, 400)])
    first = monitored(plan, law, target_loss=end_of(decayed) + 0.06).advice()[0]

    assert Action.CHANGE_SCHEDULE == first.action
    assert "With another schedule it could" in first.reason
    assert first.gain_interval is not None
    assert first.expected_gain is not None
    assert 0 < first.gain_interval[0] < first.expected_gain < first.gain_interval[1]


def test_a_bar_that_only_more_steps_reach_asks_for_them(law: CurveLaw) -> None:
    """A cosine that ends a little too high is extended by a quarter."""
    plan = cosine(TOTAL)
    longer = np.interp(np.linspace(0, 1, 1_500), np.linspace(0, 1, HALF), plan[HALF:])
    bar = end_of(np.concatenate([plan[:HALF], longer])) + 0.01
    advice = monitored(plan, law, target_loss=bar).advice()

    assert Action.STOP not in actions(advice)
    assert not advice or advice[0].action in (Action.EXTEND, Action.CHANGE_SCHEDULE)


def test_steps_that_buy_less_than_was_asked_are_not_trained(law: CurveLaw) -> None:
    """Decay now and end there; asked for less, they are trained. Held against a rest that ends with a decay."""
    plan = constant(TOTAL)
    asked = monitored(plan, law, 1_500, least_gain=0.5).advice()
    little = monitored(plan, law, 1_500, least_gain=1e-4).advice()

    assert Action.DECAY_NOW in actions(asked)
    assert Action.DECAY_NOW not in actions(little)
    decay = next(each for each in asked if each.action is Action.DECAY_NOW)
    assert "150 steps" in decay.reason
    assert decay.gain_interval is not None
    assert decay.gain_interval[0] <= decay.gain_interval[1]


def test_a_schedule_that_ends_high_is_longer_than_the_run(law: CurveLaw) -> None:
    """A cosine cut off at half of its length: decaying at the end gains, for the same compute, grade A."""
    plan = cosine(2 * TOTAL)[:TOTAL]
    (advice,) = monitored(plan, law).advice()

    assert (Action.CHANGE_SCHEDULE, EvidenceGrade.A) == (advice.action, advice.evidence_grade)
    assert "of its peak when the run ends" in advice.reason
    assert advice.gain_interval is not None
    decayed = np.concatenate([plan[:1_600], plan[1_599] * np.linspace(1, 0, 401)[1:]])
    truth = end_of(plan) - float(TrueLaw().losses(decayed, SIZE)[-40:].mean())
    assert 0.5 * advice.gain_interval[0] < truth < 1.5 * advice.gain_interval[1]


def test_an_open_incident_silences_the_forecast(law: CurveLaw) -> None:
    """A run in trouble is advised on its trouble alone."""
    plan = constant(TOTAL)
    monitor = monitored(plan, law, target_loss=1.0)
    calm = monitor.advice()
    page = Finding(Kind.THROUGHPUT, Severity.WARNING, HALF, HALF, "slow")
    trouble = advise(situation(monitor, open_incidents=[page]))

    assert Action.CHECK_SETUP not in actions(calm)
    assert [Action.CHECK_SETUP] == actions(trouble)


def situation(monitor: Monitor | None = None, **more: Any) -> AdviceContext:
    run = Run("plain") if monitor is None else monitor.run
    of: dict[str, Any] = {
        "step": HALF,
        "open_incidents": [],
        "spikes": 0,
        "gap": None,
        "off_plan": ScheduleDetector(run),
    }
    known = {} if monitor is None else {"run": run, "forecaster": monitor.forecaster, "goals": monitor.goals}
    return AdviceContext(**(of | known | more))


def spike(began: int = HALF - 10) -> Finding:
    return Finding(Kind.SPIKE, Severity.WARNING, began + 2, began, "a spike")


def test_after_two_rollbacks_the_cure_is_structural() -> None:
    """Before the third one, also where no third spike was seen."""
    advice = advise(situation(open_incidents=[spike()], rollbacks=2))

    assert [Action.CHECK_SETUP, Action.REWIND] == actions(advice)
    assert "2 times already" in advice[0].reason


def test_what_rose_before_a_spike_speaks_for_a_lower_rate_with_its_price(law: CurveLaw) -> None:
    """Gradient norm first, loss then: the habitual cut, as a habit, and what it costs by the law."""
    drift = Finding(Kind.GRAD_DRIFT, Severity.INFO, 700, 600, "gradient norm has climbed")
    monitor = monitored(cosine(TOTAL), law)
    lower, rewind = advise(situation(monitor, open_incidents=[drift, spike()]))

    assert (Action.LOWER_LEARNING_RATE, EvidenceGrade.C) == (lower.action, lower.evidence_grade)
    assert "habit" in lower.reason
    assert lower.expected_gain is not None
    assert lower.gain_interval is not None
    assert Action.REWIND == rewind.action
    late = Finding(Kind.GRAD_DRIFT, Severity.INFO, HALF, HALF - 5, "after the spike")
    assert [Action.WAIT] == actions(advise(situation(monitor, open_incidents=[late, spike()])))


@pytest.mark.parametrize(
    ("parameters", "tokens", "said"),
    [
        (70e9, 140e9, True),  # 2 tokens a parameter
        (70e9, 1.4e12, False),  # Chinchilla
        (7e9, 2e12, False),  # small for its data, on purpose
        (1e6, 1e6, False),  # a toy, outside of what the laws know
    ],
)
def test_a_model_too_large_for_its_data_is_told_once_early(parameters: float, tokens: float, said: bool) -> None:
    """With the price by two published laws that agree; never later than the first tenth."""
    run = Run("big", total_steps=10_000, parameters=int(parameters), tokens_per_step=tokens / 10_000)
    early, later = (advise(situation(run=run, step=step)) for step in (500, 5_000))

    assert [Action.CHANGE_SIZE] * said == actions(early)
    assert [] == later
    if said:
        assert "2 tokens a parameter" in early[0].reason
        assert early[0].gain_interval is None, "how far two laws are apart is no 80 % interval"
        assert early[0].expected_gain is not None
        assert 0.01 < early[0].expected_gain < 0.5


@pytest.mark.parametrize("name", ["target_loss", "incumbent_loss", "least_gain"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), "3", True])
def test_an_aim_that_is_none_is_refused(name: str, value: Any) -> None:
    """With its name, by the monitor too."""
    with pytest.raises(ConfigError, match=f"`{name}`"):
        Goals(**{name: value})
    with pytest.raises(ConfigError, match=f"`{name}`"):
        Monitor(Run("demo"), **{name: value})


def test_every_advice_says_what_would_change_it(law: CurveLaw) -> None:
    """From each rule there is."""
    monitor = monitored(constant(TOTAL), law, target_loss=1.0, least_gain=0.5)
    calm = monitored(cosine(2 * TOTAL)[:TOTAL], law, least_gain=0.5)
    lost = Finding(Kind.NONFINITE, Severity.CRITICAL, HALF, HALF - 5, "NaN")
    hot = Finding(Kind.DIVERGENCE, Severity.WARNING, HALF, 100, "diverges", {"cause": "hardware", "cause_reason": "x"})
    situations = [
        situation(monitor),
        situation(calm),
        situation(open_incidents=[lost], spikes=3),
        situation(open_incidents=[spike()]),
        situation(open_incidents=[hot]),
        situation(open_incidents=[Finding(Kind.SUSPICIOUS_IMPROVEMENT, Severity.WARNING, 5, 5, "low")]),
        situation(monitor, open_incidents=[Finding(Kind.VALIDATION, Severity.WARNING, 5, 5, "up")]),
    ]
    advice = [each for now in situations for each in advise(now)]

    assert [Action.STOP] == actions(advise(situation(monitor))), "a run that is to be stopped needs nothing else"
    assert [Action.DECAY_NOW, Action.CHANGE_SCHEDULE] == actions(advise(situation(calm)))
    assert len({each.action for each in advice}) >= 6
    assert all(each.would_change.endswith(".") and each.reason.endswith(".") for each in advice)


def test_advice_of_a_healthy_run_is_looked_up_once_a_stretch(law: CurveLaw) -> None:
    """Asked a thousand times between two stretches of the curve, it is one answer; after the next stretch a new one."""
    plan = cosine(2 * TOTAL)[:TOTAL]
    monitor = monitored(plan, law)
    first = monitor.advice()

    assert all(monitor.advice() is first or monitor.advice() == first for _ in range(1_000))
    losses = noisy(TrueLaw().losses(plan, SIZE), 0.01, 3)
    watch(monitor, rows(losses[HALF:1_200], plan[HALF:1_200], HALF + 1))
    assert first[0].step < monitor.advice()[0].step


def test_a_rate_that_is_never_to_fall_is_not_called_a_schedule_that_is_too_long() -> None:
    """Constant, as with a schedule-free optimizer, or to go on from: it is meant so."""
    plan = constant(TOTAL)

    assert [] == monitored(plan, None).advice()


def test_a_noisy_loss_of_unknown_kind_is_advised_no_other_schedule() -> None:
    """What a decay gains was measured on losses of text: outside of them there is no grade, and no advice."""
    plan = cosine(2 * TOTAL)[:TOTAL]
    losses = TrueLaw().losses(plan, SIZE) * np.exp(np.random.default_rng(0).normal(0.0, 0.2, TOTAL))
    monitor = Monitor(Run("mse", TOTAL, plan))
    watch(monitor, rows(losses[:HALF], plan[:HALF]))

    assert [] == monitor.advice()
