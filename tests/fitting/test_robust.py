"""Families of laws and the minimiser under every fit: derivatives, bulk against single, recovery."""

from __future__ import annotations

import numpy as np
import pytest

from scalewatch.fitting.chinchilla import fit_chinchilla
from scalewatch.fitting.families import COMPUTE, COMPUTE_NO_FLOOR, FAMILIES, KAPLAN, AbstractFamily, read_points
from scalewatch.fitting.points import fit_family
from scalewatch.fitting.robust import minimise
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.size import total

Table = tuple[np.ndarray, np.ndarray, np.ndarray]
TRUE = Chinchilla(1.8, 450.0, 2000.0, 0.345, 0.365)


def runs(*, sizes: int = 7) -> Table:
    """Runs of a known law over a grid of sizes and tokens, with 0.3 % of noise."""
    grid = np.meshgrid(np.geomspace(5e7, 5e9, sizes), np.geomspace(2e9, 1e11, sizes))
    size, tokens = (axis.ravel() for axis in grid)
    scatter = np.random.default_rng(0).standard_normal(len(size))
    return size, tokens, np.asarray(TRUE.loss(total(size), tokens)) * np.exp(0.003 * scatter)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_family_finds_itself(family: AbstractFamily) -> None:
    """Runs made of a family's own fit are fitted to within 0.01 %, and its law gives the same numbers."""
    size, tokens, loss = runs()
    first = fit_family(family, size, tokens, loss)
    made = first.law.loss(total(size), tokens)

    again = fit_family(family, size, tokens, made)

    assert np.max(np.abs(again.residuals)) < 1e-4
    assert list(np.log(made)) == pytest.approx(list(np.log(loss) - first.residuals))
    assert list(first.predict(total(size), tokens).loss) == pytest.approx(list(made))


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_first_derivatives_of_every_family_are_right(family: AbstractFamily) -> None:
    """The gradient of the objective against difference quotients, at every start."""
    points = read_points(*runs())
    prepared = family.prepare(points)
    form = prepared.form(points.log_size, points.log_tokens)
    theta = prepared.starts[:6]
    predicted, state = form.evaluate(theta)
    slope = np.cos(np.arange(predicted.size)).reshape(predicted.shape)

    gradient, _ = form.system(state, slope, np.zeros_like(slope))

    for k in range(theta.shape[1]):
        step = np.zeros(theta.shape[1])
        step[k] = 1e-6
        rise = (form.evaluate(theta + step)[0] - form.evaluate(theta - step)[0]) / 2e-6
        assert list(np.sum(slope * rise, axis=1)) == pytest.approx(list(gradient[:, k]), rel=1e-5, abs=1e-6)


def test_second_derivatives_of_a_sum_of_powers_are_right() -> None:
    """The matrix against difference quotients of the gradient of sum(slope * log loss)."""
    points = read_points(*runs())
    prepared = FAMILIES["chinchilla"].prepare(points)
    form = prepared.form(points.log_size, points.log_tokens)
    theta = prepared.starts[:3]
    slope = np.cos(np.arange(3 * len(points))).reshape(3, -1)

    def gradient(at: np.ndarray) -> np.ndarray:
        return form.system(form.evaluate(at)[1], slope, 0 * slope)[0]

    matrix = form.system(form.evaluate(theta)[1], slope, 0 * slope)[1]

    for k in range(5):
        step = np.zeros(5)
        step[k] = 1e-6
        rise = (gradient(theta + step) - gradient(theta - step)) / 2e-6
        assert matrix[:, k].ravel().tolist() == pytest.approx(rise.ravel().tolist(), rel=1e-4, abs=1e-4)


def test_resamples_end_where_a_fit_of_the_resample_ends() -> None:
    """Warm-started in bulk or fitted alone from all starts: the same optimum."""
    size, tokens, loss = runs(sizes=6)
    fit = fit_chinchilla(size, tokens, loss, bootstrap=3, seed=9)
    stream = np.random.RandomState(9)
    assert fit.samples is not None

    for sample in fit.samples:
        rows = stream.choice(len(size), len(size))
        alone = fit_chinchilla(size[rows], tokens[rows], loss[rows])
        assert list(alone.values.values()) == pytest.approx(sample.tolist(), rel=1e-3)


def test_laws_of_compute_and_kaplans_law_are_fitted_the_same_way() -> None:
    """A pure power of compute, one with a floor, and Kaplan's L(N, D) come back from their own runs."""
    size, tokens, _ = runs()
    power = 30 * (6 * size * tokens) ** -0.05
    kaplan = ((6.4e13 / size) ** (0.076 / 0.103) + 1.8e13 / tokens) ** 0.103

    assert pytest.approx(0.05) == fit_family(COMPUTE_NO_FLOOR, size, tokens, power).values["gamma"]
    assert pytest.approx(1.5, rel=1e-3) == fit_family(COMPUTE, size, tokens, 1.5 + power).values["E"]
    fitted = fit_family(KAPLAN, size, tokens, kaplan).values
    assert {"Nc": 6.4e13, "Dc": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103} == pytest.approx(fitted, rel=0.01)


def test_a_start_at_the_optimum_stays_there() -> None:
    """Minimising again gains nothing: the first minimum was one."""
    points = read_points(*runs())
    prepared = FAMILIES["chinchilla"].prepare(points)
    form = prepared.form(points.log_size, points.log_tokens)

    once = minimise(form, points.log_loss, prepared.starts)
    best = once.theta[[int(np.argmin(once.objective))]]
    nudged = minimise(form, points.log_loss, best + 0.01)

    assert pytest.approx(once.objective.min(), rel=1e-9) == float(nudged.objective[0])
    assert once.converged.all()
