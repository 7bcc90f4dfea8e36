"""What holds of every law in the table: it predicts, can be inverted, kept in a file, and says where it is from."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scalewatch.fitting
import scalewatch.laws
from scalewatch.errors import ConfigError, LawFileError
from scalewatch.fitting import LAW_FAMILIES, LAWS, read_law
from scalewatch.laws import Law, save_law

every_law = pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)


def points(law: Law) -> dict[str, np.ndarray]:
    """Inputs all over the law's range; of a schedule, a cosine and steps along it."""
    found = {}
    for quantity in law.inputs:
        low, high = max(quantity.least, 1e-3), min(quantity.most, 1e12)
        found[quantity.name] = np.geomspace(low, high, 5) if high > 1 else np.linspace(quantity.least, high, 5)
    if "learning_rate" in found:
        progress = np.arange(1, 2_001) / 2_000
        found["learning_rate"] = 3e-4 * np.minimum(progress / 0.05, 1.0) * (0.55 + 0.45 * np.cos(np.pi * progress))
        found["step"] = np.array([100, 500, 1_000, 1_500, 2_000])
    return found


def classes() -> set[type]:
    """Every law that the two rooms hold, wherever it stands."""
    found = set()
    for room in (scalewatch.laws, scalewatch.fitting):
        for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
            members = vars(importlib.import_module(module.name)).values()
            found |= {m for m in members if inspect.isclass(m) and issubclass(m, Law) and not inspect.isabstract(m)}
    return found


def test_the_table_holds_every_law() -> None:
    """A law that is written and not listed can neither be read from a file nor is it checked here."""
    assert classes() == set(LAWS)


def test_every_law_has_a_word_of_its_own() -> None:
    """A file says by it which law it holds."""
    assert len(LAWS) == len({law.KIND for law in LAWS})


def test_every_family_fits_a_law_of_the_table() -> None:
    """And names the columns that it reads."""
    assert {family.law for family in LAW_FAMILIES.values()} <= set(LAWS)
    assert all(family.columns and family.about and family.formula for family in LAW_FAMILIES.values())


@every_law
def test_a_law_predicts_finite_positive_values_on_its_range(law: type[Law]) -> None:
    """Over the range that it says it was fitted or checked on."""
    example = law.example()
    values = np.atleast_1d(example.predict(points(example)))

    assert 5 == len(values)
    assert np.all(np.isfinite(values) & (values > 0))


@every_law
def test_a_law_says_what_it_takes_what_it_gives_and_where_it_is_from(law: type[Law]) -> None:
    """Every quantity has a name and a unit; the source names people, a year, a place and an equation."""
    example = law.example()
    quantities = [*example.inputs, example.output]

    assert all(quantity.name and quantity.unit and quantity.least < quantity.most for quantity in quantities)
    assert 1900 < law.SOURCE.year < 2100
    assert all(part for part in (law.SOURCE.authors, law.SOURCE.where, law.SOURCE.equation))


@every_law
def test_the_inverse_of_a_prediction_is_what_was_asked(law: type[Law]) -> None:
    """For each input that the law can be solved for, at a point in the middle of its range."""
    example = law.example()
    middle = {name: float(values[len(values) // 2]) for name, values in points(example).items()}
    for name in law.INVERSE:
        found = example.invert(name, float(example.predict(middle)), middle)
        assert float(example.predict(middle)) == pytest.approx(
            float(example.predict({**middle, name: found})), rel=1e-9
        )


@every_law
def test_what_a_law_does_not_reach_is_refused(law: type[Law]) -> None:
    """An input that it cannot be solved for, and an output that none gives."""
    example = law.example()
    middle = {name: float(values[len(values) // 2]) for name, values in points(example).items()}
    with pytest.raises(ConfigError, match="can be solved for"):
        example.invert("weather", 1.0, middle)
    for name in law.INVERSE:
        with pytest.raises(ConfigError, match="does not reach"):
            example.invert(name, -1.0, middle)


@every_law
def test_a_missing_input_is_named(law: type[Law]) -> None:
    """The message lists what the law takes."""
    with pytest.raises(ConfigError, match=r"takes .* missing"):
        law.example().predict({})


@every_law
def test_a_law_comes_back_from_its_file_as_it_was(law: type[Law], tmp_path: Path) -> None:
    """Through a file, by the word for its kind alone, to the last bit."""
    example = law.example()
    save_law(example, tmp_path / "law.json")
    back = read_law(tmp_path / "law.json")

    assert law is type(back)
    assert example.to_json() == back.to_json()
    assert list(np.atleast_1d(example.predict(points(example)))) == list(np.atleast_1d(back.predict(points(back))))


def refusal(law: type[Law], record: dict[str, Any]) -> str:
    """What is said of a record, empty if it is a law."""
    try:
        law.from_json(record, Path("some.json"))
    except LawFileError as refused:
        return str(refused)
    return ""


@every_law
@pytest.mark.parametrize("value", [None, "x", [], {}, -1e99, 1e99, True, [None], [[1.0]]], ids=repr)
def test_a_file_with_a_field_that_is_none_is_refused_in_a_line(law: type[Law], value: Any) -> None:
    """Whatever stands in whichever field: a law, or a sentence that names the file; no other exception."""
    good = law.example().to_json()
    said = [refusal(law, json.loads(json.dumps({**good, name: value}))) for name in good]

    assert [] == [sentence for sentence in said if sentence and not sentence.startswith("some.json: ")]
    assert any(said)


@every_law
def test_a_file_with_a_field_missing_or_too_many_is_refused(law: type[Law]) -> None:
    """The field is named."""
    good = law.example().to_json()
    for name in good:
        with pytest.raises(LawFileError, match=name):
            law.from_json({key: value for key, value in good.items() if key != name}, Path("some.json"))
    with pytest.raises(LawFileError, match="extra"):
        law.from_json({**good, "extra": 1}, Path("some.json"))


def test_a_file_of_no_kind_is_refused(tmp_path: Path) -> None:
    """It says which kinds there are."""
    path = tmp_path / "law.json"
    path.write_text('{"schema": 1, "kind": "horoscope"}')

    with pytest.raises(LawFileError, match="none of chinchilla, kaplan"):
        read_law(path)
