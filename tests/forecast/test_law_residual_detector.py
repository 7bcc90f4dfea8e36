"""A run is said to be off its law, or off its plan, when it has been for a while, and once."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalewatch import Finding, Kind, LawResidual, Phase, Run, Severity
from scalewatch.forecast.law_residual_detector import LawResidualDetector
from scalewatch.forecast.schedule_detector import ScheduleDetector
from tests.synthetic import constant, cosine

TOTAL = 1000
Said = tuple[Kind, Severity, Phase, int, int]


def gap(step: int, sigmas: float, share: float = 0.01) -> LawResidual:
    """A gap of so many standard errors; one error is `share` of the loss."""
    return LawResidual(step, 2.5 * (1 + share * sigmas), 2.5, 2.5 * share, 0.0, 0.9, 1e3 * step)


def hear(watch: LawResidualDetector, sigmas: Sequence[float], first: int = 200, share: float = 0.01) -> list[Said]:
    """What is said to such gaps at one stretch after another, ten steps each."""
    said = [watch.update(gap(first + 10 * n, each, share)) for n, each in enumerate(sigmas)]
    return [brief(each) for each in said if each is not None]


def brief(finding: Finding) -> Said:
    return finding.kind, finding.severity, finding.phase, finding.step, finding.start_step


def test_four_stretches_outside_are_one_warning_from_where_they_began() -> None:
    """Above the law is worth waking someone; the finding opens once and begins at the first of the four."""
    said = hear(LawResidualDetector(TOTAL), [0, 3, 3, 3, 3, 3, 3, 3])

    assert [(Kind.OFF_LAW, Severity.WARNING, Phase.OPENED, 240, 210)] == said


@pytest.mark.parametrize("sigmas", [[3, 3, 3, 0] * 5, [1.9] * 30, [0] * 30, [-1.9, 1.9] * 15])
def test_less_than_four_on_end_is_nothing(sigmas: list[float]) -> None:
    """Stretches next to each other share their misfit: three prove nothing, nor does any number inside 95 %."""
    assert [] == hear(LawResidualDetector(TOTAL), sigmas)


def test_it_closes_after_four_stretches_inside() -> None:
    """One stretch inside is no recovery either; closing is info and names the same incident."""
    said = hear(LawResidualDetector(TOTAL), [3, 3, 3, 3, 0, 3, 0, 0, 0, 0, 0])

    assert [
        (Kind.OFF_LAW, Severity.WARNING, Phase.OPENED, 230, 200),
        (Kind.OFF_LAW, Severity.INFO, Phase.CLOSED, 290, 200),
    ] == [(*each[:4], 200) for each in said]


def test_it_opens_anew_after_it_closed() -> None:
    """A run may leave its law twice."""
    phases = [each[2] for each in hear(LawResidualDetector(TOTAL), [3] * 5 + [0] * 5 + [3] * 5)]

    assert [Phase.OPENED, Phase.CLOSED, Phase.OPENED] == phases


@pytest.mark.parametrize(
    ("share", "severity"),
    [(0.01, Severity.INFO), (0.05, Severity.WARNING)],
    ids=["three-percent", "fifteen-percent"],
)
def test_below_the_law_is_a_note_unless_it_is_far(share: float, severity: Severity) -> None:
    """A better loss than expected is no reason to wake someone; a sixth better is no luck."""
    said = hear(LawResidualDetector(TOTAL), [-3, -3, -3, -3], share=share)

    assert [(Kind.BETTER_THAN_LAW, severity, Phase.OPENED, 230, 200)] == said


def test_the_first_tenth_of_a_run_follows_no_law() -> None:
    """Early descent is not held against it, nor is anything in a run without an end."""
    assert [] == hear(LawResidualDetector(TOTAL), [9] * 8, first=10)
    assert [] == hear(LawResidualDetector(None), [9] * 8)


def test_no_gap_is_no_news() -> None:
    """A run without a law is never off it."""
    assert LawResidualDetector(TOTAL).update(None) is None


def test_the_evidence_is_numbers() -> None:
    """The finding carries what its sentence says."""
    watch = LawResidualDetector(TOTAL)
    finding = [watch.update(gap(200 + n, 3.0)) for n in range(4)][-1]

    assert finding is not None
    assert pytest.approx(0.075) == finding.evidence["excess_nats"]
    assert pytest.approx(3.0) == finding.evidence["law_sigmas"]
    assert (2.5, 0.9) == (finding.evidence["expected_loss"], finding.evidence["token_ratio"])
    assert pytest.approx(0.0027, rel=0.01) == finding.evidence["chance"]
    assert "0.075 nats (3.0 %) above its law" in finding.message
    assert "About 1 healthy run in 400 looks like this by chance." in finding.message


@given(st.lists(st.sampled_from([-3.0, 0.0, 3.0]), max_size=40), st.integers(0, 40))
def test_off_law_resumes_where_it_was(sigmas: list[float], cut: int) -> None:
    """Counters and what is open go through a checkpoint."""
    whole, before, after = LawResidualDetector(TOTAL), LawResidualDetector(TOTAL), LawResidualDetector(TOTAL)
    expected = hear(whole, sigmas)
    said = hear(before, sigmas[:cut])
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    said += hear(after, sigmas[cut:], first=200 + 10 * len(sigmas[:cut]))

    assert expected == said


@given(st.lists(st.one_of(st.sampled_from([-9.0, 0.0, 9.0]), st.just(math.nan)), max_size=60))
def test_opened_and_closed_take_turns_and_nothing_begins_after_it_is_said(sigmas: list[float]) -> None:
    """Whatever the gaps, also across a rewind: a finding begins at or before its step."""
    watch = LawResidualDetector(TOTAL)
    said = hear(watch, sigmas[:30], first=500)
    if len(sigmas) > 30:
        watch.restart()
        said += hear(watch, sigmas[30:], first=150)

    assert all(each[4] <= each[3] for each in said)


def test_a_rewind_forgets_that_it_was_off() -> None:
    """The run went back to before it; what is off again is said again."""
    watch = LawResidualDetector(TOTAL)
    hear(watch, [3] * 6)
    watch.restart()

    assert watch.open is None
    assert [] == hear(watch, [0] * 6)
    assert 1 == len(hear(watch, [3] * 6))


# --- the learning rate and its plan ---------------------------------------------------------------

PLAN = cosine(TOTAL, warmup=100)


def rates(watch: ScheduleDetector, seen: Sequence[float], first: int = 300) -> list[Said]:
    said = [watch.update(first + n, float(rate)) for n, rate in enumerate(seen)]
    return [brief(each) for each in said if each is not None]


def planned(plan: np.ndarray = PLAN) -> ScheduleDetector:  # type: ignore[type-arg]
    return ScheduleDetector(Run("demo", learning_rates=plan))


def test_three_rows_off_the_plan_are_one_note() -> None:
    """Changed on purpose is no incident; but it is said, once, with the factor and from its first row."""
    watch = planned()
    finding = [watch.update(step, 2.0 * PLAN[step - 1]) for step in range(300, 320)][2]

    assert finding is not None
    assert (Kind.OFF_PLAN, Severity.INFO, Phase.OPENED, 302, 300) == brief(finding)
    assert pytest.approx(2.0) == finding.evidence["factor"]
    assert (300, pytest.approx(2.0)) == (watch.since, watch.factor)


def test_back_on_the_plan_it_closes() -> None:
    """After three rows on it."""
    watch = planned()
    seen = np.concatenate([3.0 * PLAN[299:310], PLAN[310:330]])

    assert [
        (Kind.OFF_PLAN, Severity.INFO, Phase.OPENED, 302, 300),
        (Kind.OFF_PLAN, Severity.INFO, Phase.CLOSED, 313, 300),
    ] == rates(watch, seen)
    assert watch.since is None


@pytest.mark.parametrize("shift", [-1, 1, -2, 2])
@pytest.mark.parametrize("plan", [PLAN, constant(TOTAL), np.repeat([1e-3, 1e-4, 1e-5], 334)[:TOTAL]])
def test_programs_that_count_steps_differently_are_on_plan(shift: int, plan: np.ndarray) -> None:  # type: ignore[type-arg]
    """A scheduler may be a step or two ahead or behind, in warm-up and at a sudden drop too."""
    seen = plan[np.clip(np.arange(TOTAL) + shift, 0, TOTAL - 1)]

    assert [] == rates(planned(plan), seen.tolist(), first=1)


def test_the_plan_itself_is_on_plan() -> None:
    """No row of it, from warm-up to nothing, is off it."""
    assert [] == rates(planned(), PLAN.tolist(), first=1)


@pytest.mark.parametrize("rate", [math.nan, 0.0, -1.0])
def test_a_rate_that_is_unknown_is_not_off_the_plan(rate: float) -> None:
    """Logs have rows without a rate."""
    assert [] == rates(planned(), [rate] * 20)


@pytest.mark.parametrize("first", [-50, 0, TOTAL + 1, 2**62])
def test_steps_outside_the_plan_are_not_held_against_it(first: int) -> None:
    """A log may start at 0 and go on beyond its plan."""
    assert [] == rates(planned(), [1.0] * 1, first=first)


def test_a_run_without_a_plan_cannot_leave_it() -> None:
    """Nothing is known, nothing is said."""
    assert [] == rates(ScheduleDetector(Run("demo", TOTAL)), [1.0, 2.0, 3.0] * 5)


@given(st.lists(st.sampled_from([1.0, 2.0, math.nan]), max_size=40), st.integers(0, 40))
def test_off_plan_resumes_where_it_was(factors: list[float], cut: int) -> None:
    """Through a checkpoint, at any row."""
    seen = [factor * PLAN[299 + n] for n, factor in enumerate(factors)]
    whole, before, after = planned(), planned(), planned()
    expected = rates(whole, seen)
    said = rates(before, seen[:cut])
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))

    assert expected == said + rates(after, seen[cut:], first=300 + len(seen[:cut]))


def test_a_rewind_forgets_that_the_rate_was_off() -> None:
    """What is still off is said again, from the step where it is seen."""
    watch = planned()
    rates(watch, 3.0 * PLAN[299:310])
    watch.restart()

    assert watch.since is None
    assert [(Kind.OFF_PLAN, Severity.INFO, Phase.OPENED, 202, 200)] == rates(watch, 3.0 * PLAN[199:210], first=200)
