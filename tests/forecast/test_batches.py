"""Batches that grow in mid-run: the noise that a larger one takes away is not taken for a fall that goes on."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scalewatch import Forecast, Monitor, Observation, Run
from scalewatch.forecast.batches import Batches
from tests.synthetic import Floats, TrueLaw, cosine, noisy

TOTAL, FIRST = 2_000, 5e4
PLAN = cosine(TOTAL)


def grown(at: int, times: float) -> tuple[Floats, Floats]:
    """Losses and tokens of a run whose batch is larger from a step on: as if the rate were lower by so much."""
    size = np.where(np.arange(TOTAL) < at, 1.0, times)
    as_rate, walk = TrueLaw().losses(PLAN / size, 8e6), TrueLaw().losses(PLAN, 8e6)
    gained = np.minimum(as_rate - walk, 0.0) if times > 1.0 else np.zeros(TOTAL)
    return noisy(walk + gained, 0.01, 1), np.cumsum(FIRST * size)


def told(losses: Floats, until: int, tokens: Floats | None) -> tuple[Monitor, Forecast]:
    monitor = Monitor(Run("ramp", TOTAL, PLAN, tokens_per_step=FIRST))
    for step in range(1, until + 1):
        so_far = None if tokens is None else float(tokens[step - 1])
        monitor.observe(Observation(step, float(losses[step - 1]), float(PLAN[step - 1]), tokens=so_far))
    made = monitor.forecast()
    assert made is not None
    return monitor, made


def test_a_larger_batch_is_told_with_what_is_taken_of_it() -> None:
    losses, tokens = grown(600, 4.0)
    _, made = told(losses, 1_000, tokens)

    assert any("a batch has 4 times the tokens of the first" in note for note in made.notes)
    assert not any("batch" in note for note in told(losses, 500, tokens)[1].notes)


def test_batches_of_texts_of_any_length_are_one_size() -> None:
    """Tokens of a step that differ by half from row to row."""
    rng = np.random.default_rng(0)
    losses = noisy(TrueLaw().losses(PLAN, 8e6), 0.01, 1)
    _, made = told(losses, 1_500, np.cumsum(FIRST * rng.uniform(0.5, 1.5, TOTAL)))
    plain = told(losses, 1_500, None)[1]

    assert (made.final_loss, made.notes) == (plain.final_loss, plain.notes)


@pytest.mark.parametrize("steps", [150, 300, 1_000])
def test_texts_of_a_short_run_may_differ_in_length_as_they_like(steps: int) -> None:
    """Five runs of fine-tuning, tokens of a step that scatter by a third: none is told to have other batches."""
    told = 0
    for seed in range(5):
        batches = Batches(steps)
        so_far = np.cumsum(FIRST * np.exp(0.33 * np.random.default_rng(seed).standard_normal(steps)))
        told += sum(batches.see(step, float(so_far[step - 1])) for step in range(1, steps + 1))

    assert told == 0


@pytest.mark.parametrize("steps", [300, 2_000])
def test_a_batch_that_grows_little_by_little_is_told(steps: int) -> None:
    """Ten times by an eighth, over the first half of the run."""
    batches = Batches(steps)
    grown_by = 1.12 ** np.minimum(np.arange(steps) // (steps // 20), 10)
    for step, so_far in enumerate(np.cumsum(FIRST * grown_by), 1):
        batches.see(step, float(so_far))

    assert batches.over_first([steps])[0] == pytest.approx(1.12**10, rel=0.25)


@pytest.mark.parametrize("times", [2.0, 8.0, 0.25])
@pytest.mark.parametrize(("begins", "ends"), [(0.0, 0.3), (0.2, 0.6), (0.0, 1.0)])
def test_a_batch_that_grows_smoothly_is_followed(times: float, begins: float, ends: float) -> None:
    """From the first step on too: what is told last is the size of the end, within an eighth."""
    batches, way = Batches(2_000), np.clip((np.arange(2_000) / 2_000 - begins) / (ends - begins), 0.0, 1.0)
    sizes = FIRST * (1.0 + (times - 1.0) * way) * np.exp(0.05 * np.random.default_rng(0).standard_normal(2_000))
    for step, so_far in enumerate(np.cumsum(sizes), 1):
        batches.see(step, float(so_far))

    assert batches.over_first([2_000])[0] == pytest.approx(times, rel=0.12)


def test_after_a_larger_batch_less_is_expected_of_the_decay_to_come() -> None:
    """The same losses, with the tokens and without: half of the noise that a decay would take is gone."""
    losses = noisy(TrueLaw().losses(PLAN, 8e6), 0.01, 1)
    _, tokens = grown(800, 4.0)
    with_tokens, without = told(losses, 1_000, tokens)[1], told(losses, 1_000, None)[1]

    assert with_tokens.final_loss > without.final_loss


def test_a_resumed_run_knows_its_batches() -> None:
    losses, tokens = grown(600, 4.0)
    monitor, made = told(losses, 1_000, tokens)
    resumed = Monitor(Run("ramp", TOTAL, PLAN, tokens_per_step=FIRST))
    resumed.load_state_dict(monitor.state_dict())
    again = resumed.forecast()
    assert again is not None

    assert again.final_loss == pytest.approx(made.final_loss, rel=1e-12)
    assert again.notes == made.notes


@pytest.mark.parametrize(
    "odd", ["4e6", "many", [], {}, object(), np.array([1.0, 2.0]), 10**400, 3 + 0j], ids=lambda odd: type(odd).__name__
)
def test_tokens_that_are_no_number_are_no_tokens(odd: object) -> None:
    """They switch off nothing: the forecast is made all the same."""
    losses, tokens = grown(TOTAL, 1.0)
    monitor, _ = told(losses, 400, tokens)

    monitor.observe(Observation(401, float(losses[400]), float(PLAN[400]), tokens=odd))  # type: ignore[arg-type]

    assert monitor.forecast() is not None
    assert {} == monitor.guard.failed


@pytest.mark.parametrize("at", [300, 600, 606, 615, 900])
def test_a_run_that_is_killed_and_resumed_tells_its_batches_as_if_it_had_not_been(at: int) -> None:
    """Before its batch grew, with the step from which on it is larger, and while that is being seen."""
    losses, tokens = grown(600, 4.0)
    resumed, (whole, made) = Monitor(Run("ramp", TOTAL, PLAN, tokens_per_step=FIRST)), told(losses, 1_000, tokens)
    resumed.load_state_dict(json.loads(json.dumps(told(losses, at, tokens)[0].state_dict())))
    for step in range(at + 1, 1_001):
        row = Observation(step, float(losses[step - 1]), float(PLAN[step - 1]), tokens=float(tokens[step - 1]))
        resumed.observe(row)
    again = resumed.forecast()
    assert again is not None

    assert resumed.state_dict() == whole.state_dict()
    assert (again.interval(), again.notes) == (made.interval(), made.notes)
