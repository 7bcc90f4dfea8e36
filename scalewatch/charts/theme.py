"""The colours of the light and the dark theme."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import final

import numpy as np

__all__ = ["DARK", "LIGHT", "Theme", "contrast", "ramp", "readable"]


@final
@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a chart, each a hex string: `ink` is the data, `law` a law, `forecast` what follows from it."""

    background: str
    ink: str
    text: str
    grey: str
    grid: str
    law: str
    forecast: str
    alarm: str
    #: What is lost, and not only in trouble.
    lost: str
    #: The run that others are held against.
    reference: str
    #: From low to high, for what is ordered.
    stops: tuple[str, ...]


#: Colours that tell apart for colour-blind eyes and on a projector (Okabe and Ito 2008); the ramps are viridis.
LIGHT = Theme(
    background="#ffffff",
    ink="#1b2a41",
    text="#44546a",
    grey="#9aa5b1",
    grid="#dde3ea",
    law="#e69f00",
    forecast="#0072b2",
    alarm="#d55e00",
    lost="#a3003c",
    reference="#aa4499",
    stops=("#440154", "#414487", "#2a788e", "#22a884", "#72c04e"),
)
DARK = Theme(
    background="#11161d",
    ink="#e6edf3",
    text="#aab6c3",
    grey="#7d8a97",
    grid="#29323d",
    law="#f0b23a",
    forecast="#56b4e9",
    alarm="#ff8a5c",
    lost="#ff5c8a",
    reference="#e08ac8",
    stops=("#8a7be0", "#5b93e0", "#2fb3b8", "#4fd08a", "#e8e337"),
)


#: Least contrast of words (WCAG 2.2, level AA), and the steps in which a colour is mixed with that of words.
LEAST_CONTRAST, STEPS = 4.5, 20


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2.2).

    >>> contrast("#ffffff", "#000000")
    21.0
    """
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@cache
def readable(shade: str, theme: Theme) -> str:
    """Return a colour for words that stand for a mark of colour `shade`: as near to it as can be read.

    >>> readable(LIGHT.lost, LIGHT) == LIGHT.lost, contrast(readable(LIGHT.law, LIGHT), LIGHT.background) >= 4.5
    (True, True)
    """
    ends = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in (shade, theme.ink)], dtype=float)
    for step in range(STEPS + 1):
        mixed = ends[0] + (ends[1] - ends[0]) * step / STEPS
        colour = "#" + "".join(f"{round(part):02x}" for part in mixed.tolist())
        if contrast(colour, theme.background) >= LEAST_CONTRAST:
            return colour
    return theme.ink


def ramp(count: int, theme: Theme) -> list[str]:
    """Return `count` colours from low to high."""
    stops = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in theme.stops], dtype=np.float64)
    at = np.linspace(0, len(stops) - 1, count) if count > 1 else np.array([0.5 * (len(stops) - 1)])
    mixed = np.stack([np.interp(at, np.arange(len(stops)), stops[:, i]) for i in range(3)], axis=1)
    return ["#" + "".join(f"{round(v):02x}" for v in colour) for colour in mixed.tolist()]
