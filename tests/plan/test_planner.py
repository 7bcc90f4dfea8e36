"""Plans: what they say, that they agree with themselves, and what they refuse."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar

from scalewatch.errors import ConfigError
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.inference import inference_optimum
from scalewatch.plain import to_plain
from scalewatch.plan import ChinchillaLossModel, Estimate, Plan, PlanRequest, loss_model_for, make_plan
from scalewatch.plan.hardware import Cluster, accelerator
from scalewatch.plan.loss_model import AbstractLossModel, estimate

LAW = Chinchilla.besiroglu()
BARE = ChinchillaLossModel(LAW, None, "bare", "none")


@pytest.fixture(scope="module")
def chinchilla() -> AbstractLossModel:
    """The default law with a few draws."""
    return loss_model_for("chinchilla", draws=100)


def plan(**asked: Any) -> Plan:
    """A plan of the law without errors, which is quick."""
    return make_plan(BARE, PlanRequest(**asked))


def test_a_budget_gives_the_closed_form(chinchilla: AbstractLossModel) -> None:
    """Size, tokens, loss, cost of twice the size and price of a gain, as `Chinchilla` has them."""
    made, best = make_plan(chinchilla, PlanRequest(flops=1e21)), LAW.optimum(1e21)
    twice = next(row for row in made.trade_offs.same_compute if row.factor == 2.0)
    expected = LAW.off_optimum(1e21, 2.0)

    assert pytest.approx(float(best.size.count), rel=1e-9) == made.best.parameters.value
    assert pytest.approx(float(best.tokens), rel=1e-9) == made.best.tokens.value
    assert pytest.approx(float(best.loss), rel=1e-9) == made.best.loss.value
    assert pytest.approx((expected.extra_nats, expected.wasted_share), rel=1e-6) == (
        twice.extra_nats.value,
        twice.wasted_share.value,
    )
    assert pytest.approx(LAW.price_of_gain(1e21), rel=1e-6) == made.price.flops.value


def test_every_derived_number_has_an_interval_that_holds_it(chinchilla: AbstractLossModel) -> None:
    """What was given has none."""
    made = make_plan(chinchilla, PlanRequest(flops=1e21))
    derived = [
        made.best.parameters,
        made.best.tokens,
        made.best.loss,
        made.price.share,
        made.trade_offs.same_compute[0].extra_nats,
    ]

    assert all(told.low is not None and told.low < told.value < (told.high or 0.0) for told in derived)
    assert (None, None) == (made.best.flops.low, made.best.flops.high)


def test_a_wider_level_is_a_wider_interval(chinchilla: AbstractLossModel) -> None:
    """At 95 % the ends lie outside of those at 50 %."""
    narrow, wide = (
        make_plan(chinchilla, PlanRequest(flops=1e21, level=level)).best.parameters for level in (0.5, 0.95)
    )

    assert wide.low < narrow.low < narrow.high < wide.high  # type: ignore[operator]


def test_the_four_ways_to_ask_for_one_run_agree() -> None:
    """Its budget, its size, its tokens or its loss: the same best run."""
    best = LAW.optimum(3e22)
    asked = [
        {"flops": 3e22},
        {"parameters": float(best.size.count)},
        {"tokens": float(best.tokens)},
        {"target_loss": float(best.loss)},
    ]

    sizes = [plan(**one).best.parameters.value for one in asked]

    assert pytest.approx([float(best.size.count)] * 4, rel=1e-6) == sizes


@pytest.mark.parametrize("pair", list(itertools.combinations(("flops", "parameters", "tokens", "target_loss"), 2)))
def test_two_sides_fix_the_same_run(pair: tuple[str, str]) -> None:
    """A 7B on 1T tokens, asked for by any two of its four sides but budget and loss, which have slack."""
    size, tokens = 7e9, 1e12
    loss = LAW.E + LAW.A * size**-LAW.alpha + LAW.B * tokens**-LAW.beta
    sides = {"parameters": size, "tokens": tokens, "flops": 6 * size * tokens, "target_loss": loss}

    made = plan(**{name: sides[name] for name in pair})

    if pair == ("flops", "target_loss"):
        assert made.own is None
        assert made.best.flops.value < sides["flops"]
        assert "of the budget" in made.notes[0]
        return
    assert made.own is not None
    assert pytest.approx((size, tokens, loss), rel=1e-6) == (
        made.own.point.parameters.value,
        made.own.point.tokens.value,
        made.own.point.loss.value,
    )


def test_a_run_off_the_best_size_says_what_it_costs() -> None:
    """Extra nats against the best of its compute, and the compute that the best would not need."""
    made = plan(flops=1e21, parameters=7e9)
    assert made.own is not None

    assert pytest.approx(made.own.point.loss.value - made.best.loss.value, abs=1e-9) == made.own.extra_nats.value
    needed = float(LAW.flops_for_loss(made.own.point.loss.value))
    assert pytest.approx(1 - needed / 1e21, rel=1e-6) == made.own.wasted_share.value


@settings(max_examples=15)
@given(st.floats(17.0, 26.0), st.floats(1.05, 10.0))
def test_more_compute_is_a_larger_model_on_more_tokens_to_a_lower_loss(log_flops: float, times: float) -> None:
    """Monotone in the budget, and the next gain is ever dearer."""
    less, more = (plan(flops=10**log_flops * factor) for factor in (1.0, times))

    assert less.best.parameters.value < more.best.parameters.value
    assert less.best.tokens.value < more.best.tokens.value
    assert less.best.loss.value > more.best.loss.value
    assert less.price.share.value < more.price.share.value


def test_the_farther_from_the_best_size_the_dearer() -> None:
    """On both sides, at the same compute and at the same loss."""
    made = plan(flops=1e22)
    nats = [row.extra_nats.value for row in made.trade_offs.same_compute]
    more = [row.extra_share.value for row in made.trade_offs.same_loss]
    best = [row.factor for row in made.trade_offs.same_compute].index(1.0)

    for costs in (nats, more):
        assert costs[: best + 1] == sorted(costs[: best + 1], reverse=True)
        assert costs[best:] == sorted(costs[best:])
    assert made.trade_offs.near_best[0] < made.best.parameters.value < made.trade_offs.near_best[1]


def test_other_sizes_keep_the_compute_or_the_loss() -> None:
    """6 N D is the budget in one table, L(N, D) the loss in the other."""
    made = plan(flops=1e22)

    assert pytest.approx([1e22] * 5) == [6 * row.parameters * row.tokens for row in made.trade_offs.same_compute]
    losses = [LAW.E + LAW.A * r.parameters**-LAW.alpha + LAW.B * r.tokens**-LAW.beta for r in made.trade_offs.same_loss]
    assert pytest.approx([made.best.loss.value] * 5) == losses


def test_the_rule_of_twenty_stands_beside_it() -> None:
    """It holds 20 tokens a parameter, spends the same compute, and is not better than the best."""
    made = plan(flops=1e23)
    rule = made.baselines[0]

    assert pytest.approx((20.0, 1e23)) == (rule.tokens_per_parameter, 6 * rule.parameters * rule.tokens)
    assert all(other.extra_nats.value >= 0 and other.loss >= made.best.loss.value for other in made.baselines)
    assert ["20", "Hoffmann", "Hoffmann", "Kaplan"] == [other.name.split()[0] for other in made.baselines]


def test_a_law_is_not_its_own_rival() -> None:
    """Besiroglu beside Hoffmann, and not beside itself."""
    names = {
        law: [r.name for r in make_plan(loss_model_for(law, 0), PlanRequest(flops=1e21)).baselines]
        for law in ("chinchilla", "hoffmann-tex")
    }

    assert not any("Besiroglu" in name for name in names["chinchilla"])
    assert any("Besiroglu" in name for name in names["hoffmann-tex"])
    assert not any("unrounded" in name for name in names["hoffmann-tex"])


def test_serving_makes_the_model_smaller_and_longer_trained(chinchilla: AbstractLossModel) -> None:
    """The optimum of Sardana et al. for the loss of the plan, with an interval."""
    made = make_plan(chinchilla, PlanRequest(flops=1e21, serve_tokens=1e12))
    assert made.deployment is not None
    expected = inference_optimum(LAW, float(LAW.frontier_loss(1e21)), 1e12)

    assert pytest.approx(float(expected.size.count), rel=1e-6) == made.deployment.parameters.value
    assert made.deployment.parameters.value < made.best.parameters.value < made.deployment.tokens.value
    assert made.deployment.tokens.low is not None
    assert 0 < made.deployment.saved_share.value < 1


def test_few_unique_tokens_cost_nats_and_many_cost_none() -> None:
    """Eight epochs of 10B tokens end above fresh data; a trillion tokens are as good as endless."""
    few, many = (plan(flops=1e21, unique_tokens=unique).repeats for unique in (1e10, 1e12))
    assert few is not None
    assert many is not None

    assert few.extra_nats.value > 0.02
    assert few.epochs.value > 4
    assert pytest.approx(0.0, abs=1e-6) == many.extra_nats.value
    assert pytest.approx(plan(flops=1e21).best.parameters.value, rel=1e-3) == many.parameters.value


def test_repeats_of_the_run_that_was_asked_for_are_counted() -> None:
    """1B on 40B tokens of 10B different ones ends above the same run on fresh data."""
    made = plan(parameters=1e9, tokens=4e10, unique_tokens=1e10)
    assert made.own is not None
    assert made.repeats is not None
    assert made.repeats.own_loss is not None

    assert made.repeats.own_loss.value > made.own.point.loss.value


@pytest.mark.parametrize(
    ("steps", "word"), [(100_000, "longer than the tokens"), (30_000, "ends before the tokens"), (60_000, None)]
)
def test_a_cosine_of_another_length_than_the_tokens_is_warned_of(steps: int, word: str | None) -> None:
    """60B tokens in steps of a million: 60,000 steps are right."""
    schedule = plan(flops=1e21, batch_tokens=1e6, schedule_steps=steps).schedule

    assert pytest.approx(59_985, rel=1e-3) == schedule.steps
    assert (word is None) == (schedule.warning is None)
    assert word is None or word in (schedule.warning or "")


def test_a_cosine_cut_short_says_what_rate_is_left() -> None:
    """Half of a cosine to a tenth leaves 55 % of the peak."""
    steps = plan(flops=1e21, batch_tokens=1e6).schedule.steps
    assert steps is not None

    schedule = plan(flops=1e21, batch_tokens=1e6, schedule_steps=2 * steps).schedule

    assert pytest.approx((0.5, 0.55)) == (schedule.done_share, schedule.rate_left)


def test_hours_on_hardware_are_a_budget_and_come_back_as_time() -> None:
    """100 hours on 8 H100 at 40 %: 1.14e21 FLOP, which take 100 hours."""
    made = plan(hours=100, cluster=Cluster(accelerator("H100"), devices=8, mfu=0.4))
    assert made.best.hours is not None

    assert pytest.approx(100 * 3600 * 8 * 989.4e12 * 0.4) == made.best.flops.value
    assert pytest.approx(100.0) == made.best.hours.value


def test_out_of_the_fitted_range_says_so() -> None:
    """Inside there is no note; at 1e26 FLOP sizes and tokens extrapolate far."""
    inside, outside = plan(flops=1e21).best.notes, plan(flops=1e26).best.notes

    assert () == inside
    assert 2 == len(outside)
    assert all("unreliable past 10x" in note for note in outside)


def test_a_target_near_the_floor_has_no_upper_end(chinchilla: AbstractLossModel) -> None:
    """Where a tenth of the draws never get there, the budget is known from below only."""
    flops = make_plan(chinchilla, PlanRequest(target_loss=1.84)).best.flops

    assert math.isinf(flops.high or 0.0)
    assert 0 < (flops.low or 0.0) < flops.value


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({}, "Nothing to plan"),
        ({"flops": -1.0}, "between 1e9 and 1e32"),
        ({"flops": math.nan}, "between 1e9 and 1e32"),
        ({"flops": 1e40}, "between 1e9 and 1e32"),
        ({"flops": 0.0}, "between 1e9 and 1e32"),
        ({"parameters": 0.5}, "between 1e3 and 1e18"),
        ({"tokens": 1e30}, "between 1e3 and 1e18"),
        ({"target_loss": 1e9}, "between 0.001 and 20"),
        ({"flops": "7e9"}, "between 1e9 and 1e32"),
        ({"flops": 1e21, "serve_tokens": 1e40}, "serve_tokens"),
        ({"hours": 1e-3, "cluster": Cluster(accelerator("l4"), mfu=1e-9)}, "come to"),
        ({"flops": 1e21, "hours": 3.0, "cluster": Cluster(accelerator("h100"))}, "both a budget"),
        ({"hours": 3.0}, "need a `cluster`"),
        ({"flops": 1e21, "batch_tokens": 1e12}, "at most the tokens of the run"),
        ({"flops": 1e21, "level": 1.0}, "level"),
        ({"flops": 1e21, "level": 0.999999}, "at most 0.99"),
        ({"flops": 1e21, "schedule_steps": 1000.0}, "batch_tokens"),
        ({"flops": 1e21, "parameters": 7e9, "tokens": 1e12}, "leave one of the three out"),
        ({"parameters": 7e9, "tokens": 1e12, "target_loss": 2.0}, "one too many"),
        ({"flops": 1e22, "parameters": 7e9, "target_loss": 2.3}, "one too many"),
        ({"target_loss": 1.8}, "irreducible"),
        ({"flops": 1e21, "target_loss": 2.0}, "it takes 2.47e"),
        ({"parameters": 1e9, "target_loss": 1.9}, "it takes more than 6.69e"),
        ({"tokens": 1e10, "target_loss": 1.9}, "it takes more than 1.08e"),
        ({"flops": 1e12, "parameters": 1e12}, "less than one of the tokens"),
        ({"flops": 1e9, "tokens": 1e18}, "less than one of the parameters"),
    ],
)
def test_a_question_without_an_answer_is_refused(asked: dict[str, Any], word: str) -> None:
    """In one line that says what to do."""
    with pytest.raises(ConfigError, match=word) as caught:
        plan(**asked)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("asked", ["serve_tokens", "unique_tokens"])
def test_kaplan_is_not_asked_what_he_cannot_say(asked: str) -> None:
    """Serving and repeats need Chinchilla's form."""
    with pytest.raises(ConfigError, match="Chinchilla's form"):
        make_plan(loss_model_for("kaplan"), PlanRequest(**{"flops": 1e20, asked: 1e10}))  # type: ignore[arg-type]


def test_kaplan_has_no_intervals_and_says_why() -> None:
    """No errors are published; his sizes are without embeddings."""
    made = make_plan(loss_model_for("kaplan"), PlanRequest(flops=1e20))

    assert made.best.parameters.low is None
    assert "no errors" in made.law.errors
    assert "non-embedding" == str(made.law.kind)


def test_a_plan_is_json() -> None:
    """Nothing that JSON lacks is in it, and the numbers are there."""
    made = make_plan(
        loss_model_for("chinchilla", 20), PlanRequest(target_loss=1.83, serve_tokens=1e12, unique_tokens=1e13)
    )

    record = json.loads(json.dumps(to_plain(made), allow_nan=False))

    assert made.best.parameters.value == record["best"]["parameters"]["value"]
    assert {field.name for field in dataclasses.fields(made)} == set(record)


def test_an_estimate_of_one_row_has_no_interval() -> None:
    """Nor has one whose rows agree."""
    assert Estimate(2.0) == estimate(np.array([2.0]), 0.8)
    assert Estimate(2.0) == estimate(np.array([2.0, 2.0, 2.0]), 0.8)


def test_what_was_given_has_no_interval_even_if_a_row_has_no_answer() -> None:
    """Rounding is no error, and one row in twenty is within the tails."""
    assert Estimate(2.0) == estimate(np.array([2.0, *[2.0 + 1e-12] * 19, np.inf]), 0.8)


def test_an_interval_holds_its_own_value() -> None:
    """Also where the law of all runs lies beyond most of those that were drawn from them."""
    told = estimate(np.array([1.5, *np.linspace(2.0, 3.0, 50)]), 0.8)

    assert told.low == told.value == 1.5
    assert told.high is not None
    assert told.high > 2.5


def test_rows_without_an_answer_widen_the_interval() -> None:
    """They count as endless, not as absent."""
    told = estimate(np.array([2.0, 1.0, 3.0, np.nan, np.inf]), 0.8)

    assert (1.0, math.inf) == (told.low, told.high)


def plain_loss(size: float, tokens: float) -> float:
    """Besiroglu's law as printed, written out."""
    return 1.8172 + 482.01 * math.exp(-0.3478 * math.log(size)) + 2085.43 * math.exp(-0.3658 * math.log(tokens))


@pytest.mark.parametrize("flops", [1e19, 1e21, 5.76e23])
def test_the_best_run_is_that_of_a_plain_search(flops: float) -> None:
    """Size, loss and the price of 0.01 nats, against a search that knows nothing of this package."""
    made = plan(flops=flops)

    def least(budget: float) -> tuple[float, float]:
        found = minimize_scalar(lambda x: plain_loss(math.exp(x), budget / 6 / math.exp(x)), bounds=(10, 35))
        return math.exp(found.x), float(found.fun)

    size, loss = least(flops)
    dearer = brentq(lambda share: least(flops * (1 + share))[1] - loss + 0.01, 0.01, 5.0)

    # the refit's constants have four digits where they are printed, and more in the package
    assert pytest.approx(size, rel=0.01) == made.best.parameters.value
    assert pytest.approx(loss, abs=2e-4) == made.best.loss.value
    assert pytest.approx(dearer, rel=0.005) == made.price.share.value


def test_the_cheapest_life_is_that_of_a_plain_search() -> None:
    """Training and serving of models of one loss (Sardana et al. 2024): 6 N D + 2 N served."""
    served = 2e12
    made = plan(flops=1e22, serve_tokens=served)
    assert made.deployment is not None
    loss = made.best.loss.value

    def cost(log_size: float) -> float:
        size = math.exp(log_size)
        missing = loss - LAW.E - LAW.A * size**-LAW.alpha
        return math.inf if missing <= 0 else size * (6 * (LAW.B / missing) ** (1 / LAW.beta) + 2 * served)

    grid = np.linspace(math.log(1e9), math.log(3e10), 40_001)
    costs = [cost(x) for x in grid]
    best = int(np.argmin(costs))

    assert pytest.approx(math.exp(grid[best]), rel=2e-3) == made.deployment.parameters.value
    assert (
        pytest.approx(costs[best], rel=1e-6)
        == made.deployment.training_flops.value + made.deployment.serving_flops.value
    )
    assert pytest.approx(1 - costs[best] / cost(math.log(made.best.parameters.value)), rel=1e-3) == (
        made.deployment.saved_share.value
    )


def test_the_best_with_repeats_is_that_of_a_plain_search() -> None:
    """D' = U (1 + R* (1 - exp(-R / R*))) for tokens and the same for parameters (Muennighoff et al. 2023)."""
    unique, flops = 1e10, 1e21
    made = plan(flops=flops, unique_tokens=unique)
    assert made.repeats is not None
    most_size = float(LAW.size_for_tokens(unique).count)

    def worth(amount: float, fresh: float, decay: float) -> float:
        return (
            fresh + fresh * decay * (1 - math.exp(-max(amount / fresh - 1, 0.0) / decay)) if amount > fresh else amount
        )

    def loss(log_size: float) -> float:
        size = math.exp(log_size)
        of_size: float = LAW.A * worth(size, most_size, 5.309743) ** -LAW.alpha
        of_data: float = LAW.B * worth(flops / 6 / size, unique, 15.387756) ** -LAW.beta
        return LAW.E + of_size + of_data

    found = minimize_scalar(loss, bounds=(math.log(1e8), math.log(2e10)), method="bounded")

    assert pytest.approx(float(found.fun), abs=1e-5) == made.repeats.loss.value
    assert pytest.approx(flops / 6 / math.exp(found.x) / unique, rel=0.02) == made.repeats.epochs.value


def test_a_single_run_has_a_wider_interval_than_the_law(chinchilla: AbstractLossModel) -> None:
    """Both errors in squares: 0.75 % of scatter, which at this compute is most of it."""
    best = make_plan(chinchilla, PlanRequest(flops=1e21)).best
    assert best.run_loss is not None

    own = math.log((best.run_loss.high or 0.0) / (best.run_loss.low or 1.0)) / 2
    law = math.log((best.loss.high or 0.0) / (best.loss.low or 1.0)) / 2

    assert pytest.approx(math.hypot(1.285 * 0.0075, law), rel=0.05) == own
    assert best.run_loss.value == best.loss.value


@pytest.mark.parametrize("asked", [{"flops": 1e23}, {"parameters": 7e9}, {"target_loss": 2.0}, {"tokens": 1e12}])
def test_the_interval_of_the_law_lies_within_that_of_a_single_run(
    chinchilla: AbstractLossModel, asked: dict[str, Any]
) -> None:
    """Both are of the size and tokens that are shown, whatever was asked."""
    best = make_plan(chinchilla, PlanRequest(**asked)).best

    assert best.run_loss is not None
    ends = [best.run_loss.low, best.loss.low, best.loss.value, best.loss.high, best.run_loss.high]
    assert sorted(end or 0.0 for end in ends) == ends


def test_a_single_run_far_beyond_the_fitted_ones_scatters_more(chinchilla: AbstractLossModel) -> None:
    """A law misses a part of the fall that it promises there."""
    near, far = chinchilla.scatter(20.0, 23.0), chinchilla.scatter(30.0, 33.0)

    assert near is not None
    assert far is not None
    assert near.log_sd == 0.0075 < far.log_sd


def test_without_a_known_scatter_nothing_is_said_of_a_single_run() -> None:
    """Hoffmann et al. publish none."""
    assert make_plan(loss_model_for("hoffmann"), PlanRequest(flops=1e21)).best.run_loss is None


@pytest.mark.parametrize(("size", "word"), [(1.62e10 * 40, "40x past the most parameters"), (5.7e3, "10,000x below")])
def test_how_far_a_plan_extrapolates_is_a_round_number(size: float, word: str) -> None:
    """No powers of ten where a multiple is meant."""
    notes = " ".join(plan(parameters=size).best.notes)

    assert word in notes


def test_a_loss_worse_than_a_guess_is_no_prediction() -> None:
    """A law asked for a model of two thousand parameters."""
    assert any("worse than guessing" in note for note in plan(flops=1e9).best.notes)
    assert not any("worse than guessing" in note for note in plan(flops=1e16).best.notes)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: accelerator("abacus"), "no hardware 'abacus'"),
        (lambda: Cluster(accelerator("h100"), mfu=1.5), "mfu"),
        (lambda: Cluster(accelerator("h100"), devices=0), "devices"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused(make: Callable[[], object], word: str) -> None:
    """The message names what is wrong."""
    with pytest.raises(ConfigError, match=word):
        make()
