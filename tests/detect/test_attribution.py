"""Why an incident happened, as far as the numbers of its log carry."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from scalewatch.detect import DetectorSet
from scalewatch.finding import Finding, Kind, Phase
from scalewatch.guard import Guard
from scalewatch.observation import Observation
from scalewatch.run import Run

Follow = Callable[..., list[Finding]]
Curve = Callable[..., NDArray[np.float64]]

ROWS = 1300
T = np.arange(1, ROWS + 1)


def spiked(curve: Curve, rows: int = 30) -> NDArray[np.float64]:
    """The clean curve with a spike of .8 nats from step 1001 on."""
    loss = curve(ROWS)
    loss[1000 : 1000 + rows] += 0.8
    return loss


def norms() -> NDArray[np.float64]:
    scatter: NDArray[np.float64] = 0.5 * np.exp(0.1 * np.random.default_rng(0).standard_normal(ROWS))
    return scatter


def causes(found: list[Finding], *kinds: Kind) -> list[tuple[str, str]]:
    """Cause and grade of what opened, was escalated or closed, of these kinds."""
    return [(str(f.evidence["cause"]), str(f.evidence["cause_grade"])) for f in found if f.kind in kinds]


def test_a_spike_that_nothing_explains_is_of_unknown_cause(follow: Follow, curve: Curve) -> None:
    """And the sentence says what the log lacks."""
    found = follow(spiked(curve))

    assert {("unknown", "")} == set(causes(found, Kind.SPIKE))
    assert "no gradient norm and no learning rate" in str(found[0].evidence["cause_reason"])


def test_calm_norms_and_a_calm_rate_explain_nothing(follow: Follow, curve: Curve) -> None:
    """A gradient norm that rises together with the loss is no sign of what came first."""
    together = norms()
    together[1000:1030] *= 4.0

    found = follow(spiked(curve), norms=together, rates=np.full(ROWS, 1e-3))

    assert {("unknown", "")} == set(causes(found, Kind.SPIKE))


@pytest.mark.parametrize("planned", [True, False])
def test_a_rate_above_its_plan_or_above_all_before_is_the_cause(follow: Follow, curve: Curve, planned: bool) -> None:
    """Grade A: it is measured."""
    rates = np.where(T > 990, 2e-2, 1e-3)

    found = follow(spiked(curve), rates=rates, plan=np.full(ROWS, 1e-3) if planned else None)

    assert {("learning_rate_too_high", "A")} == set(causes(found, Kind.SPIKE))
    assert "20 times" in str(found[0].evidence["cause_reason"])


def test_a_gradient_norm_that_rises_before_the_loss_points_to_the_rate(follow: Follow, curve: Curve) -> None:
    """Five steps before, and the sentence says so; the closing finding keeps the cause."""
    before = norms()
    before[995:1010] *= 5.0

    found = [f for f in follow(spiked(curve), norms=before, rates=np.full(ROWS, 1e-3)) if f.kind is Kind.SPIKE]

    assert [Phase.OPENED, Phase.CLOSED] == [f.phase for f in found]
    assert {"learning_rate_too_high"} == {cause for cause, _ in causes(found, Kind.SPIKE)}
    assert "up 5 steps before the loss" in str(found[1].evidence["cause_reason"])


def test_a_spike_soon_after_the_warm_up_points_to_the_rate(follow: Follow, curve: Curve) -> None:
    """A hint only; long after it there is none."""
    long, short = np.minimum(T / 900, 1.0), np.minimum(T / 100, 1.0)

    assert {("learning_rate_too_high", "C")} == set(causes(follow(spiked(curve), rates=1e-3 * long), Kind.SPIKE))
    assert {("unknown", "")} == set(causes(follow(spiked(curve), rates=1e-3 * short), Kind.SPIKE))


@pytest.mark.parametrize(("after", "cause"), [(20, "optimizer_state_lost"), (400, "unknown")])
def test_a_rise_right_after_a_resume_is_a_lost_optimizer_state(
    follow: Follow, curve: Curve, after: int, cause: str
) -> None:
    """The loss is right at first, so the weights are, and then it rises; much later it is something else."""
    watch, loss = DetectorSet(Run("test"), Guard()), curve(2000)
    follow(loss, watch=watch)
    again = loss[1499:].copy()
    again[after : after + 60] += 0.6

    found = follow(again, steps=range(1500, 2001), watch=watch)

    assert {cause} == {told for told, _ in causes(found, Kind.SPIKE, Kind.DIVERGENCE)}


def test_infinite_gradients_before_a_nan_are_an_overflow(follow: Follow, curve: Curve) -> None:
    """One alone is not enough, for loss scaling makes it on purpose."""
    loss, often, once = curve(ROWS), norms(), norms()
    loss[1000:] = math.nan
    often[[990, 994, 996, 999]] = once[999] = math.inf

    lost = [f for f in follow(loss, norms=often) if f.pages]
    plain = [f for f in follow(loss, norms=once) if f.pages]

    assert ("fp16_overflow", "B") == causes(lost[:1], Kind.NONFINITE)[0]
    assert ("unknown", "") == causes(plain[:1], Kind.NONFINITE)[0]


def test_a_nan_at_the_end_of_a_divergence_has_its_cause(follow: Follow, curve: Curve) -> None:
    """The rate was above its plan when the loss began to rise, and is back on it when the loss is lost."""
    loss = curve(ROWS) + np.where(T > 1000, 0.02 * (T - 1000), 0.0)
    loss[1100:] = math.nan
    rates = np.where((T > 990) & (T < 1050), 2e-2, 1e-3)

    lost = [f for f in follow(loss, rates=rates, plan=np.full(ROWS, 1e-3)) if f.kind is Kind.NONFINITE and f.pages]

    assert [("learning_rate_too_high", "A")] == causes(lost, Kind.NONFINITE)
    assert "before it: the learning rate" in str(lost[0].evidence["cause_reason"])


def test_one_high_row_is_a_bad_batch(follow: Follow, curve: Curve) -> None:
    """Better known where the gradient norm was calm before it."""
    loss = spiked(curve, rows=1)

    assert [("bad_batch", "B")] == causes(follow(loss), Kind.BAD_BATCH)
    assert [("bad_batch", "A")] == causes(follow(loss, norms=norms()), Kind.BAD_BATCH)


def test_one_rank_that_is_not_finite_is_hardware(follow: Follow, curve: Curve) -> None:
    """Named by its number; where all ranks are lost it is not."""
    loss = curve(ROWS)
    loss[1000:] = math.nan
    one = dict.fromkeys(range(1001, ROWS + 1), (3.1, 3.2, math.nan, 3.0))
    all_of_them = dict.fromkeys(range(1001, ROWS + 1), (math.nan,) * 4)

    found = follow(loss, ranks=one)

    assert "hardware" == causes(found, Kind.NONFINITE)[0][0]
    assert "rank 2 alone" in str(found[0].evidence["cause_reason"])
    assert "unknown" == causes(follow(loss, ranks=all_of_them), Kind.NONFINITE)[0][0]


def test_the_same_rank_far_off_in_each_row_is_hardware(follow: Follow, curve: Curve) -> None:
    """Once is a bad batch of that rank."""
    loss, single = spiked(curve), spiked(curve, rows=1)
    ranks = dict.fromkeys(range(1001, 1031), (3.1, 3.2, 3.15, 6.2))

    assert ("hardware", "B") == causes(follow(loss, ranks=ranks), Kind.SPIKE)[0]
    assert [("bad_batch", "B")] == causes(follow(single, ranks={1001: ranks[1001]}), Kind.BAD_BATCH)


def test_an_open_incident_carries_its_cause(follow: Follow, curve: Curve) -> None:
    """So that advice can use it, also after the state was saved."""
    watch, loaded = DetectorSet(Run("test"), Guard()), DetectorSet(Run("test"), Guard())
    follow(spiked(curve)[:1010], rates=np.where(T > 990, 2e-2, 1e-3)[:1010], watch=watch)

    loaded.load_state_dict(watch.state_dict())

    assert ["learning_rate_too_high"] == [f.evidence["cause"] for f in loaded.open_incidents if f.pages]


@pytest.mark.parametrize(("logit", "cause"), [(5_000.0, "learning_rate_too_high"), (8.0, "unknown")])
def test_an_attention_logit_that_grew_before_the_spike_is_named(curve: Curve, logit: float, cause: str) -> None:
    """What was measured inside the model before the loss rose is part of the reason."""
    watch, found, loss = DetectorSet(Run("test"), Guard()), [], spiked(curve)
    onset = 1001
    for step, value in enumerate(loss.tolist(), start=1):
        inside = {"attention_logit": logit if onset - 40 <= step < onset else 8.0} if step % 8 == 0 else None
        found += watch.observe(Observation(step, value, precursors=inside))

    opened = next(f for f in found if f.kind is Kind.SPIKE)
    assert cause == opened.evidence["cause"]
    assert ("attention_logit" in str(opened.evidence["cause_reason"])) == (cause != "unknown")
