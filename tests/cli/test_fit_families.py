"""`scalewatch fit --family`: a law of every family from its table, and what is said of a wrong one."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalewatch.fitting import LAW_FAMILIES, read_law
from tests.fitting.test_table import data_of

#: Families that have a command line of their own, tested elsewhere.
OWN = ("chinchilla", "curves")


def write(path: Path, columns: dict[str, Any]) -> Path:
    """A table as CSV."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        table.writerows(zip(*(np.asarray(values).tolist() for values in columns.values()), strict=True))
    return path


def table_of(family: str, path: Path) -> Path:
    """A table that the family fits."""
    if not LAW_FAMILIES[family].curves:
        return write(path, data_of(family))
    columns: dict[str, list[Any]] = {name: [] for name in ("run", "step", "loss", "learning_rate")}
    for curve in data_of(family):
        columns["run"] += [curve.run.name] * len(curve.steps)
        columns["step"] += curve.steps.tolist()
        columns["loss"] += curve.loss.tolist()
        columns["learning_rate"] += curve.run.learning_rates.tolist()
    return write(path, columns)


@pytest.mark.parametrize("family", [name for name in LAW_FAMILIES if name not in OWN])
def test_every_family_makes_a_law_file_of_its_table(
    family: str, scalewatch: Callable[..., Any], tmp_path: Path
) -> None:
    """It says the formula, the source and how far to trust it; the file is read back as that law."""
    law = tmp_path / "law.json"
    said = scalewatch("fit", "--family", family, table_of(family, tmp_path / "table.csv"), "-o", law)

    assert 0 == said.code
    assert LAW_FAMILIES[family].law is type(read_law(law))
    assert f"Source: {read_law(law).publication}" in said.out
    assert str(LAW_FAMILIES[family].formula.split()[0]) in said.out


@pytest.mark.parametrize("family", [name for name in LAW_FAMILIES if name not in OWN])
def test_a_table_of_something_else_is_refused_with_the_columns_that_are_missing(
    family: str, scalewatch: Callable[..., Any], tmp_path: Path
) -> None:
    """One line, exit code 2, and no law file."""
    law = tmp_path / "law.json"
    said = scalewatch(
        "fit", "--family", family, write(tmp_path / "table.csv", {"apples": [1], "pears": [2]}), "-o", law
    )

    assert 2 == said.code
    assert "--column" in said.err
    assert not law.exists()


def test_the_help_names_every_family_and_its_columns(scalewatch: Callable[..., Any]) -> None:
    """Whoever has a table finds the family that reads it."""
    said = scalewatch("fit", "--help")

    assert [] == [name for name in LAW_FAMILIES if name not in said.out]
    assert [] == [name for row in LAW_FAMILIES.values() for name in row.columns if name not in said.out]


def test_a_family_that_there_is_not_is_refused_with_those_that_there_are(
    scalewatch: Callable[..., Any], table: Path
) -> None:
    """Before anything is read."""
    said = scalewatch("fit", "--family", "horoscope", table)

    assert 2 == said.code
    assert "one of chinchilla, " in said.err


def test_a_chart_of_a_family_without_one_is_refused(
    scalewatch: Callable[..., Any], table: Path, tmp_path: Path
) -> None:
    """Before the fit, which may take a while."""
    said = scalewatch("fit", "--family", "kaplan", table, "--out", tmp_path / "law.png")

    assert 2 == said.code
    assert "chinchilla and curves" in said.err


def test_a_column_of_another_name_can_be_named(scalewatch: Callable[..., Any], tmp_path: Path) -> None:
    """As for the families whose columns are guessed."""
    data = data_of("broken")
    table = write(tmp_path / "table.csv", {"flops": data["x"], "error": data["y"]})
    said = scalewatch(
        "fit", "--family", "broken", table, "--column", "x=flops", "--column", "y=error", "-o", tmp_path / "l"
    )

    assert 0 == said.code
    assert "x = column 'flops'" in said.out
