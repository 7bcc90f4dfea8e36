"""Nothing is done to a run unless it is sure, the run is past its warm-up, and somebody asked for it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scalewatch import Finding, Kind, Monitor, Observation, Run, Severity
from scalewatch.acting.acts import Act, ActLimits, Acts, Decision, checked_acts
from scalewatch.acting.gate import Gate, RateCut, confirm_steps
from scalewatch.acting.standing import Standing
from scalewatch.errors import ConfigError
from scalewatch.finding import Phase

RUN = Run("mine", 2_000, np.full(2_000, 0.1))
HIGH = 6.0


def critical(step: int, since: int) -> Finding:
    """A divergence that has been called critical."""
    return Finding(Kind.DIVERGENCE, Severity.CRITICAL, step, since, "loss does not come back", phase=Phase.ESCALATED)


def gate_of(*acts: str, run: Run = RUN, limits: ActLimits | None = None) -> Gate:
    return Gate(Acts(frozenset(map(Act, acts)), limits=limits or ActLimits()), run)


def loss_at(sigmas: float) -> float:
    """A loss so far over the level of 3, where rows that do not scatter count as scattering by a thousandth."""
    return 3.0 * (1.0 + 1e-3 * sigmas)


def feed(gate: Gate, steps: range, sigmas: float, found: Finding | None = None) -> None:
    """Rows at one height over the level; what was found comes with the first."""
    for step in steps:
        gate.observe(step, loss_at(sigmas), sigmas, [found] if found is not None and step == steps[0] else [])


def decided(gate: Gate, steps: range, sigmas: float, now: Standing | None = None) -> list[Decision]:
    """What is decided while the rows go on at one height."""
    made = []
    for step in steps:
        gate.observe(step, loss_at(sigmas), sigmas, [])
        decision = gate.decide(now or Standing())
        made += [] if decision is None else [decision]
    return made


def test_a_critical_incident_has_to_last_for_a_share_of_the_run() -> None:
    """A hundredth of 2,000 steps after it was called critical, and once only."""
    gate = gate_of("stop")
    feed(gate, range(1, 501), 0.0)
    gate.observe(501, 3.0, HIGH, [critical(501, 480)])

    made = decided(gate, range(502, 800), HIGH)

    assert [(Act.STOP, 501 + confirm_steps(RUN, 501), 480)] == [(each.act, each.step, each.since) for each in made]


def test_a_loss_that_has_come_down_again_is_left_alone() -> None:
    """The incident may still be open, for its detector is patient."""
    gate = gate_of("stop")
    feed(gate, range(1, 501), 0.0)
    feed(gate, range(501, 506), HIGH, critical(501, 480))

    assert [] == decided(gate, range(506, 1_000), 0.5)


def test_an_incident_that_is_over_is_no_reason() -> None:
    gate = gate_of("stop")
    feed(gate, range(1, 501), 0.0)
    feed(gate, range(501, 515), HIGH, critical(501, 480))
    over = Finding(Kind.DIVERGENCE, Severity.INFO, 515, 480, "back", phase=Phase.CLOSED)
    gate.observe(515, 3.0, HIGH, [over])

    assert [] == decided(gate, range(516, 800), HIGH)


def test_nothing_is_done_in_warm_up() -> None:
    """Not even of weights that are dead: what is sure then is sure at its end."""
    run = Run("warm", 2_000, np.minimum(1.0, np.arange(1, 2_001) / 200))
    gate = gate_of("stop", run=run)
    made = []
    for step in range(100, 260):
        gate.observe(step, math.nan, math.nan, [])
        made.append(gate.decide(Standing()))

    # rates are within a hundredth of the peak from step 198 on
    assert [198] == [each.step for each in made if each is not None]


def test_nothing_is_done_where_the_monitor_cannot_tell() -> None:
    gate = gate_of("stop")
    feed(gate, range(1, 501), 0.0)
    gate.observe(501, 3.0, HIGH, [critical(501, 480)])

    assert [] == decided(gate, range(502, 900), HIGH, Standing(unjudged="its objective is no descent"))


def test_steps_that_were_not_taken_kill_no_weights() -> None:
    """A scaler of fp16 leaves out what overflows; three that were taken are enough."""
    gate = gate_of("stop")
    for step in range(1, 41):
        gate.observe(step, math.inf, math.nan, [], taken=False)
    left_out = gate.decide(Standing())
    for step in range(41, 44):
        gate.observe(step, math.nan, math.nan, [], taken=True)
    taken = gate.decide(Standing())

    assert left_out is None
    assert taken is not None
    assert 41 == taken.since


def test_weights_that_are_numbers_are_not_dead() -> None:
    gate = gate_of("stop")
    for step in range(1, 5):
        gate.observe(step, math.nan, math.nan, [])

    assert gate.decide(Standing(weights_finite=True)) is None
    assert gate.decide(Standing(weights_finite=False)) is not None


def test_the_rate_is_cut_before_the_run_is_stopped_and_so_often_at_most() -> None:
    """Each cut has its chance; the third ends at an eighth, which is above the lowest of a tenth."""
    gate = gate_of("lower_learning_rate", "stop")
    feed(gate, range(1, 501), 0.0)
    gate.observe(501, 3.0, HIGH, [critical(501, 480)])

    made = decided(gate, range(502, 1_500), HIGH)

    rates = [each.factor for each in made if each.act is Act.LOWER_LEARNING_RATE]
    assert [0.5, 0.25, 0.125] == rates
    assert [Act.STOP] == [each.act for each in made[3:]]
    gaps = np.diff([each.step for each in made])
    assert min(gaps) > 3 * confirm_steps(RUN, 501)


def test_a_cut_is_taken_back_when_the_run_has_been_calm() -> None:
    gate = gate_of("lower_learning_rate")
    feed(gate, range(1, 501), 0.0)
    gate.observe(501, 3.0, HIGH, [critical(501, 480)])
    cut = decided(gate, range(502, 540), HIGH)
    gate.observe(540, 3.0, 0.0, [Finding(Kind.DIVERGENCE, Severity.INFO, 540, 480, "back", phase=Phase.CLOSED)])

    released = decided(gate, range(541, 900), 0.0)

    assert [0.5] == [each.factor for each in cut]
    assert [1.0] == [each.factor for each in released]
    assert released[0].step - 540 >= 3 * confirm_steps(RUN, 501)


def test_a_rate_that_left_its_plan_goes_back_to_it_and_as_long_as_it_is_off() -> None:
    """Thirty times too high is a cause that is known: no habit of cutting, and no lowest cut."""
    gate = gate_of("lower_learning_rate")
    feed(gate, range(1, 501), 0.0)
    gate.observe(501, 3.0, HIGH, [critical(501, 480)])

    cut = decided(gate, range(502, 600), HIGH, Standing(rate_excess=30.0))
    back = decided(gate, range(700, 710), 0.0, Standing(rate_excess=1.0))

    assert [pytest.approx(1 / 30)] == [each.factor for each in cut]
    assert [1.0] == [each.factor for each in back]


def test_a_rewind_comes_first_where_it_can_be_done() -> None:
    """With a checkpoint and somebody who takes the run back; what may have done it is left out on the way."""
    can = Standing(checkpoint=450, rewinds_left=2)
    gate = gate_of("rewind", "lower_learning_rate", "stop")
    for step in range(1, 481):
        gate.observe(step, 3.0, 0.0, [])
    for step in range(481, 501):
        gate.observe(step, 9.0, HIGH, [])
    for step in range(501, 505):
        gate.observe(step, 5.0, HIGH, [critical(504, 481)] if step == 504 else [])
    made: list[Decision] = []
    for step in range(505, 600):
        gate.observe(step, 5.0, HIGH, [])
        decision = gate.decide(can)
        made += [] if decision is None else [decision]

    assert Act.REWIND is made[0].act
    # 5 is a third of the way from 3 to 9: it still stands, and is taken to go on for half as long again
    assert made[0].skip == (480, made[0].step + math.ceil((made[0].step - 481) / 2))


def test_without_a_supervisor_there_is_no_rewind() -> None:
    gate = gate_of("rewind", "stop")
    feed(gate, range(1, 501), 0.0)
    gate.observe(501, 3.0, HIGH, [critical(501, 480)])

    made = decided(gate, range(502, 600), HIGH, Standing(checkpoint=450, rewinds_left=0))

    assert [Act.STOP] == [each.act for each in made]


def test_limits_hold_in_a_run_that_goes_on() -> None:
    """What was cut before the break counts, and is still cut."""
    first = gate_of("lower_learning_rate")
    first.cut = RateCut(0.125, times=3)
    second = gate_of("lower_learning_rate")
    second.load_state_dict(first.state_dict())
    feed(second, range(1, 501), 0.0)
    second.observe(501, 3.0, HIGH, [critical(501, 480)])

    assert 0.125 == second.cut.factor
    assert [] == decided(second, range(502, 800), HIGH)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: checked_acts("stop"),
        lambda: checked_acts(["explode"]),
        lambda: checked_acts(["stop"], {"cut": 0.5}),
        lambda: ActLimits(cut=1.0),
        lambda: ActLimits(skips=-1),
        lambda: ActLimits(from_step=True),
        lambda: Decision.from_plain({"act": "stop"}),
        lambda: Decision.from_plain({**Decision(Act.STOP, 1, "").to_plain(), "factor": 0.0}),
    ],
)
def test_what_is_no_act_is_refused(wrong: object) -> None:
    """In the words of the option."""
    with pytest.raises(ConfigError, match=r"`act|no decision"):
        wrong()  # type: ignore[operator]


def test_noisy_runs_of_every_kind_are_left_alone() -> None:
    """Twenty falling curves, each with noise of another width and tail, under every act."""
    decisions = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        steps = np.arange(1, 801)
        noise = random.standard_t(3 + seed % 5, size=800) * (0.01 + 0.02 * (seed % 7))
        losses = (2.0 + 3.0 * (steps + 20.0) ** -0.4) * np.exp(noise)
        monitor = Monitor(Run("noisy", 800))
        gate = Gate(Acts(frozenset(Act)), monitor.run)
        for step, loss in zip(steps.tolist(), losses.tolist(), strict=True):
            found = monitor.observe(Observation(step, loss))
            gate.observe(step, loss, monitor.watch.sigmas, found)
            decisions.append(gate.decide(Standing(checkpoint=1, rewinds_left=2)) if gate.is_due else None)

    assert {None} == set(decisions)
