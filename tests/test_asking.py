"""Whoever asks a monitor, however often: what it finds, registers, advises and keeps is as if nobody had asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalewatch import Monitor, Observation, Run
from scalewatch.laws import CurveLaw
from tests.synthetic import PEAK, TOKENS_PER_STEP, TrueLaw, constant, cosine, fitted, noisy

TOTAL = 240
SIZE = 8e6
LAW = fitted()


@dataclass(frozen=True)
class Trouble:
    """What befalls a run: at which row, of which kind, for how many rows."""

    row: int
    kind: str
    rows: int


def refreshed(monitor: Monitor) -> None:
    refresh = monitor.refresh_in_background()
    if refresh is not None:
        refresh()


QUESTIONS: dict[str, Callable[[Monitor], object]] = {
    "forecast": lambda monitor: monitor.forecast(),
    "forecast later": lambda monitor: monitor.forecast_later()(),
    "advice": lambda monitor: monitor.advice(),
    "known advice": lambda monitor: monitor.advice(look=False),
    "refresh": refreshed,
    "verdict": lambda monitor: monitor.verdict().rows(),
    "expected": lambda monitor: monitor.expected_at(monitor.step + 1),
    "open incidents": lambda monitor: monitor.open_incidents,
    "state": lambda monitor: monitor.state_dict(),
    "drawn": lambda monitor: drawn(monitor),
}


def drawn(monitor: Monitor) -> object:
    made = monitor.forecast()
    return None if made is None else [part.tolist() for part in made.curve([0.9 * TOTAL])]


def log(troubles: Sequence[Trouble], seed: int) -> list[Observation]:
    """A run of `TOTAL` rows on a constant rate, and what befell it."""
    rates = constant(TOTAL)
    losses = noisy(TrueLaw().losses(rates, SIZE), 0.01, seed)
    found: list[Observation] = []
    step = 0
    for row in range(TOTAL):
        step += 1
        loss, rate = float(losses[min(step, TOTAL) - 1]), float(rates[min(step, TOTAL) - 1])
        for trouble in troubles:
            here = trouble.row <= row < trouble.row + trouble.rows
            loss *= {"spike": 2.0, "shift": 1.2}.get(trouble.kind, 1.0) if here else 1.0
            loss = float("nan") if here and trouble.kind == "nan" else loss
            # rates that fall while the spike is open
            rate *= 0.5 ** ((row - trouble.row) / 20) if here and trouble.kind in {"spike", "decay"} else 1.0
            if row == trouble.row and trouble.kind in {"rewind", "gap", "repeat"}:
                step = max(step + {"rewind": -trouble.rows, "gap": trouble.rows, "repeat": -1}[trouble.kind], 1)
        found.append(Observation(step, loss, rate))
    return found


def run_of(plan: str) -> Run:
    rates = {"as run": constant(TOTAL), "cosine": cosine(TOTAL), "none": None, "endless": None}[plan]
    total = None if plan == "endless" else TOTAL
    return Run("asked", total, rates, parameters=int(SIZE), tokens_per_step=TOKENS_PER_STEP)


def told(monitor: Monitor, found: Sequence[Any]) -> dict[str, Any]:
    """Everything that a monitor says at its end."""
    made = monitor.forecast()
    return {
        "findings": [repr(finding) for finding in found],
        "registered": list(monitor.verdict().milestones),
        "rows": monitor.verdict().rows(),
        "forecast": None if made is None else (made.final_loss, made.interval(0.8), made.notes),
        "advice": monitor.advice(),
        "state": json.dumps(monitor.state_dict()),
    }


troubles = st.builds(
    Trouble,
    row=st.integers(20, TOTAL - 20),
    kind=st.sampled_from(["spike", "shift", "nan", "decay", "rewind", "gap", "repeat"]),
    rows=st.integers(1, 90),
)
questions = st.tuples(st.integers(5, 40), st.sampled_from(sorted(QUESTIONS)))


@settings(max_examples=15, deadline=None)
@given(
    plan=st.sampled_from(["as run", "cosine", "none", "endless"]),
    law=st.sampled_from([None, LAW]),
    least_gain=st.sampled_from([None, 0.05]),
    befell=st.lists(troubles, max_size=3),
    asked=st.lists(questions, min_size=1, max_size=4),
    seed=st.integers(0, 3),
)
def test_asking_changes_nothing(
    plan: str,
    law: CurveLaw | None,
    least_gain: float | None,
    befell: list[Trouble],
    asked: list[tuple[int, str]],
    seed: int,
) -> None:
    """Findings, registered forecasts, advice and state are those of a monitor that nobody asked."""
    alone, other = (Monitor(run_of(plan), law, least_gain=least_gain) for _ in range(2))
    found: tuple[list[Any], list[Any]] = ([], [])
    for row, observation in enumerate(log(befell, seed)):
        found[0].extend(alone.observe(observation))
        found[1].extend(other.observe(observation))
        for every, question in asked:
            if row % every == 0:
                QUESTIONS[question](other)

    assert told(alone, found[0]) == told(other, found[1])


def test_forecasts_that_are_registered_while_rates_fall_do_not_hang_on_who_asked() -> None:
    """Without planned rates, through a spike that stays open: the curve stands still, and the rates do not."""
    rates = np.concatenate([np.full(400, PEAK), np.linspace(PEAK, 0.3 * PEAK, 600)])
    losses = noisy(TrueLaw().losses(rates, SIZE), 0.01, 3)
    losses[405:] *= 1.5
    asked, alone = (Monitor(Run("spiked", 1_000)) for _ in range(2))
    for step in range(1, 801):
        row = Observation(step, float(losses[step - 1]), float(rates[step - 1]))
        asked.observe(row)
        alone.observe(row)
        if step % 10 == 0 and step > 400:
            asked.forecast()

    assert [0.5, 0.6, 0.7, 0.8] == [each.progress for each in alone.verdict().milestones][-4:]
    assert alone.verdict().milestones == asked.verdict().milestones


def test_a_forecast_that_is_kept_stays_as_it_was_made() -> None:
    """Its curve too, though the rates that are shown later are others."""
    monitor = Monitor(Run("kept", 1_000))
    rates = np.concatenate([np.full(400, PEAK), np.linspace(PEAK, 0.1 * PEAK, 600)])
    losses = noisy(TrueLaw().losses(rates, SIZE), 0.01, 3)
    made, before = None, None
    for step in range(1, 801):
        monitor.observe(Observation(step, float(losses[step - 1]), float(rates[step - 1])))
        if step == 300:
            made = monitor.forecast()
            before = None if made is None else np.stack(made.curve([700.0, 1_000.0]))

    assert made is not None
    assert before is not None
    assert pytest.approx(before) == np.stack(made.curve([700.0, 1_000.0]))


def test_a_forecast_that_is_made_later_is_that_of_when_it_was_asked_for() -> None:
    """What came in between is not in it; what asks at the same row gets the same one."""
    monitor = Monitor(Run("later", 1_000))
    losses = noisy(TrueLaw().losses(constant(1_000), SIZE), 0.01, 3)
    for step in range(1, 501):
        monitor.observe(Observation(step, float(losses[step - 1]), PEAK))
    now, later, again = monitor.forecast(), monitor.forecast_later(), monitor.forecast_later()
    for step in range(501, 801):
        monitor.observe(Observation(step, float(losses[step - 1]), PEAK))
    made = later()

    assert now is not None
    assert made is not None
    assert (now.step, now.final_loss, now.interval(0.8)) == (made.step, made.final_loss, made.interval(0.8))
    assert again() is made


def test_a_forecast_that_is_first_read_at_the_end_is_the_one_that_was_given_on_the_way() -> None:
    """What came after a tenth is not in it: a run is held against what was known then."""
    late, early = (Monitor(Run("demo", 1_000)) for _ in range(2))
    steps = np.arange(1, 1_001)
    losses = 2.0 + 3.0 * steps**-0.4 + 0.01 * np.sin(steps)
    read = []
    for step, loss in zip(steps.tolist(), losses.tolist(), strict=True):
        late.observe(Observation(step, loss, 1e-3))
        early.observe(Observation(step, loss, 1e-3))
        if step % 100 == 0:
            read.append(early.verdict().milestones)

    assert read[-1] == late.verdict().milestones
    assert read[3] == late.verdict().milestones[: len(read[3])]
