"""Which law a plan is made of: names, law files, hardware."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scalewatch.errors import ConfigError, LawFileError
from scalewatch.fitting.chinchilla import fit_chinchilla
from scalewatch.fitting.chinchilla_file import SavedChinchilla, save_chinchilla
from scalewatch.laws import CurveLaw, save_law
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.size import total
from scalewatch.plan import ACCELERATORS, LAW_NAMES, CurveLossModel, PlanRequest, frontier, loss_model_for, make_plan
from scalewatch.plan.baselines import non_embedding_of_total

#: Relative error with which a law in a file gives back the plan of the law it was fitted to.
RECOVERY = 0.02


def curve_law(**changes: object) -> CurveLaw:
    """A law of whole curves: E 1.7, K and A 0.5 at 1e7 parameters, fitted to 1e6 to 1e8 of them."""
    fields: dict[str, object] = {
        "alpha": 0.4,
        "alpha_log_sd": 0.02,
        "ratio": 0.1,
        "ratio_log_sd": 0.05,
        "memory_steps": 500.0,
        "lr_sum_unit": "tokens",
        "reference_lr_sum": 1e8,
        "size_kind": "total",
        "reference_size": 1e7,
        "parameters": np.array([np.log(1.7), np.log(0.5), 0.35, np.log(0.5), 0.02]),
        "covariance": np.diag([1e-5, 1e-3, 1e-4, 1e-3, 1e-4]),
        "run_log_sd": 0.004,
        "remaining_log_sd": 0.02,
        "misfit": 0.002,
        "row_noise": 0.01,
        "sizes": (1e6, 1e8),
        "lr_sums": (1e7, 1e9),
        "runs": 5,
        "left_out": (),
    }
    return CurveLaw.of_fields(fields | changes)


@pytest.mark.parametrize("name", LAW_NAMES)
def test_every_named_law_makes_a_plan(name: str) -> None:
    """Capitals and underscores do not matter."""
    made = make_plan(loss_model_for(name.upper().replace("-", "_"), draws=10), PlanRequest(flops=1e20))

    assert made.best.parameters.value > 1e7
    assert made.law.errors


def test_an_unknown_law_names_the_known_ones() -> None:
    """It may have been a file."""
    with pytest.raises(ConfigError, match=r"chinchilla, besiroglu.*or a law file"):
        loss_model_for("nowhere.law.json")


def test_a_file_that_is_no_law_is_refused(tmp_path: Path) -> None:
    """With the reader's own sentence."""
    path = tmp_path / "some.json"
    path.write_text("{}")

    with pytest.raises(LawFileError, match="not a law file"):
        loss_model_for(str(path))


def test_a_law_of_whole_curves_plans(tmp_path: Path) -> None:
    """Its optimum is the least of its own predictions on a grid of sizes, and has an interval."""
    path = tmp_path / "ladder.law.json"
    save_law(curve_law(), path)
    made = make_plan(loss_model_for(str(path), draws=50), PlanRequest(flops=1e17))
    surface = CurveLossModel(curve_law(), "law")
    size = np.linspace(np.log(1e6), np.log(1e9), 20_001)[None, :]

    best = np.exp(size[0, np.argmin(surface.loss(size, np.log(1e17 / 6) - size))])

    assert pytest.approx(best, rel=1e-3) == made.best.parameters.value
    assert made.best.parameters.low is not None
    assert any("cosine to a tenth" in note for note in made.notes)


def test_a_law_of_whole_curves_agrees_with_its_own_prediction() -> None:
    """L(N, D) for a cosine to a tenth is what `CurveLaw.predict` says of such a run."""
    from scalewatch.laws import schedule_features
    from scalewatch.run import Run

    law, steps, batch, size = curve_law(), 20_000, 5e4, 3e7
    step = np.arange(1, steps + 1)
    phase = np.clip((step - 200) / (steps - 200), 0.0, 1.0)
    rates = np.minimum(step / 200, 0.1 + 0.9 * 0.5 * (1 + np.cos(np.pi * phase)))
    walked, annealed = schedule_features(rates, [law.shape.memory_steps]).at([steps])
    run = Run("r", learning_rates=rates, parameters=int(size), tokens_per_step=int(batch))

    expected = law.predict_run(run, float(walked[0]), float(annealed[0, 0])).end_loss
    found = CurveLossModel(law, "law").loss(np.array([[np.log(size)]]), np.array([[np.log(steps * batch)]]))

    assert pytest.approx(expected, rel=1e-6) == found[0, 0]


@pytest.mark.parametrize(
    ("changes", "word"), [({"lr_sum_unit": "steps"}, "tokens a step"), ({"size_kind": "none"}, "one size")]
)
def test_a_law_that_cannot_plan_says_what_it_lacks(changes: dict[str, object], word: str) -> None:
    """Tokens and sizes are what a plan is about."""
    with pytest.raises(ConfigError, match=word):
        CurveLossModel(curve_law(**changes), "law")


def test_an_optimum_at_the_edge_of_the_search_is_none() -> None:
    """A law asked a billion times beyond its runs has no best size to offer."""
    with pytest.raises(ConfigError, match="nearer to those of its runs"):
        make_plan(CurveLossModel(curve_law(), "law"), PlanRequest(flops=1e27))


def test_a_fitted_chinchilla_law_plans_with_its_draws(tmp_path: Path) -> None:
    """A file of the law fitted to noisy runs of a known one gives back its plan."""
    law, path = Chinchilla.besiroglu(), tmp_path / "points.law.json"
    size, tokens = (a.ravel() for a in np.meshgrid(np.geomspace(1e8, 1e10, 6), np.geomspace(3e9, 3e11, 6)))
    noise = np.exp(0.001 * np.random.default_rng(0).standard_normal(len(size)))
    save_chinchilla(
        SavedChinchilla.of(fit_chinchilla(total(size), tokens, law.loss(total(size), tokens) * noise)), path
    )

    best = make_plan(loss_model_for(str(path), draws=100), PlanRequest(flops=1e21)).best

    assert pytest.approx(float(law.optimum(1e21).loss), rel=RECOVERY) == best.loss.value
    assert best.parameters.low is not None
    assert best.parameters.low < float(law.optimum(1e21).size.count) * 1.1 < (best.parameters.high or 0.0) * 1.3


def fitted_file(path: Path, sizes: int, noise: float) -> SavedChinchilla:
    """Besiroglu's law fitted to a grid of runs, as a file."""
    law = Chinchilla.besiroglu()
    grid = np.meshgrid(np.geomspace(1e8, 1e10, sizes), np.geomspace(3e9, 3e11, sizes))
    size, tokens = (a.ravel() for a in grid)
    scatter = np.exp(noise * np.random.default_rng(1).standard_normal(len(size)))
    fitted = SavedChinchilla.of(fit_chinchilla(total(size), tokens, law.loss(total(size), tokens) * scatter))
    save_chinchilla(fitted, path)
    return fitted


@pytest.mark.parametrize("flops", [1e20, 1e24])
def test_a_single_run_has_the_interval_that_the_fit_predicts(tmp_path: Path, flops: float) -> None:
    """The plan of a law file says of its best run what the fit says of such a run, within and beyond its runs."""
    path = tmp_path / "points.law.json"
    fitted = fitted_file(path, 4, 0.004)

    best = make_plan(loss_model_for(str(path), draws=1_000), PlanRequest(flops=flops)).best
    told = fitted.predict(total(best.parameters.value), best.tokens.value)

    assert best.run_loss is not None
    assert pytest.approx((float(told.low), float(told.high)), rel=5e-4) == (best.run_loss.low, best.run_loss.high)


def test_a_fit_that_is_not_to_be_relied_on_is_said_so_first(tmp_path: Path) -> None:
    """Sizes and tokens that rise together: the plan carries the fault, and no interval."""
    path, law = tmp_path / "points.law.json", Chinchilla.besiroglu()
    size = np.geomspace(1e8, 1e10, 12)
    noise = np.exp(0.004 * np.random.default_rng(1).standard_normal(len(size)))
    fitted = SavedChinchilla.of(fit_chinchilla(total(size), 20 * size, law.loss(total(size), 20 * size) * noise))
    save_chinchilla(fitted, path)

    made = make_plan(loss_model_for(str(path)), PlanRequest(flops=1e20))

    assert not fitted.status.usable
    assert fitted.status.value in made.law.faults
    assert made.best.parameters.low is None
    assert made.best.run_loss is None


def test_a_single_run_of_a_law_of_whole_curves_scatters_as_its_runs_did() -> None:
    """Of five runs, so by Student's t of four degrees of freedom; more beyond the largest."""
    surface = CurveLossModel(curve_law(), "law", draws=50)
    within, beyond = surface.scatter(np.log(1e7), 20.0), surface.scatter(np.log(1e9), 20.0)

    assert (0.004, 4) == (within.log_sd, within.freedom)
    assert pytest.approx(np.hypot(0.004, 0.004 * np.log(10))) == beyond.log_sd


@pytest.mark.parametrize(("scatter", "fault"), [(0.004, False), (0.02, False), (0.2, True)])
def test_a_law_of_whole_curves_says_when_its_runs_do_not_carry_it(scatter: float, fault: bool) -> None:
    """Runs 2 % apart are worth a note, runs 20 % apart make the plan worthless."""
    facts = CurveLossModel(curve_law(run_log_sd=scatter), "law").facts

    assert fault is bool(facts.faults)
    assert (scatter == 0.02) is any("recipe" in note for note in facts.notes)


def test_the_parts_of_a_count_fit_together() -> None:
    """N + w N^(1/3) of what comes out is what went in."""
    counts = [1e6, 1e8, 7e9, 1e12]

    inner = [non_embedding_of_total(count) for count in counts]

    assert pytest.approx(counts) == [n + 47_491.0 * n ** (1 / 3) for n in inner]


def test_every_accelerator_has_a_source_and_a_plausible_peak() -> None:
    """Dense bf16 of one device lies between 50 TFLOP/s and 5 PFLOP/s."""
    assert all(5e13 < device.peak_flops < 5e15 and device.source for device in ACCELERATORS.values())
    assert frontier.MOST_LOG > np.log(1e30)
