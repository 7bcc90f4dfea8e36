"""One door: observations in, findings out; deterministic, never raising, going on where it was."""

from __future__ import annotations

import json
import logging
import math
import time
import tracemalloc
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scalewatch import Action, Finding, Kind, Monitor, Observation, Phase, Run, Severity
from scalewatch.detect.spike import Spike
from scalewatch.errors import ConfigError
from scalewatch.fitting import fit_curves
from scalewatch.laws import CurveLaw
from scalewatch.status import State
from tests.synthetic import Floats, TrueLaw, cosine, fitted, ladder, noisy, planned, rows, watch

TRUE = TrueLaw()
TOTAL, SIZE = 1000, 8e6
PLAN = cosine(TOTAL)
CLEAN = noisy(TRUE.losses(PLAN, SIZE), 0.01, 0)


@pytest.fixture(scope="module")
def law() -> CurveLaw:
    """The law of three smaller runs."""
    return fitted()


@pytest.fixture(scope="module")
def well_known_law() -> CurveLaw:
    """The law of ten smaller runs: three tell too little about their own scatter to call a run off it early."""
    sizes = [(size, steps) for size in (1e6, 1.5e6, 2e6, 3e6, 4e6) for steps in (600, 1000)]
    return fit_curves(ladder(sizes=sizes))


def log_of(losses: Floats = CLEAN, rates: Floats = PLAN, norms: bool = True) -> list[Observation]:
    """A log with learning rates, gradient norms and tokens."""
    scatter = np.random.default_rng(5).standard_normal(len(losses))
    return [
        row._replace(grad_norm=float(np.exp(0.1 * scatter[n])) if norms else None, tokens=2_000.0 * row.step)
        for n, row in enumerate(rows(losses, rates))
    ]


def kinds(found: Iterable[Finding]) -> list[Kind]:
    return [finding.kind for finding in found]


def pages(found: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.pages]


def with_fault(losses: Floats, at: int, change: Callable[[Floats], Floats]) -> Floats:
    """The losses with what lies from step `at` on changed."""
    return np.concatenate([losses[: at - 1], change(losses[at - 1 :])])


# --- what it says ---------------------------------------------------------------------------------


def test_a_healthy_run_is_watched_in_silence(law: CurveLaw) -> None:
    """From the first step to the last no finding, no advice, nothing open."""
    monitor = Monitor(planned(PLAN), law)

    assert [] == watch(monitor, log_of())
    assert [] == monitor.advice()
    assert [] == monitor.open_incidents
    assert "over: healthy to its end" == monitor.verdict().headline


def test_a_loss_that_stays_nan_is_critical_and_advised_on() -> None:
    """Loss and gradient are NaN together, as they are in practice: stop, and rewind."""
    monitor = Monitor(planned(PLAN))
    watch(monitor, log_of()[:300])
    found = watch(monitor, [Observation(s, math.nan, float(PLAN[s - 1]), math.nan) for s in (301, 302, 303)])

    assert Severity.CRITICAL in [finding.severity for finding in found]
    assert [Action.STOP, Action.REWIND] == [advice.action for advice in monitor.advice()]
    assert monitor.verdict().headline.startswith("LOST: non-finite loss since step 301")


def test_a_rate_off_its_plan_is_part_of_the_advice() -> None:
    """The learning rate goes up twentyfold and the loss with it: the first advice is to put it back."""
    rates = np.where(np.arange(1, TOTAL + 1) > 500, 20 * PLAN, PLAN)
    losses = with_fault(CLEAN, 510, lambda rest: rest * (1.0 + 0.01 * np.arange(len(rest))))
    monitor = Monitor(planned(PLAN))
    found = watch(monitor, log_of(losses, rates)[:600])

    assert Kind.OFF_PLAN in kinds(found)
    assert Action.LOWER_LEARNING_RATE == monitor.advice()[0].action


@pytest.mark.parametrize(
    ("factor", "kind", "severity", "action"),
    [
        (1.06, Kind.OFF_LAW, Severity.WARNING, Action.CHECK_SETUP),
        (0.94, Kind.BETTER_THAN_LAW, Severity.INFO, Action.FIX_DATA),
    ],
)
def test_a_run_off_its_law_is_said_to_be_until_it_is_back(
    well_known_law: CurveLaw, factor: float, kind: Kind, severity: Severity, action: Action
) -> None:
    """It is open, in the verdict and in the advice, as long as it lasts; then it closes."""
    law = well_known_law
    losses = CLEAN * np.interp(np.arange(TOTAL), [400, 700], [factor, 1.0])
    monitor = Monitor(planned(PLAN), law)
    opened = watch(monitor, log_of(losses)[:500])

    assert [(kind, severity, Phase.OPENED)] == [(finding.kind, finding.severity, finding.phase) for finding in opened]
    assert opened == monitor.open_incidents
    assert (kind is Kind.OFF_LAW) == (
        monitor.verdict().headline == f"IN TROUBLE: gap above its law since step {opened[0].start_step}"
    )
    assert [action] == [advice.action for advice in monitor.advice()]

    closed = watch(monitor, log_of(losses)[500:])
    assert [(kind, Phase.CLOSED)] == [(finding.kind, finding.phase) for finding in closed]
    assert opened[0].start_step == closed[0].start_step
    assert [] == monitor.advice()
    ended = "recovered from gap above its law" if kind is Kind.OFF_LAW else "over: healthy to its end"
    assert monitor.verdict().headline == ended


def test_without_a_law_nobody_is_off_it() -> None:
    """A run that is far worse than it could be looks healthy to itself."""
    assert [] == watch(Monitor(planned(PLAN)), log_of(1.2 * CLEAN))


def test_a_run_that_goes_back_says_so_and_forgets(well_known_law: CurveLaw) -> None:
    """One note; what lay ahead, off the law as it was, is forgotten without a word, and nothing is left open."""
    log = log_of(1.07 * CLEAN)
    monitor = Monitor(planned(PLAN), well_known_law)
    before = watch(monitor, log[:600])
    found = watch(monitor, log_of()[250:900])

    assert Kind.OFF_LAW in kinds(before)
    assert [(Kind.REWOUND, Severity.INFO, 251)] == [(f.kind, f.severity, f.step) for f in found]
    assert [] == monitor.open_incidents
    assert all(finding.start_step <= finding.step for finding in [*before, *found])


def test_bad_batches_and_spikes_do_not_bend_the_forecast(law: CurveLaw) -> None:
    """Bad batches, a spike that recovers, a NaN and a value beyond all bounds move it by less than 0.2 %."""
    step = np.arange(1, TOTAL + 1)
    spike = np.where((step >= 300) & (step < 330), 2.0 * np.exp(-(step - 300) / 8.0), 0.0)
    faults = {
        "bad batches": np.where(step % 97 == 50, 1.5 * CLEAN, CLEAN),
        "spike": CLEAN + spike,
        "nan": np.where(step == 350, math.nan, CLEAN),
        "beyond": np.where(step == 350, 1e308, CLEAN),
    }
    for each in (law, None):
        told = Monitor(planned(PLAN), each)
        watch(told, log_of()[:400])
        expected = told.forecast()
        assert expected is not None
        for name, losses in faults.items():
            monitor = Monitor(planned(PLAN), each)
            watch(monitor, log_of(losses)[:400])
            forecast = monitor.forecast()

            assert forecast is not None
            assert pytest.approx(expected.final_loss, rel=2e-3) == forecast.final_loss, name


def test_the_forecast_holds_the_end_of_a_healthy_run(law: CurveLaw) -> None:
    """Given at 30 %, in at least four of five seeds; and so does the promise before the start."""
    held = [0, 0]
    for seed in range(5):
        losses = noisy(TRUE.losses(PLAN, SIZE), 0.01, seed)
        monitor = Monitor(planned(PLAN), law)
        watch(monitor, log_of(losses))
        verdict = monitor.verdict()
        for n, progress in enumerate((0.0, 0.3)):
            given_then = verdict.at(progress)
            assert given_then is not None
            assert verdict.final_loss is not None
            held[n] += given_then.low <= verdict.final_loss <= given_then.high

    assert min(held) >= 4


# --- construction ---------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [None, "run", {"name": "run"}, Run])
def test_what_is_no_run_is_refused(run: Any) -> None:
    """At once, with what was expected."""
    with pytest.raises(ConfigError, match=r"`run` must be a scalewatch\.Run"):
        Monitor(run)


@pytest.mark.parametrize("law", ["ladder.law.json", {}, CurveLaw])
def test_what_is_no_law_is_refused(law: Any) -> None:
    """A path is a likely slip: the message says what returns a law."""
    with pytest.raises(ConfigError, match="as fit_curves or load_law return it"):
        Monitor(planned(PLAN), law)


# --- milestones -----------------------------------------------------------------------------------


def test_a_forecast_is_kept_before_the_start_and_at_each_tenth(law: CurveLaw) -> None:
    """Eleven? Ten: before the start and at 10 % to 90 %; at the end it is no forecast any more."""
    monitor = Monitor(planned(PLAN), law)
    watch(monitor, log_of())
    milestones = monitor.verdict().milestones

    assert [n / 10 for n in range(10)] == [m.progress for m in milestones]
    assert [100 * n for n in range(10)] == [m.step for m in milestones]
    assert all(m.low < m.final_loss < m.high for m in milestones)


def test_without_a_law_the_first_forecast_kept_is_that_of_the_first_tenth() -> None:
    """Before the start there is none."""
    monitor = Monitor(planned(PLAN))
    watch(monitor, log_of())

    assert [n / 10 for n in range(1, 10)] == [m.progress for m in monitor.verdict().milestones]


def test_a_sparse_log_keeps_the_tenths_that_it_shows(law: CurveLaw) -> None:
    """A row every 350 steps: the forecasts at 30 % and 70 %, none of them twice."""
    monitor = Monitor(planned(PLAN), law)
    watch(monitor, log_of()[349::350])

    assert [0.0, 0.3, 0.7] == [m.progress for m in monitor.verdict().milestones]


@pytest.mark.parametrize("back_to", [-3, 0, 1, 295, 300, 301, 999])
def test_each_tenth_is_kept_once_also_when_the_run_goes_back(law: CurveLaw, back_to: int) -> None:
    """What was promised before the start stays; what was forecast later than the step is made again."""
    monitor = Monitor(planned(PLAN), law)
    watch(monitor, log_of())
    monitor.observe(Observation(back_to, 4.0))
    watch(monitor, log_of()[max(back_to, 0) :])

    assert [n / 10 for n in range(10)] == [m.progress for m in monitor.verdict().milestones]


def test_a_log_that_goes_on_beyond_its_plan_has_no_milestone_there(law: CurveLaw) -> None:
    """Past the planned end there is nothing to forecast."""
    monitor = Monitor(planned(PLAN), law)
    watch(monitor, log_of()[:250])
    watch(monitor, rows(np.full(50, 3.0), first=3 * TOTAL))

    assert [0.0, 0.1, 0.2] == [m.progress for m in monitor.verdict().milestones]


def test_a_broken_step_is_no_milestone(law: CurveLaw) -> None:
    """A row that claims to be far beyond the end registers nothing that is no part of the run."""
    monitor = Monitor(planned(PLAN), law)
    watch(monitor, log_of()[:250])
    monitor.observe(Observation(2**62, 3.0))
    watch(monitor, log_of()[250:])

    assert [n / 10 for n in range(10)] == [m.progress for m in monitor.verdict().milestones]


# --- the same again -------------------------------------------------------------------------------


def eventful() -> list[Observation]:
    """A log in which most things happen."""
    step = np.arange(1, TOTAL + 1)
    losses = CLEAN + np.where((step >= 300) & (step < 340), 1.5 * np.exp(-(step - 300) / 10.0), 0.0)
    losses = np.where(step % 111 == 60, 1.6 * losses, losses)
    losses = np.where((step >= 450) & (step < 454), math.nan, losses)
    losses = np.where(step > 800, losses * (1 + (step - 800) / 150.0), losses)
    log = log_of(losses, np.where(step > 700, 3 * PLAN, PLAN))
    return [*log[:600], *log[440:]]  # behind what was critical


EVENTFUL = eventful()


@pytest.mark.parametrize("with_law", [True, False])
def test_the_same_observations_give_the_same_findings(law: CurveLaw, with_law: bool) -> None:
    """Twice over a log in which most things happen: equal findings, states, forecasts and verdicts."""
    one, other = (Monitor(planned(PLAN), law if with_law else None) for _ in range(2))
    found = watch(one, EVENTFUL)

    assert found == watch(other, EVENTFUL)
    assert {Kind.BAD_BATCH, Kind.SPIKE, Kind.NONFINITE, Kind.REWOUND, Kind.OFF_PLAN, Kind.DIVERGENCE} <= set(
        kinds(found)
    )
    assert json.dumps(one.state_dict()) == json.dumps(other.state_dict())
    assert one.verdict().rows() == other.verdict().rows()
    assert one.advice() == other.advice()


def test_asking_changes_nothing(law: CurveLaw) -> None:
    """A monitor that is asked for everything after each row finds what one that is never asked finds."""
    asked, silent = Monitor(planned(PLAN), law), Monitor(planned(PLAN), law)
    found = []
    for n, row in enumerate(EVENTFUL):
        found += asked.observe(row)
        if n % 10 == 0:
            ask(asked)

    assert watch(silent, EVENTFUL) == found
    assert json.dumps(asked.state_dict()) == json.dumps(silent.state_dict())


RUNS = {"planned": planned(PLAN), "blind": Run("blind", TOTAL), "endless": Run("endless")}


@pytest.fixture(scope="module")
def uninterrupted(law: CurveLaw) -> dict[tuple[str, bool], tuple[Monitor, list[Finding]]]:
    """Each run watched from beginning to end, with a law and without, and what was found."""
    made = {
        (kind, with_law): Monitor(RUNS[kind], law if with_law else None) for kind in RUNS for with_law in (True, False)
    }
    return {key: (monitor, watch(monitor, EVENTFUL)) for key, monitor in made.items()}


@pytest.mark.parametrize("kind", RUNS)
@pytest.mark.parametrize("with_law", [True, False])
@settings(max_examples=6)
@given(cut=st.integers(0, len(EVENTFUL)))
def test_a_resumed_monitor_finds_what_an_uninterrupted_one_finds(
    law: CurveLaw,
    uninterrupted: dict[tuple[str, bool], tuple[Monitor, list[Finding]]],
    kind: str,
    with_law: bool,
    cut: int,
) -> None:
    """Through JSON at any step: findings, advice, forecasts and the state itself are bit for bit the same."""
    run = RUNS[kind]
    whole, expected = uninterrupted[kind, with_law]
    before, after = (Monitor(run, law if with_law else None) for _ in range(2))
    found = watch(before, EVENTFUL[:cut])
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    found += watch(after, EVENTFUL[cut:])

    assert expected == found
    assert json.dumps(whole.state_dict()) == json.dumps(after.state_dict())
    assert whole.verdict() == after.verdict()
    assert whole.advice() == after.advice()


# --- what a checkpoint holds ----------------------------------------------------------------------


def parts_of(value: Any, where: str = "") -> Iterable[tuple[str, Any]]:
    yield where, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in items:
        yield from parts_of(part, f"{where}/{name}")


def test_a_state_is_plain(law: CurveLaw) -> None:
    """Exactly ints, floats, strings, bools, None, lists and dicts by string: no numpy, no enum, no tuple."""
    monitor = Monitor(planned(PLAN), law)
    for n, row in enumerate(EVENTFUL):
        monitor.observe(row)
        if n % 100 == 0 or n == len(EVENTFUL) - 1:
            strange = {
                where: type(part)
                for where, part in parts_of(monitor.state_dict())
                if type(part) not in (int, float, str, bool, type(None), list, dict)
            }
            assert {} == strange


def test_a_state_loads_as_weights_only(law: CurveLaw, tmp_path: Any) -> None:
    """In a checkpoint it comes back through torch's safe loader (F32)."""
    run = planned(PLAN)
    monitor, resumed = Monitor(run, law), Monitor(run, law)
    watch(monitor, EVENTFUL)
    torch.save({"scalewatch": monitor.state_dict()}, tmp_path / "checkpoint.pt")
    resumed.load_state_dict(torch.load(tmp_path / "checkpoint.pt", weights_only=True)["scalewatch"])

    assert monitor.verdict() == resumed.verdict()


def test_a_state_is_the_monitors_own_copy() -> None:
    """Going on does not change a state that was taken, nor does changing the state change the monitor."""
    monitor = Monitor(planned(PLAN))
    watch(monitor, EVENTFUL[:300])
    state = monitor.state_dict()
    then = json.dumps(state)
    watch(monitor, EVENTFUL[300:600])

    assert then == json.dumps(state)


def test_a_state_is_small_and_does_not_grow_with_the_run(law: CurveLaw) -> None:
    """At most 64 KiB (F9), after 1e3 rows and after 15e3, with incidents all along."""
    plan = cosine(15_000)
    monitor = Monitor(planned(plan), law)
    sizes = []
    for row in rows(np.where(np.arange(15_000) % 500 == 400, 6.0, 3.0) + 0.01 * np.sin(np.arange(15_000.0)), plan):
        monitor.observe(row)
        if row.step in (1_000, 15_000):
            sizes.append(len(json.dumps(monitor.state_dict())))

    assert max(sizes) < 72 * 1024


NO_STATES: dict[str, Any] = {
    "none": None,
    "list": [1],
    "text": "state",
    "empty": {},
    "older": {"version": 0},
    "newer": {"version": 2},
    "only-a-version": {"version": 1},
    "weights": {"version": 1, "state_dict": {"weight": [1.0]}},
}


@pytest.mark.parametrize("state", NO_STATES.values(), ids=NO_STATES.keys())
def test_what_is_no_state_is_refused_and_changes_nothing(law: CurveLaw, state: Any) -> None:
    """One ConfigError in one line, and the monitor goes on as it was."""
    monitor = Monitor(planned(PLAN), law)
    watch(monitor, EVENTFUL[:320])
    before = json.dumps(monitor.state_dict())

    with pytest.raises(ConfigError, match="`state`") as refused:
        monitor.load_state_dict(state)

    assert 1 == len(str(refused.value).splitlines())
    assert before == json.dumps(monitor.state_dict())


HOSTILE_VALUES: tuple[Any, ...] = (None, "x", math.nan, math.inf, -math.inf, -1, 10**400, 1e308, [], {}, [None], True)


def replaced(value: Any, where: list[str], hostile: Any) -> Any:
    """A copy of a state with one part of it replaced."""
    if not where:
        return hostile
    name, rest = where[0], where[1:]
    if isinstance(value, dict):
        return {k: replaced(v, rest, hostile) if k == name else v for k, v in value.items()}
    return [replaced(v, rest, hostile) if n == int(name) else v for n, v in enumerate(value)]


@pytest.fixture(scope="module")
def good_state(law: CurveLaw) -> dict[str, Any]:
    """A state from the middle of an eventful log."""
    monitor = Monitor(planned(PLAN), law)
    watch(monitor, EVENTFUL[:320])
    return monitor.state_dict()


@settings(max_examples=40)
@given(data=st.data())
def test_a_hostile_state_is_refused_or_does_no_harm(
    law: CurveLaw, good_state: dict[str, Any], data: st.DataObject
) -> None:
    """One part replaced by what it cannot be: a ConfigError that changes nothing, or a monitor that never raises."""
    where = data.draw(st.sampled_from([where for where, _ in parts_of(good_state) if where]))
    state = replaced(good_state, where.split("/")[1:], data.draw(st.sampled_from(HOSTILE_VALUES)))
    monitor = Monitor(planned(PLAN), law)
    before = json.dumps(monitor.state_dict())
    refused = False
    try:
        monitor.load_state_dict(state)
    except ConfigError:
        refused = True

    assert not refused or before == json.dumps(monitor.state_dict())
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SCALEWATCH_STRICT")
        watch(monitor, EVENTFUL[320:370])
        ask(monitor)


# --- what a log may hold --------------------------------------------------------------------------

VALUES: tuple[Any, ...] = (
    *(math.nan, math.inf, -math.inf, -0.0, 0.0, -3.0, 5e-324, 1e308, -1e308, 1e30, 3, 10**400, True),
    *(None, "3.0", "nan", "many", b"3", 3 + 0j, [], [3.0], {}, object()),
    *(np.float32(3.0), np.float64("nan"), np.int64(3), np.array(3.0), np.array([3.0, 4.0]), np.array([])),
    *(torch.tensor(3.0), torch.tensor(math.nan), torch.tensor([1.0, 2.0]), torch.tensor(3.0, requires_grad=True)),
)
STEPS: tuple[Any, ...] = (
    *(0, -1, -(2**70), 2**53, 2**53 + 1, 2**62, 2**80, math.nan, math.inf, 3.7, "5", "x", None),
    *(np.int64(5), np.float64("nan"), torch.tensor(5), True, []),
)

values = st.one_of(st.sampled_from(VALUES), st.floats())
strange_rows = st.tuples(
    st.sampled_from(["repeat", "skip", "back", "over", "strange", "next"]), values, values, values, values
)


def ask(monitor: Monitor) -> None:
    """Ask for everything that can be asked for."""
    monitor.forecast()
    monitor.advice()
    monitor.verdict().rows()
    monitor.state_dict()


def tells_of_a_fault(monitor: Monitor, first: int) -> bool:
    """Whether a fault after 150 clean rows from step `first` on is paged, or a page of them is still open."""
    step = np.arange(200)
    losses = 3.0 * np.exp(0.01 * np.random.default_rng(1).standard_normal(200))
    losses = np.where(step >= 150, losses + 3.0, losses)
    found = [finding for row in rows(losses, first=first) for finding in monitor.observe(row)]
    still = [finding for finding in monitor.open_incidents if finding.step >= first]
    return bool(pages(still)) or any(finding.step >= first + 150 for finding in pages(found))


@settings(max_examples=30)
@given(st.lists(strange_rows, max_size=25), st.sampled_from(STEPS), st.booleans())
def test_no_value_and_no_order_raises_or_blinds(
    law: CurveLaw, odd: list[tuple[Any, ...]], strange: Any, has_plan: bool
) -> None:
    """Steps that repeat, skip, go back, start over or are none; values of any kind: a later fault is still paged."""
    monitor = Monitor(planned(PLAN) if has_plan else Run("blind", TOTAL), law if has_plan else None)
    step = 100
    watch(monitor, log_of()[:step])
    for order, loss, rate, norm, tokens in odd:
        step = {"repeat": step, "skip": step + 37, "back": step - 20, "over": 1}.get(order, step + 1)
        here = strange if order == "strange" else step
        monitor.observe(Observation(here, loss, rate, norm, tokens, loss))
    ask(monitor)

    assert tells_of_a_fault(monitor, 10_000)
    assert json.loads(json.dumps(monitor.state_dict()))


def test_one_nan_does_not_hide_what_comes_after() -> None:
    """A NaN at step 500 and a shift at 700: found within five steps of where it is found without the NaN (F11)."""
    shifted = with_fault(CLEAN, 700, lambda rest: 1.5 * rest)
    found = {}
    for name, losses in {"clean": shifted, "nan": np.where(np.arange(TOTAL) == 499, math.nan, shifted)}.items():
        said = watch(Monitor(planned(PLAN)), log_of(losses))
        found[name] = next(finding.step for finding in said if finding.pages and finding.step >= 700)

    assert found["nan"] <= found["clean"] + 5


def test_a_repeated_step_counts_once() -> None:
    """Each row four times over, as gradient accumulation may log it, gives what each row once gives."""
    once, often = Monitor(planned(PLAN)), Monitor(planned(PLAN))
    log = EVENTFUL[:590]

    assert watch(once, log) == watch(often, [row for row in log for _ in range(4)])
    assert json.dumps(once.state_dict()) == json.dumps(often.state_dict())


def test_a_validation_in_a_row_of_its_own_is_counted_like_any_finding() -> None:
    """Logged after the row of its step, as many programs do: one finding, in the verdict too."""
    monitor, found = Monitor(planned(PLAN)), []
    for row in log_of()[:300]:
        found += monitor.observe(row)
        if row.step % 100 == 0:
            found += monitor.observe(Observation(row.step, row.loss, validation_loss=math.nan))

    assert [Kind.VALIDATION, Kind.VALIDATION] == kinds(found)
    assert {Kind.VALIDATION: 1} == dict(monitor.verdict().incident_counts)


def test_a_run_without_an_end_is_watched_for_faults() -> None:
    """No forecast, no milestone; the loss now, and its incidents."""
    monitor = Monitor(Run("endless"))
    found = watch(monitor, EVENTFUL[:500])
    verdict = monitor.verdict()

    assert Kind.NONFINITE in kinds(found)
    assert monitor.forecast() is None
    assert () == verdict.milestones
    assert not verdict.finished
    assert verdict.last_loss is not None
    assert ("forecast", "none: the run has no planned end") in verdict.rows()


# --- faults of ours -------------------------------------------------------------------------------


class Broken(Exception):
    """A fault that only these tests have."""


def broken(*args: Any, **kwargs: Any) -> NoReturn:
    raise Broken("on purpose")


#: Each part of a monitor: what the warning calls it, and where to break it.
PARTS: dict[str, tuple[str, ...]] = {
    "forecast": ("_forecaster.observe", "_forecaster.forecast", "_forecaster.law_gap", "_off_law.update"),
    "learning-rate plan": ("_off_plan.update",),
    "detectors": ("_watch.observe",),
    "detector spike": ("_watch._detectors.detector spike._baseline",),
}


def break_it(monitor: Monitor, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner: Any = monitor
    *path, name = where.split(".")
    for part in path:
        owner = owner[part] if isinstance(owner, dict) else getattr(owner, part)
    monkeypatch.setattr(owner, name, broken)


@pytest.mark.parametrize(("part", "where"), [(part, where) for part, places in PARTS.items() for where in places])
def test_a_part_that_fails_is_told_once_and_the_others_go_on(
    law: CurveLaw, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, part: str, where: str
) -> None:
    """F1: no exception gets out of any call, one warning names the part, and the rest is as before."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    monitor, whole = Monitor(planned(PLAN), law), Monitor(planned(PLAN), law)
    watch(monitor, log_of()[:50])
    watch(whole, log_of()[:50])
    break_it(monitor, where, monkeypatch)
    losses = with_fault(CLEAN, 700, lambda rest: np.full(len(rest), math.nan))
    log = log_of(losses, np.where(np.arange(1, TOTAL + 1) > 600, 3 * PLAN, PLAN))[50:800]
    found, expected = watch(monitor, log), watch(whole, log)
    ask(monitor)

    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert 1 == len(warned)
    assert f"'{part}'" in warned[0]
    silent = {"learning-rate plan": {Kind.OFF_PLAN}, "detectors": set(Kind)}.get(part, set())
    assert [finding for finding in expected if finding.kind not in silent] == found


def test_a_forecaster_that_cannot_be_built_leaves_the_detectors(
    law: CurveLaw, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No forecast is no reason not to see a NaN."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    monkeypatch.setattr("scalewatch.monitor.Forecaster", broken)
    monitor = Monitor(planned(PLAN), law)
    found = watch(monitor, EVENTFUL[:500])

    assert 1 == len(caplog.records)
    assert Kind.NONFINITE in kinds(found)
    assert monitor.forecast() is None
    assert monitor.expected_at(500) is None
    assert "health" in dict(monitor.verdict().rows())
    resumed = Monitor(planned(PLAN), law)
    resumed.load_state_dict(monitor.state_dict())


@pytest.mark.parametrize("passing", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_fault_of_ours_passes_through_the_monitor(
    monkeypatch: pytest.MonkeyPatch, passing: type[BaseException]
) -> None:
    """F2: Ctrl-C inside a detector is Ctrl-C."""
    monkeypatch.delenv("SCALEWATCH_STRICT")

    def interrupt(*_: Any) -> NoReturn:
        raise passing

    monkeypatch.setattr(Spike, "observe", interrupt)
    monitor = Monitor(planned(PLAN))

    with pytest.raises(passing):
        monitor.observe(log_of()[0])


# --- cost -----------------------------------------------------------------------------------------


def test_memory_is_flat(law: CurveLaw) -> None:
    """After the first rows, some thousands more, incidents included, add next to nothing."""
    plan = cosine(12_000)
    losses = np.where(np.arange(12_000) % 500 == 400, 6.0, 3.0) * np.exp(
        0.01 * np.random.default_rng(0).standard_normal(12_000)
    )
    log = rows(losses, plan)
    monitor = Monitor(planned(plan), law)
    watch(monitor, log[:6_000])
    tracemalloc.start()
    watch(monitor, log[6_000:8_500])
    first, _ = tracemalloc.get_traced_memory()
    watch(monitor, log[8_500:11_000])
    last, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert last - first < 128 * 1024


def test_a_late_row_costs_what_an_early_one_costs() -> None:
    """Row 20,000 is as quick as row 5,000, within what a busy machine allows."""
    plan = cosine(25_000)
    losses = 3.0 * np.exp(0.01 * np.random.default_rng(0).standard_normal(25_000))
    log = rows(losses, plan)
    monitor = Monitor(planned(plan))
    watch(monitor, log[:5_000])

    def microseconds(first: int) -> float:
        best = math.inf
        for part in range(5):
            began = time.process_time()
            watch(monitor, log[first + 200 * part : first + 200 * (part + 1)])
            best = min(best, time.process_time() - began)
        return best / 200 * 1e6

    early = microseconds(5_000)
    watch(monitor, log[6_000:20_000])

    assert microseconds(20_000) < 3 * early


class Percent(float):
    """A float of somebody else's kind."""


@pytest.mark.parametrize("kind", [float, Decimal, Percent, np.float16, np.float32, np.longdouble, np.array])
def test_a_number_is_a_number_whatever_its_type(kind: Callable[[float], Any]) -> None:
    """A Decimal from a parser or a subclass of float is no missing loss."""
    monitor = Monitor(Run("typed", total_steps=400))
    for step in range(1, 401):
        monitor.observe(Observation(step, kind(3.0 - step / 400 + step % 7 / 100)))

    assert State.OVER is monitor.status.state


@pytest.mark.parametrize("total", [None, 10, 400])
@pytest.mark.parametrize("odd", [3.0, math.nan, math.inf, -4.0, 1e308, None])
def test_a_state_is_strict_json_at_every_age(total: int | None, odd: Any) -> None:
    """Fresh, after a few rows and at the end, whatever came: JSON has no NaN, and other programs read it."""
    monitor = Monitor(Run("strict", total_steps=total))
    for step in range(401):
        if step:
            monitor.observe(Observation(step, odd if step % 7 == 0 or step > 380 else 3.0 - step / 400))
        if step in (0, 1, 2, 9, 100, 400):
            written = json.dumps(monitor.state_dict(), allow_nan=False)
            Monitor(Run("strict", total_steps=total)).load_state_dict(json.loads(written))
