"""The law of final losses as a file: all of it comes back, and nothing else is taken for it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalewatch.errors import LawFileError
from scalewatch.fitting.chinchilla import allocation_exponent, fit_chinchilla
from scalewatch.fitting.chinchilla_file import SavedChinchilla, load_chinchilla, save_chinchilla
from scalewatch.fitting.points import PointFit
from scalewatch.fitting.status import FitStatus
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.size import total
from tests.laws.test_law_file import HOSTILE_FILES


@pytest.fixture(scope="module")
def fit() -> PointFit[Chinchilla]:
    """A law of 24 noisy runs."""
    size, tokens = (m.ravel() for m in np.meshgrid(np.geomspace(1e7, 1e9, 6), np.geomspace(1e9, 1e11, 4)))
    noise = np.exp(0.003 * np.random.default_rng(0).standard_normal(len(size)))
    return fit_chinchilla(size, tokens, (1.8 + 400 * size**-0.34 + 2000 * tokens**-0.37) * noise, bootstrap=120)


@pytest.fixture
def path(fit: PointFit[Chinchilla], tmp_path: Path) -> Path:
    """Its file."""
    file = tmp_path / "runs.law.json"
    save_chinchilla(SavedChinchilla.of(fit, ["'x' is left out."]), file)
    return file


def record_in(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def test_a_law_comes_back_bit_for_bit(fit: PointFit[Chinchilla], path: Path) -> None:
    """Constants, draws, ranges, statuses and sentences."""
    expected, actual = SavedChinchilla.of(fit, ["'x' is left out."]), load_chinchilla(path)

    for field in dataclasses.fields(SavedChinchilla):
        one, other = getattr(expected, field.name), getattr(actual, field.name)
        assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other, field.name


def test_a_law_that_came_back_predicts_what_the_fit_did(fit: PointFit[Chinchilla], path: Path) -> None:
    """Losses with their intervals, inside the runs and far beyond, and the exponent's interval."""
    back = load_chinchilla(path)
    size, tokens = total(np.array([1e8, 7e9, 1e11])), np.array([2e9, 1.4e11, 2e12])
    one, other = fit.predict(size, tokens), back.predict(size, tokens)

    for name in ("loss", "low", "high"):
        assert np.allclose(getattr(one, name), getattr(other, name), rtol=1e-9)
    assert (one.status, one.notes) == (other.status, other.notes)
    assert FitStatus.EXTRAPOLATES is one.status
    assert fit.interval_of(allocation_exponent) == pytest.approx(back.interval_of(allocation_exponent))


def test_a_law_that_is_not_usable_gives_no_interval_after_loading(tmp_path: Path) -> None:
    """What the fit would not say, its file does not either."""
    tokens = np.geomspace(1e9, 1e11, 12)
    fit = fit_chinchilla(np.full(12, 1e8), tokens, 2.5 + 2000 * tokens**-0.37)
    save_chinchilla(SavedChinchilla.of(fit), tmp_path / "law.json")
    back = load_chinchilla(tmp_path / "law.json")

    assert FitStatus.SIZES_EQUAL is back.status
    assert (-np.inf, np.inf) == back.interval_of(allocation_exponent)
    assert np.inf == back.predict(total(1e8), 1e10).high


def refusal(path: Path) -> str:
    with pytest.raises(LawFileError) as refused:
        load_chinchilla(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert 1 == len(message.splitlines())
    assert refused.value.__cause__ is None
    return message


@pytest.mark.timeout(20)
@pytest.mark.parametrize("spoil", HOSTILE_FILES.values(), ids=HOSTILE_FILES.keys())
def test_a_hostile_file_is_one_error_that_names_it(path: Path, spoil: Callable[[Path], Any]) -> None:
    """As for every kind of law file."""
    spoil(path)

    refusal(path)


def test_a_missing_and_an_unknown_field_are_named(path: Path) -> None:
    """Each of them in turn."""
    whole = record_in(path)
    for name in whole:
        path.write_text(json.dumps({k: v for k, v in whole.items() if k != name}))
        assert f"`{name}`" in refusal(path)
    path.write_text(json.dumps(whole | {"constant": 1}))
    assert "'constant' is unknown" in refusal(path)


@pytest.mark.parametrize("value", ["null", "true", '"0.5"', "[]", "{}", "[0.5]", "-1e61", "1e61", '"\\ud800"'])
def test_a_wrong_value_is_refused_by_the_name_of_its_field(path: Path, value: str) -> None:
    """Of a wrong type, or beyond its range."""
    whole = record_in(path)
    for name in whole:
        if name in ("notes", "left_out") and value == "[]":
            continue
        path.write_text(json.dumps(whole | {name: "@"}).replace('"@"', value))
        if name == "source" and value in ('"0.5"', '"\\ud800"'):
            load_chinchilla(path)
        else:
            assert f"`{name}" in refusal(path)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("constants", [1.8, 400, 2000, 0.34], "5 numbers"),
        ("constants", [1.8, 400, 2000, 0.0, 0.3], "constants[3]"),
        ("constants", [-1.8, 400, 2000, 0.3, 0.3], "between"),
        ("draws", [[1.8, 400, 2000, 0.3, 0.3]] * 1_001, "1 to 1000"),
        ("draws", [[1.8, 400, 2000, 0.3, None]], "draws[0][4]"),
        ("size_kind", "embedding", "one of total"),
        ("sizes", [2e9, 1e9], "least and the most"),
        ("statuses", [], "at least one"),
        ("statuses", ["FINE"], "'FINE'"),
        ("source", "x" * 500, "400 letters"),
        ("schema", 2, "must be 1"),
        ("kind", "other", "not a law file"),
        ("kind", "annealing_curve_law", "a law of whole curves"),
    ],
)
def test_what_no_law_can_hold_is_refused_with_the_reason(path: Path, name: str, value: Any, reason: str) -> None:
    """The message names the field and says what it must be."""
    path.write_text(json.dumps(record_in(path) | {name: value}))

    message = refusal(path)
    assert f"`{name}" in message
    assert reason in message


def test_extreme_constants_within_their_ranges_do_not_raise(path: Path) -> None:
    """A strange law predicts strange losses, and no exception of numpy."""
    whole = record_in(path)
    for constants in ([0.0, 1e-30, 1e-30, 1e-4, 1e-4], [1e6, 1e60, 1e60, 10.0, 10.0], [0.0, 1e60, 1e-30, 1e-4, 10.0]):
        path.write_text(json.dumps(whole | {"constants": constants, "draws": [constants] * 3}))
        told = load_chinchilla(path).predict(total(1e9), 1e10)
        assert np.isfinite(float(told.loss))
