"""Axes that can be read, and numbers as they are written at them.

An axis gets its ticks from here and not from the drawing library: on a logarithmic axis of less than a decade that
one labels nothing, on one of many decades it labels 1, 2, 3 ... 9 over each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["axis", "loss_text", "on_axes", "power", "quantity", "round_numbers", "span", "ticks"]

Unit = Literal["count", "flops", "loss", "number", "rate"]
LOSS_TITLE = "loss  [nats/token]"
#: Size of what stands at an axis [pixels]: 7 points where the chart fills a page of 6.5 inches.
AXIS_LETTERS = 12
#: Vega expressions of a tick's label: 1e18 for FLOPs, 70M and 1.5B for counts.
LABELS: dict[str, str] = {
    "count": "replace(format(datum.value, '~s'), 'G', 'B')",
    "flops": "datum.value ? replace(format(datum.value, '~e'), '+', '') : '0'",
    "loss": "format(datum.value, '.3~f')",
    "number": "format(datum.value, '~g')",
    "rate": "datum.value ? replace(format(datum.value, '~e'), '−', '-') : '0'",
}


def round_numbers(low: float, high: float, leading: Sequence[float]) -> list[float]:
    """Numbers that people read easily, from `low` to `high`."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [digit * 10.0**decade for decade in decades for digit in leading if low <= digit * 10.0**decade <= high]


def ticks(low: float, high: float, most: int = 7, *, log: bool = True) -> list[float]:
    """Return at most `most` round numbers from `low` to `high`, as evenly as a round number allows.

    >>> ticks(3e18, 4e21)
    [3e+18, 1e+19, 3e+19, 1e+20, 3e+20, 1e+21, 3e+21]
    >>> ticks(2.1, 3.4)
    [2.2, 2.4, 2.6, 2.8, 3.0, 3.2, 3.4]
    """
    if log and high / low > 4.0:
        for leading in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
            found = round_numbers(low, high, leading)
            if len(found) <= most and (len(leading) > 1 or len(found) > 1):
                return found
        apart = math.ceil(len(found) / most)
        return found[::apart]
    rough = max(high - low, 1e-9 * max(abs(high), 1e-30)) / most
    decade = 10.0 ** math.floor(math.log10(rough))
    step = next(s * decade for s in (1, 2, 2.5, 5, 10) if s * decade >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    return [round((first + i) * step, 12) if abs(step) > 1e-9 else (first + i) * step for i in range(count)]


def span(*parts: ArrayLike, log: bool = True, room: float = 0.04) -> tuple[float, float]:
    """Return least and most of all finite numbers in `parts`, with a little room on both sides."""
    joined = np.concatenate([np.ravel(np.asarray(p, dtype=np.float64)) for p in parts])
    joined = joined[np.isfinite(joined) & ((joined > 0) | (not log))]
    low, high = float(joined.min()), float(joined.max())
    if log:
        add = max(room * math.log(high / low), 0.02)
        return low * math.exp(-add), high * math.exp(add)
    add = max(room * (high - low), 1e-3 * max(abs(high), 1e-3))
    return low - add, high + add


def axis(
    low: float,
    high: float,
    title: str | None,
    *,
    unit: Unit = "number",
    log: bool = True,
    most: int = 7,
    grid: bool = False,
    labels: bool = True,
) -> dict[str, Any]:
    """Return scale, axis and title of a positional channel from `low` to `high`."""
    import altair as alt

    # Vega warns in the browser's console of a `zero` on logarithmic axes
    zero = alt.Undefined if log else False
    scale = alt.Scale(type="log" if log else "linear", domain=[low, high], nice=False, zero=zero)
    shown = alt.Axis(
        values=ticks(low, high, most, log=log),
        labelExpr=LABELS[unit],
        labelOverlap=True,
        grid=grid,
        title=title,
        labels=labels,
        ticks=labels,
    )
    return {"scale": scale, "axis": shown}


def quantity(value: float) -> str:
    """Return a count as people say it.

    >>> quantity(124_400_000), quantity(7e9), quantity(950)
    ('124M', '7B', '950')
    """
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def loss_text(value: float) -> str:
    """Return a loss as it stands beside another: three decimals, unless it is very small or large.

    >>> loss_text(2.43), loss_text(0.00123), loss_text(-51_234.0)
    ('2.430', '0.00123', '-5.12e+04')
    """
    return f"{value:.3f}" if value == 0 or 0.1 <= abs(value) < 1_000 else f"{value:.3g}"


def power(value: float) -> str:
    """Return a number of FLOPs without zeros.

    >>> power(6e18), power(1.234e21)
    ('6e18', '1.23e21')
    """
    digits, _, exponent = f"{value:.2e}".partition("e")
    return f"{float(digits):g}e{int(exponent)}"


def on_axes(x_field: str, x: dict[str, Any], y_field: str, y: dict[str, Any]) -> dict[str, Any]:
    """Return where a mark stands: the channels that read two fields on the axes `x` and `y`."""
    import altair as alt

    return {"x": alt.X(f"{x_field}:Q", **x), "y": alt.Y(f"{y_field}:Q", **y)}
