"""Where a jump is: metrics of one answer, and verdicts on made ladders whose truth is known."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalewatch.errors import ConfigError, FitError
from scalewatch.laws.emergence import (
    EmergenceEvidence,
    EmergenceVerdict,
    answer_probability,
    edit_distance,
    exact_match,
    judge_emergence,
    resolution,
)

ITEMS, TOKENS = 500, 10.0


def ladder(truth: str, seed: int, models: int = 12, items: int = ITEMS) -> EmergenceEvidence:
    """The verdict on a made ladder: the loss falls by a power of scale, with 2 % scatter.

    truth "metric": exact match of ten tokens; "model": the loss also falls by two thirds half way; "linear": one
    token; "scoring": answers are found only from half way on, whatever the loss.
    """
    generator = np.random.default_rng(seed)
    scale = np.geomspace(1e20, 1e24, models)
    late = np.arange(models) >= models // 2
    loss = 2.0 * (scale / 1e20) ** -0.3 * np.where(late & (truth == "model"), 0.35, 1.0)
    loss = loss * np.exp(0.02 * generator.standard_normal(models))
    tokens = 1.0 if truth == "linear" else TOKENS
    accuracy = np.exp(-loss * tokens)
    if truth == "scoring":
        accuracy = np.where(late, np.clip(accuracy + 0.6, 0, 1), 0.0)
    measured = generator.binomial(items, accuracy) / items
    return judge_emergence(scale, measured, loss, items=items, answer_tokens=tokens)


@pytest.mark.parametrize(
    ("truth", "verdict"),
    [
        ("metric", EmergenceVerdict.METRIC),
        ("model", EmergenceVerdict.MODEL),
        ("linear", EmergenceVerdict.NO_JUMP),
        ("scoring", EmergenceVerdict.NEITHER),
    ],
)
def test_the_verdict_is_the_truth_in_nine_of_ten_ladders(truth: str, verdict: EmergenceVerdict) -> None:
    """Twenty ladders of each truth, sizes of 8 and 12 models."""
    found = Counter(ladder(truth, seed, models).verdict for seed in range(10) for models in (8, 12))

    assert found[verdict] >= 17


def test_a_jump_of_the_metric_is_not_called_one_of_the_model() -> None:
    """Nor the other way round: the two mistakes that matter, over forty ladders each."""
    metric = {ladder("metric", seed).verdict for seed in range(40)}
    model = {ladder("model", seed).verdict for seed in range(40)}

    assert EmergenceVerdict.MODEL not in metric
    assert EmergenceVerdict.METRIC not in model


def test_the_evidence_says_where_and_how_much() -> None:
    """A step of the proxy of ln(.35), within the range named, and an explained share below a half."""
    found = ladder("model", 0)

    assert np.log(0.35) == pytest.approx(found.proxy.step, abs=3 * found.proxy.step_sd)
    assert found.jump.start < 1e22 < found.jump.end
    assert found.explained < 0.5
    assert TOKENS == pytest.approx(found.answer_tokens, rel=0.1)


def test_a_test_of_few_items_cannot_see_a_small_ability() -> None:
    """Twenty items resolve 5 %: most models lie below it, and the note says to read the proxy."""
    found = ladder("metric", 0, items=20)

    assert 0.05 == found.resolution
    assert found.unresolved >= 6
    assert "read their proxy" in found.notes[0]


def test_nothing_that_rises_is_undecided() -> None:
    """All zeros: no jump to explain, and no claim that there is none."""
    scale = np.geomspace(1, 1e3, 8)
    found = judge_emergence(scale, np.zeros(8), 3.0 * scale**-0.1, items=100, answer_tokens=20)

    assert EmergenceVerdict.UNDECIDED is found.verdict


def test_an_answer_that_behaves_as_a_shorter_one_is_noted() -> None:
    """Tokens that err together act as fewer."""
    scale = np.geomspace(1e20, 1e24, 10)
    loss = 2.0 * (scale / 1e20) ** -0.3
    found = judge_emergence(scale, np.exp(-5 * loss), loss, items=10_000, answer_tokens=15)

    assert 5.0 == pytest.approx(found.answer_tokens, rel=0.05)
    assert any("not independent" in note for note in found.notes)


def test_order_and_unit_of_the_scale_do_not_matter() -> None:
    """Shuffled models, compute in other units: the same verdict and step."""
    scale = np.geomspace(1e20, 1e24, 10)
    loss = 2.0 * (scale / 1e20) ** -0.3
    accuracy = np.exp(-10 * loss)
    mixed = np.random.default_rng(0).permutation(10)
    one = judge_emergence(scale, accuracy, loss, items=500, answer_tokens=10)
    other = judge_emergence(scale[mixed] / 8.64e19, accuracy[mixed], loss[mixed], items=500, answer_tokens=10)

    assert (one.verdict, one.jump.gain) == (other.verdict, pytest.approx(other.jump.gain))
    assert one.jump.sharpness == pytest.approx(other.jump.sharpness)


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(1, 100))
def test_metrics_rise_and_fall_with_the_probability(p: float, q: float, tokens: float) -> None:
    """Exact match rises, edit distance falls, and one token is the probability itself."""
    low, high = sorted((p, q))

    assert exact_match(low, tokens) <= exact_match(high, tokens)
    assert edit_distance(low, tokens) >= edit_distance(high, tokens)
    assert p == pytest.approx(exact_match(p, 1.0))


def test_a_loss_is_a_probability() -> None:
    """p = exp(-L), and a test of n items sees 1 / n."""
    assert 0.5 == pytest.approx(answer_probability(np.log(2.0)))
    assert 0.01 == resolution(100)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"accuracy": np.full(8, 50.0)}, "percentage"),
        ({"proxy_loss": np.zeros(8)}, "positive"),
        ({"scale": np.ones(8)}, "different scale"),
        ({"scale": np.arange(1.0, 9.0)[:5]}, "one shape"),
        ({"chance": 1.0}, "chance"),
    ],
)
def test_ladders_that_cannot_be_judged_are_refused(change: dict[str, object], says: str) -> None:
    """Percentages, no loss, one scale, other shapes, guessing that is always right."""
    given_ = {"scale": np.arange(1.0, 9.0), "accuracy": np.linspace(0, 1, 8), "proxy_loss": np.linspace(2, 1, 8)}
    with pytest.raises(FitError, match=says):
        judge_emergence(**{**given_, "items": 100, "answer_tokens": 5, **change})  # type: ignore[arg-type]


def test_five_models_are_too_few() -> None:
    """The message says how many it takes."""
    with pytest.raises(FitError, match="6 models"):
        judge_emergence(np.arange(1.0, 6.0), np.linspace(0, 1, 5), np.linspace(2, 1, 5), items=10, answer_tokens=5)


def test_numbers_that_are_no_probability_are_refused() -> None:
    """Above one, below zero, an answer of no tokens, a test of no items."""
    with pytest.raises(ConfigError):
        exact_match(1.5, 3)
    with pytest.raises(ConfigError):
        edit_distance(0.5, 0)
    with pytest.raises(ConfigError):
        answer_probability(-1.0)
    with pytest.raises(ConfigError):
        resolution(0)
