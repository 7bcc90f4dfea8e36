"""Smoothly broken power laws: the formula, shapes, and units."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalewatch.errors import ConfigError
from scalewatch.laws.broken import Break, BrokenLaw, Scaling

U = BrokenLaw(0.1, 800.0, 0.4, (Break(-0.9, 1e8, 0.3),))


def test_the_law_is_equation_1() -> None:
    """Written out as in the paper, with two breaks."""
    law = BrokenLaw(0.3, 5.0, 0.2, (Break(0.3, 1e3, 0.5), Break(-0.4, 1e6, 0.2)))
    x = np.geomspace(10, 1e8, 9)
    expected = 0.3 + 5.0 * x**-0.2 * (1 + (x / 1e3) ** 2.0) ** -0.15 * (1 + (x / 1e6) ** 5.0) ** 0.08

    assert expected == pytest.approx(law.values(x), rel=1e-12)


def test_without_breaks_it_is_a_power_law() -> None:
    """a + b x^-c."""
    assert 0.5 + 20 * 1e6**-0.2 == pytest.approx(BrokenLaw(0.5, 20.0, 0.2).values(1e6))


def test_the_local_exponent_is_the_slope() -> None:
    """-d ln(y - a) / d ln x by a finite difference, before, in and past the break."""
    for x in (1e6, 1e8, 1e10):
        low, high = np.log(U.values([x * 0.999, x * 1.001]) - U.floor)

        assert U.local_exponent(x) == pytest.approx(-(high - low) / np.log(1.001 / 0.999), rel=1e-4)


def test_far_from_a_break_exponents_add_up() -> None:
    """0.4 before, 0.4 - 0.9 past it."""
    assert (0.4, -0.5) == pytest.approx(tuple(U.local_exponent([1e3, 1e13])))


@pytest.mark.parametrize(
    ("law", "shape"),
    [
        (BrokenLaw(0.5, 20.0, 0.2), Scaling.FALLS),
        (BrokenLaw(0.0, 0.01, -0.2), Scaling.RISES),
        (U, Scaling.U_SHAPED),
        (BrokenLaw(0.0, 0.1, -0.2, (Break(0.5, 1e8, 0.2),)), Scaling.PEAKED),
        (BrokenLaw(0.0, 1e2, 0.3, (Break(-0.5, 3e7, 0.2), Break(0.8, 6e8, 0.2))), Scaling.WAVY),
    ],
    ids=lambda v: v.value if isinstance(v, Scaling) else "",
)
def test_the_shape_is_named(law: BrokenLaw, shape: Scaling) -> None:
    """Falling, inverse scaling, U, its opposite, and double descent."""
    assert shape is law.scaling(1e6, 1e10)


@given(st.floats(1e-6, 1e6))
def test_the_unit_of_x_moves_places_and_nothing_else(unit: float) -> None:
    """x in another unit, b and d_i converted, gives the same y."""
    other = BrokenLaw(U.floor, U.scale * unit**U.exponent, U.exponent, (Break(-0.9, 1e8 * unit, 0.3),))

    assert U.values(3e8) == pytest.approx(other.values(3e8 * unit), rel=1e-9)


def test_breaks_are_kept_in_order() -> None:
    """The order in which they are given does not matter."""
    one, two = Break(0.3, 1e3, 0.5), Break(-0.4, 1e6, 0.2)

    assert BrokenLaw(0.0, 1.0, 0.2, (two, one)) == BrokenLaw(0.0, 1.0, 0.2, (one, two))


@pytest.mark.parametrize(
    "constants",
    [
        (-0.1, 1.0, 0.2, ()),
        (0.0, 0.0, 0.2, ()),
        (0.0, 1.0, float("nan"), ()),
        (0.0, 1.0, 0.2, (Break(0.1, -1.0, 0.2),)),
        (0.0, 1.0, 0.2, (Break(0.1, 1.0, 0.0),)),
        (0.0, 1.0, 0.2, (Break(0.1, 1.0, 0.2),) * 3),
    ],
)
def test_constants_that_no_law_has_are_refused(constants: tuple[float, float, float, tuple[Break, ...]]) -> None:
    """Negative floor, no scale, no number, a break nowhere, of no width, or a third one."""
    with pytest.raises(ConfigError):
        BrokenLaw(*constants)


def test_an_x_that_is_no_scale_is_refused() -> None:
    """Zero has no logarithm, and a range has two ends."""
    with pytest.raises(ConfigError):
        U.values(0.0)
    with pytest.raises(ConfigError, match="least"):
        U.scaling(10.0, 1.0)
