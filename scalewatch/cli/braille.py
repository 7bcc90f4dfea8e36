"""Curves out of Braille letters: eight dots a letter, so a terminal of 100 columns draws 200 points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["Layer", "plot"]

#: Bit of each dot of a Braille letter, by row and column (Unicode 15, U+2800).
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_EMPTY = 0x2800
#: Columns left of the picture for numbers.
MARGIN = 8
#: Part of the steps, from the start, whose fall the vertical axis does not make room for.
FALL = 0.05
#: A least or greatest value is drawn where it is this often farther from the mean than it usually is.
FAR = 4.0


@final
class Layer(NamedTuple):
    """A curve, or an area where `high` is given.

    Attributes:
        x, y: shape (n,), x rising. high: shape (n,) for an area from y to high, or None. style: of the terminal.
    """

    x: Floats
    y: Floats
    high: Floats | None
    style: str


def plot(layers: Sequence[Layer], width: int, height: int, last: float) -> list[Text]:
    """Draw layers over each other, the later above, as lines of text.

    Args:
        layers: what is drawn; the last one decides the vertical range with the areas.
        width, height: of the whole picture [letters]. last: x at its right edge.
    """
    from rich.text import Text

    across, down = max(width - MARGIN, 4), max(height - 1, 2)
    low, high = _range(layers, last)
    bits = np.zeros((down, across), dtype=int)
    owner = np.full((down, across), -1)
    for number, layer in enumerate(layers):
        for column, top, bottom in _strokes(layer, 2 * across, last):
            rows = [_row(value, low, high, 4 * down) for value in (top, bottom)]
            for row in range(min(rows), max(rows) + 1):
                if 0 <= row < 4 * down:
                    cell = row // 4, column // 2
                    if owner[cell] != number:
                        bits[cell], owner[cell] = 0, number  # a letter has one colour
                    bits[cell] |= _DOTS[row % 4][column % 2]
    lines = []
    for row in range(down):
        value = high - (high - low) * (row + 0.5) / down
        label = (f"{value:.3f}" if abs(value) < 100 else f"{value:.0e}") if row in (0, down // 2, down - 1) else ""
        line = Text(f"{label:>{MARGIN - 2}} ", style="dim")
        line.append("┤" if label else "│", style="dim")
        for letter, number in zip(bits[row].tolist(), owner[row].tolist(), strict=True):
            line.append(chr(_EMPTY + letter), style=layers[number].style if number >= 0 else "")
        lines.append(line)
    right = f"step {last:,.0f}"
    lines.append(Text(" " * MARGIN + "0" + " " * max(across - len(right) - 1, 1) + right, style="dim"))
    return lines


def _range(layers: Sequence[Layer], last: float) -> tuple[float, float]:
    values: list[Floats] = []
    for layer in layers:
        settled = layer.x >= min(FALL * last, float(layer.x[-1]) / 2) if len(layer.x) else slice(0)
        values += [layer.y[settled]] if layer.high is None else [layer.y[settled], layer.high[settled]]
    joined = np.concatenate([v[np.isfinite(v)] for v in values]) if values else np.zeros(0)
    if not len(joined):
        return 0.0, 1.0
    low, high = float(joined.min()), float(np.quantile(joined, 0.995))
    room = 0.04 * (high - low) or 0.01 * max(abs(high), 1e-6)
    return low - room, high + room


def _row(value: float, low: float, high: float, dots: int) -> int:
    place = (high - value) / (high - low) * (dots - 1)
    return round(min(max(place, -1.0), dots)) if math.isfinite(place) else -1


def _strokes(layer: Layer, columns: int, last: float) -> list[tuple[int, float, float]]:
    """(column, from, to) of each vertical stroke: neighbours join, and what is far out is a stroke of its own."""
    inside = np.isfinite(layer.y) & (layer.x <= last)
    x, y = layer.x[inside], layer.y[inside]
    if not len(x) or last <= 0:
        return []
    at = np.minimum((x / last * columns).astype(int), columns - 1)
    if layer.high is not None:
        high = layer.high[inside]
        return [(int(c), float(y[at == c].mean()), float(high[at == c].mean())) for c in np.unique(at)]
    starts = np.flatnonzero(np.concatenate([[True], np.diff(at) > 0]))
    counts = np.diff(np.append(starts, len(at)))
    mean = np.add.reduceat(y, starts) / counts
    strokes = []
    for place in range(len(starts)):
        before = mean[place - 1] if place and at[starts[place]] - at[starts[place - 1]] <= 2 else mean[place]
        strokes.append((int(at[starts[place]]), 0.5 * float(before + mean[place]), float(mean[place])))
    for reduce in (np.minimum.reduceat, np.maximum.reduceat):
        far = np.abs(reduce(y, starts) - mean)
        limit = FAR * float(np.median(far))
        strokes += [
            (int(at[starts[i]]), float(mean[i]), float(reduce(y, starts)[i])) for i in np.flatnonzero(far > limit)
        ]
    return strokes


def layer(x: ArrayLike, y: ArrayLike, style: str, high: ArrayLike | None = None) -> Layer:
    """Return a layer of plain sequences."""
    top = None if high is None else np.asarray(high, dtype=np.float64)
    return Layer(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64), top, style)
