"""Chinchilla's three approaches, on runs whose law is known and on the published points."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scalewatch.errors import ConfigError, FitError
from scalewatch.fitting.approaches import (
    Approach,
    Comparison,
    compare_approaches,
    envelope,
    isoflop,
    parametric,
    side_by_side,
)
from scalewatch.fitting.isoflop import budget_of_each
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.size import SizeKind, non_embedding, total

TRUE = Chinchilla.besiroglu()
Curves = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def curves(*, noise: float = 0.001, budgets: int = 7, spread: int = 3) -> Curves:
    """Whole curves of an isoFLOP grid about the optimum: size, tokens, loss and run of each row."""
    stream = np.random.default_rng(0)
    columns: list[list[np.ndarray]] = [[], [], [], []]
    run = 0
    for flops in 10 ** np.linspace(18, 21, budgets):
        best = float(TRUE.optimum(flops).size.count)
        for size in best * 2.0 ** np.arange(-spread, spread + 1):
            tokens = flops / 6 / size * np.geomspace(0.02, 1, 40)
            loss = np.asarray(TRUE.loss(total(size), tokens)) * np.exp(noise * stream.standard_normal())
            for column, values in zip(columns, (size, tokens, loss, run), strict=True):
                column.append(np.broadcast_to(np.asarray(values, dtype=float), tokens.shape))
            run += 1
    size, tokens, loss, label = (np.concatenate(column) for column in columns)
    return size, tokens, loss, label


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    """All approaches on the runs of a known law."""
    return compare_approaches(*curves())


@pytest.mark.parametrize("number", range(4))
def test_each_approach_finds_the_known_exponent(comparison: Comparison, number: int) -> None:
    """a = 0.513 within 0.02, inside a 80 % interval widened twofold, and the best size for 1e21 within 15 %."""
    result = comparison.results[number]
    truth = TRUE.exponents[0]
    assert result.exponent is not None

    assert pytest.approx(truth, abs=0.02) == result.exponent
    assert result.low - (result.high - result.low) / 2 < truth < result.high + (result.high - result.low) / 2
    assert pytest.approx(float(TRUE.optimum(1e21).size.count), rel=0.15) == float(result.size_at(1e21).count)
    assert pytest.approx(1.0) == result.exponent + (result.tokens_exponent or 0.0)


def test_approaches_that_agree_say_so(comparison: Comparison) -> None:
    """The status is one sentence, the order that of the paper."""
    assert list(Approach) == [result.approach for result in comparison.results]
    assert () == comparison.disagreements
    assert "agree" in comparison.status


def test_the_table_has_a_line_for_each_approach(comparison: Comparison) -> None:
    """Exponents, intervals, and the size for a budget."""
    lines = comparison.table(1e22).splitlines()

    assert 5 == len(lines)
    assert all(str(approach) in line for approach, line in zip(Approach, lines[1:], strict=True))


def test_approaches_that_disagree_are_named(comparison: Comparison) -> None:
    """An exponent of 0.73 beside one of 0.51: one sentence for each pair, with both intervals."""
    kaplans = replace(comparison.results[1], exponent=0.73, low=0.71, high=0.75)

    compared = side_by_side([comparison.results[0], kaplans, comparison.results[3]])

    assert 2 == len(compared.disagreements)
    assert "'2 isoFLOP parabola' and '3 parametric' disagree by 0.2" in compared.disagreements[1]
    assert "more than their intervals allow: a = 0.730 (0.710 to 0.750) against" in compared.disagreements[1]
    assert "disagree" in compared.status


def test_one_answer_alone_is_not_confirmed(comparison: Comparison) -> None:
    """The status says so, also of two readings of the same valleys."""
    assert "Only approach 1 has an answer" in side_by_side(comparison.results[:1]).status
    assert "no other confirms it" in side_by_side(comparison.results[1:3]).status


def test_readings_of_the_same_valleys_that_disagree_blame_the_parabola(comparison: Comparison) -> None:
    """Porian et al. find 0.550 and 0.572 in the same runs."""
    parabola = replace(comparison.results[1], exponent=0.550, low=0.545, high=0.555)
    akima = replace(comparison.results[2], exponent=0.572, low=0.562, high=0.586)
    law = replace(comparison.results[3], exponent=0.56, low=0.53, high=0.59)

    assert "no parabolas" in side_by_side((parabola, akima, law)).status


def test_an_interval_that_would_meet_any_other_confirms_little(comparison: Comparison) -> None:
    """0.23 to 0.56 holds Chinchilla's exponent and much else."""
    wide = replace(comparison.results[3], low=0.23, high=0.56)

    assert "confirms little" in side_by_side((comparison.results[0], wide)).status


def test_an_interval_that_is_not_known_agrees_with_nothing(comparison: Comparison) -> None:
    """It is no reason to say that approaches agree, and the table shows no number for it."""
    unknown = replace(comparison.results[0], low=-np.inf, high=np.inf)
    compared = side_by_side((unknown, *comparison.results[1:]))

    assert "whether they agree is open" in compared.status
    assert "not known" in compared.table().splitlines()[1]


@pytest.mark.parametrize("exponent", [0.3, 0.73])
def test_valleys_that_move_otherwise_are_followed(exponent: float) -> None:
    """Losses that follow no law, with their best size at C^exponent: both isoFLOP readings find it."""
    flops = np.repeat(10 ** np.linspace(18, 21, 7), 7)
    away = np.tile(np.linspace(-1.5, 1.5, 7), 7)
    size = 1e8 * (flops / 1e18) ** exponent * np.exp(away)
    loss = 3 * (flops / 1e18) ** -0.05 * np.exp(0.02 * away**2)

    for method in ("parabola", "akima"):
        result = isoflop(size, flops / 6 / size, loss, method=method)  # type: ignore[arg-type]
        assert pytest.approx(exponent, abs=0.01) == result.exponent


def test_without_curves_there_is_no_envelope() -> None:
    """The result is there, empty, and says what it needs."""
    size, tokens, loss, run = curves()
    last = np.append(np.diff(run) != 0, True)

    compared = compare_approaches(size[last], tokens[last], loss[last])

    assert compared.results[0].exponent is None
    assert "give `runs`" in compared.results[0].notes[0]
    assert compared.results[3].exponent is not None
    with pytest.raises(ConfigError, match="has no answer"):
        compared.results[0].size_at(1e21)


def test_the_published_points_agree_within_their_intervals(data_folder: Path) -> None:
    """Figure 4: parametric 0.514 (0.491 to 0.543); both isoFLOP readings of the digitised points are there, too."""
    with (data_folder / "scaling_points.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == "chinchilla_fig4"][5:]
    table = [np.array([float(row[name]) for row in rows]) for name in ("n_params", "tokens", "loss")]

    compared = compare_approaches(*table)
    _, parabola, akima, fitted = compared.results

    assert pytest.approx(0.5139, abs=1e-3) == fitted.exponent
    assert (0.491, 0.543) == pytest.approx((fitted.low, fitted.high), abs=0.006)
    for reading in (parabola, akima):
        assert pytest.approx(0.52, abs=0.03) == reading.exponent
        assert any("runs are of no budget" in note for note in reading.notes)
    assert () == compared.disagreements


def test_a_budget_is_never_wider_than_a_tenth() -> None:
    """Runs of four budgets among others whose compute creeps from one to the next: no chain of them is a budget."""
    stream = np.random.default_rng(0)
    crowds = np.repeat([1e18, 4e18, 1.6e19, 6.4e19], 9) * np.exp(stream.uniform(-0.03, 0.03, 36))
    flops = np.append(crowds, 10 ** stream.uniform(18, 20, 25))
    budget = budget_of_each(10 ** stream.uniform(8, 9, 61), flops)

    found = np.unique(budget[np.isfinite(budget)])
    assert 4 <= len(found)
    assert all(np.ptp(np.log(flops[budget == one])) <= np.log(1.1) + 1e-9 for one in found)
    assert all(np.isfinite(budget[:36]))


def test_compute_that_creeps_has_no_budgets() -> None:
    """A hundred runs, each of 1 % more compute than the last: no number, and a sentence that says why."""
    flops = 1e18 * 1.01 ** np.arange(100)
    size = 1e8 * np.exp(np.random.default_rng(0).uniform(-1, 1, 100))
    loss = 3 * np.exp(0.02 * np.log(size / 1e8) ** 2)

    result = isoflop(size, flops / 6 / size, loss)

    assert result.exponent is None
    assert "creeps from run to run" in result.notes[0]


def test_scattered_compute_of_one_budget_moves_no_bottom() -> None:
    """Runs up to 4 % off their budget, larger ones with more compute: the best size is that of equal compute."""
    flops = np.repeat(10 ** np.linspace(18, 21, 7), 7)
    away = np.tile(np.linspace(-1.5, 1.5, 7), 7)
    size = 1e8 * (flops / 1e18) ** 0.5 * np.exp(away)
    spent = flops * np.exp(0.04 * away / 1.5)
    loss = 3 * (spent / 1e18) ** -0.05 * np.exp(0.02 * away**2)

    result = isoflop(size, spent / 6 / size, loss)

    assert pytest.approx(0.5, abs=0.003) == result.exponent
    assert pytest.approx(1e9, rel=0.02) == float(result.size_at(1e20).count)


def ladder(seed: int, *, noise: float = 0.002, sizes: int = 8) -> Curves:
    """Curves of a known law, all sizes trained past the point where the next is better."""
    stream = np.random.default_rng(seed)
    size = 6e7 * 1.6 ** np.arange(sizes) * np.exp(stream.uniform(-0.1, 0.1, sizes))
    tokens = 80 * size[:, None] * np.geomspace(0.02, 1, 60)
    loss = np.asarray(TRUE.loss(total(np.repeat(size, 60)), tokens.ravel())).reshape(sizes, 60)
    loss = loss + noise * stream.standard_normal((sizes, 1))
    return np.repeat(size, 60), tokens.ravel(), loss.ravel(), np.repeat(np.arange(sizes), 60)


def test_the_interval_of_an_envelope_holds_the_truth_as_often_as_it_says() -> None:
    """80 % intervals of 14 ladders: in 9 of them at least, and none has no width."""
    found = [envelope(*ladder(seed)) for seed in range(14)]
    truth = TRUE.exponents[0]

    assert all(0.005 < result.high - result.low < 0.15 for result in found)
    assert 9 <= sum(result.low < truth < result.high for result in found)
    assert abs(float(np.mean([result.exponent or 0.0 for result in found])) - truth) < 0.012


def test_sizes_that_are_never_overtaken_have_no_envelope() -> None:
    """Each size trained as long as it was planned, tokens in proportion: the ends of runs say how they were planned."""
    size = np.repeat(1e8 * 1.5 ** np.arange(8), 60)
    tokens = 20 * size * np.tile(np.geomspace(0.1, 1, 60), 8)
    late = np.tile(np.linspace(0, 1, 60), 8)
    loss = np.asarray(TRUE.loss(total(size), tokens)) * (1.0 + 0.3 * (1 - late))

    result = envelope(size, tokens, loss, np.repeat(np.arange(8), 60))

    assert result.exponent is None
    assert "overtake" in result.notes[0]


def test_losses_in_two_units_have_no_answer_from_any_approach() -> None:
    """Half of the runs in bits per byte: valleys would be fitted through both."""
    size, tokens, loss, run = curves()
    last = np.append(np.diff(run) != 0, True)
    loss = np.where(run % 7 < 3, 0.3 * loss, loss)[last]

    compared = compare_approaches(size[last], tokens[last], loss)

    assert all(result.exponent is None for result in compared.results)
    assert "two units" in compared.status


def test_runs_of_several_recipes_in_one_table_are_pointed_out() -> None:
    """Twins that end 8 % apart are no seeds of one another."""
    size, tokens, loss, run = curves(budgets=4)
    last = np.append(np.diff(run) != 0, True)
    size, tokens, loss = size[last], tokens[last], loss[last]

    compared = compare_approaches(np.append(size, size), np.append(tokens, tokens), np.append(loss, 1.08 * loss))

    assert "8 % apart" in compared.cautions[0]
    assert "caution" in compared.status


def test_losses_of_a_schedule_that_has_not_decayed_yet_are_pointed_out(comparison: Comparison) -> None:
    """The envelope reads mid-schedule losses, and says that they are too high."""
    assert any("mid-schedule" in note for note in comparison.results[0].notes)


def test_one_budget_or_one_size_gives_no_exponent() -> None:
    """Each approach says what it lacks; nothing confirms anything."""
    size, tokens, loss, run = curves(budgets=1)

    compared = compare_approaches(size, tokens, loss, run)

    assert compared.results[1].exponent is None
    assert compared.results[2].exponent is None
    assert "2 budgets" in compared.results[1].notes[0]


def test_collinear_runs_have_no_parametric_exponent() -> None:
    """Runs at twenty tokens a parameter: the sentence says to vary it."""
    size = np.geomspace(1e8, 1e10, 12)

    result = parametric(size, 20 * size, TRUE.loss(total(size), 20 * size))

    assert result.exponent is None
    assert "rise together" in result.notes[0]


def test_the_kind_of_size_is_kept() -> None:
    """Non-embedding runs give non-embedding sizes."""
    size, tokens, loss, run = curves()

    result = envelope(non_embedding(size), tokens, loss, run)

    assert result.kind is SizeKind.NON_EMBEDDING
    assert result.size_at(1e20).kind is SizeKind.NON_EMBEDDING


def test_tokens_in_other_units_leave_the_exponents(comparison: Comparison) -> None:
    """Millions of tokens: the same a from every approach."""
    size, tokens, loss, run = curves()

    other = compare_approaches(size, tokens / 1e6, loss, run)

    for one, two in zip(comparison.results, other.results, strict=True):
        assert pytest.approx(one.exponent, abs=0.003) == two.exponent


@pytest.mark.parametrize("level", [0.0, 1.0, 80.0])
def test_a_level_that_is_none_is_refused(level: float) -> None:
    """In every approach."""
    size, tokens, loss, run = curves(budgets=2)

    with pytest.raises(ConfigError, match="`level`"):
        envelope(size, tokens, loss, run, level=level)
    with pytest.raises(ConfigError, match="`level`"):
        isoflop(size, tokens, loss, level=level)
    with pytest.raises(ConfigError, match="`level`"):
        parametric(size, tokens, loss, level=level)


def test_losses_that_are_none_are_refused() -> None:
    """A zero among them ends in an error that names the row."""
    size, tokens, loss, run = curves(budgets=2)
    loss = loss.copy()
    loss[5] = 0.0

    with pytest.raises(FitError, match="row 5"):
        compare_approaches(size, tokens, loss, run)
