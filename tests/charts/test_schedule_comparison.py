"""Schedules against the plan."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scalewatch.charts import Choice, Frame, schedule_comparison
from scalewatch.errors import ConfigError
from tests.charts.reading import layers_of, values_of

STEPS = np.arange(100.0, 1_001.0)
PLAN = Choice("as planned", 2.5, 0.0, 0.0, 0.0, "B", STEPS, np.linspace(3e-4, 0, len(STEPS)), is_plan=True)


def choice(name: str, off: float, rates: float = 1e-4) -> Choice:
    return Choice(name, 2.5 + off, off, off - 0.01, off + 0.01, "C", STEPS, rates + 0 * STEPS)


def test_the_best_stands_first_with_its_interval_about_the_plan() -> None:
    """Whatever the order in which they were asked for."""
    rows = values_of(
        layers_of(schedule_comparison([PLAN, choice("worse", 0.1), choice("better", -0.1)], Frame("t")), "point")[0]
    )

    assert ["better", "as planned", "worse"] == [row["name"] for row in rows]
    assert [-0.11, 0.0, 0.09] == pytest.approx([row["low"] for row in rows])
    assert "ends at 2.400, evidence C" == rows[0]["ends"]


def test_zero_is_on_the_axis_though_all_are_worse() -> None:
    """Else nobody sees that they are."""
    chart = schedule_comparison([choice("a", 0.5), choice("b", 0.6)], Frame("t"))

    assert layers_of(chart, "point")[0]["encoding"]["x"]["scale"]["domain"][0] < 0


def test_the_rates_of_a_million_steps_are_few_points() -> None:
    """In the colours of the rows above."""
    steps = np.arange(1e6)
    chart = schedule_comparison([PLAN, Choice("long", 2.4, -0.1, -0.2, 0.0, "B", steps, 1e-4 + 0 * steps)], Frame("t"))
    lines = layers_of(chart, "line")
    shades = {row["shade"] for row in values_of(layers_of(chart, "point")[0])}

    assert all(len(values_of(line)) < 400 for line in lines)
    assert shades == {line["mark"]["color"] for line in lines}


def test_a_schedule_without_a_finite_outcome_is_left_out() -> None:
    """And if none has one, that is said."""
    lost = Choice("lost", math.nan, math.nan, math.nan, math.nan, "C", STEPS, STEPS)

    assert 1 == len(values_of(layers_of(schedule_comparison([PLAN, lost], Frame("t")), "point")[0]))
    with pytest.raises(ConfigError, match="no schedule has a finite outcome"):
        schedule_comparison([lost], Frame("t"))
