"""One way to fit every family, and what is kept of a fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalewatch.errors import FitError
from scalewatch.fitting import LAW_FAMILIES, FitStatus, fit, read_law, save_fit
from scalewatch.fitting.families import FAMILIES
from scalewatch.laws import BrokenLaw, Chinchilla, Curve, RepeatedData, Transfer, non_embedding, total
from scalewatch.run import Run
from tests.laws.test_every_law import points

SIZE, TOKENS = (v.ravel() for v in np.meshgrid(np.geomspace(1e8, 1e10, 5), np.geomspace(2e9, 2e11, 5)))


def noise(count: int, sd: float, seed: int = 0) -> np.ndarray:
    """Factors about 1."""
    return np.exp(sd * np.random.default_rng(seed).standard_normal(count))


def runs() -> dict[str, Any]:
    """Finished runs of Chinchilla's law."""
    loss = Chinchilla.besiroglu().loss(total(SIZE), TOKENS) * noise(len(SIZE), 0.002)
    return {"parameters": SIZE, "tokens": TOKENS, "loss": loss}


def repeated(law: RepeatedData = RepeatedData.muennighoff()) -> dict[str, Any]:  # noqa: B008
    """Runs that saw their tokens once, and runs of 2 to 30 epochs."""
    each = len(SIZE)
    size, tokens = np.tile(SIZE, 2), np.tile(TOKENS, 2)
    epochs = np.concatenate([np.ones(each), np.resize([2.0, 4.0, 10.0, 30.0], each)])
    loss = law.loss(total(size), tokens, tokens / epochs) * noise(2 * each, 0.0003)
    return {"parameters": size, "tokens": tokens, "unique_tokens": tokens / epochs, "loss": loss}


def transfers() -> dict[str, Any]:
    """Pairs of runs of the published law of transfer."""
    text, size = (v.ravel() for v in np.meshgrid([1e5, 1e6, 1e7], [1e6, 1e7, 1e8]))
    worth = Transfer.text_to_python().transferred(text, non_embedding(size)) * noise(9, 0.05)
    return {"characters": text, "parameters": size, "effective_characters": text + worth}


def curves() -> list[Curve]:
    """A cosine and a constant rate of one made-up model."""
    steps = np.arange(1, 3_001)
    progress, made = steps / 3_000, []
    for name, shape in (("cosine", 0.55 + 0.45 * np.cos(np.pi * progress)), ("constant", np.ones(3_000))):
        rates = 1e-3 * np.minimum(steps / 100, 1.0) * shape
        walk = np.cumsum(rates) / 1e-3
        loss = (2.0 + 8.0 * (walk + 50) ** -0.5 - 0.2 * (1 - shape)) * noise(3_000, 0.01, len(name))
        made.append(Curve(Run(name, 3_000, rates, parameters=1e7, tokens_per_step=1e5), steps, loss))
    return made


def data_of(family: str) -> Any:
    """Something that the family fits."""
    if LAW_FAMILIES[family].curves:
        return curves()
    x = np.geomspace(1e18, 1e24, 25)
    special: dict[str, Any] = {
        "repeated-data": repeated(),
        "transfer": transfers(),
        "broken": {"x": x, "y": BrokenLaw(0.1, 8e3, 0.2).values(x) * noise(25, 0.01)},
        "zipf": {"count": np.random.default_rng(0).zipf(2.0, 3_000)},
    }
    return special.get(family, runs())


@pytest.mark.parametrize("family", LAW_FAMILIES)
def test_every_family_is_fitted_kept_and_read_back(family: str, tmp_path: Path) -> None:
    """By its name alone; what is read back predicts the same."""
    found = fit(family, data_of(family))
    save_fit(found, tmp_path / "law.json")
    back = read_law(tmp_path / "law.json")

    assert LAW_FAMILIES[family].law is type(found.law)
    assert found.status in found.statuses
    assert found.runs > 0
    at = points(found.law)
    assert np.asarray(found.law.predict(at)) == pytest.approx(np.asarray(back.predict(at)), rel=1e-12)


@pytest.mark.parametrize("family", [name for name, row in LAW_FAMILIES.items() if not row.curves])
def test_a_missing_column_is_named_with_those_that_are_needed(family: str) -> None:
    """One missing column is enough."""
    data = data_of(family)
    last = list(LAW_FAMILIES[family].columns)[-1]

    with pytest.raises(FitError, match=f"needs .*: {last} missing"):
        fit(family, {name: values for name, values in data.items() if name != last})


def test_a_family_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    """And so is a family of curves that is given columns."""
    with pytest.raises(FitError, match="choose one of chinchilla"):
        fit("horoscope", runs())
    with pytest.raises(FitError, match="fitted to curves"):
        fit("annealing", runs())
    with pytest.raises(FitError, match="fitted to columns"):
        fit("broken", curves())


def test_the_worth_of_a_repeat_is_recovered() -> None:
    """R_D* within 25 % of what made the runs, R_N* within a factor of three, and both with errors."""
    found = fit("repeated-data", repeated())

    assert isinstance(found.law, RepeatedData)
    assert pytest.approx(15.39, rel=0.25) == found.law.token_decay
    assert 0.33 < found.law.parameter_decay / 5.31 < 3.0
    assert 0 < found.standard_errors["token_decay"] < 5.0


def test_without_repeats_no_worth_of_them() -> None:
    """The error says what to add."""
    data = repeated()
    with pytest.raises(FitError, match="add runs of several epochs"):
        fit("repeated-data", {**data, "unique_tokens": data["tokens"]})


def test_a_law_of_transfer_is_recovered() -> None:
    """Exponents within three standard errors of what made the points."""
    found = fit("transfer", transfers())

    assert isinstance(found.law, Transfer)
    assert abs(found.law.data_exponent - 0.18) < 3 * found.standard_errors["data_exponent"]
    assert abs(found.law.size_exponent - 0.38) < 3 * found.standard_errors["size_exponent"]
    assert FitStatus.OK is found.status


def test_what_is_worth_nothing_is_no_point_of_transfer() -> None:
    """The row is named."""
    data = transfers()
    with pytest.raises(FitError, match="row 2"):
        fit(
            "transfer", {**data, "effective_characters": np.where(np.arange(9) == 2, 1.0, data["effective_characters"])}
        )


def test_text_and_size_that_rise_together_are_no_transfer() -> None:
    """Their effects cannot be told apart."""
    text = np.geomspace(1e5, 1e8, 6)
    with pytest.raises(FitError, match="rise together"):
        fit("transfer", {"characters": text, "parameters": 10 * text, "effective_characters": 100 * text})


def test_counts_without_a_tail_are_no_law() -> None:
    """Types that all occur equally often are a misfit."""
    assert FitStatus.MISFIT is fit("zipf", {"count": np.full(200, 30)}).status


def test_each_family_of_points_says_whose_formula_it_is() -> None:
    """Whoever fits a law cites its own paper, and not the one of the first family."""
    whose = {name: family.source.authors.split()[0] for name, family in FAMILIES.items()}

    assert whose == {
        "chinchilla": "Hoffmann",
        "equal_exponents": "Muennighoff",
        "compute": "Henighan",
        "compute_no_floor": "Kaplan",
        "kaplan": "Kaplan",
        "kaplan_with_floor": "Kaplan",
    }
