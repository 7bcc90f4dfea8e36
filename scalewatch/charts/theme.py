"""The colours of the light and the dark theme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

__all__ = ["DARK", "LIGHT", "Theme", "ramp"]


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


def ramp(count: int, theme: Theme) -> list[str]:
    """Return `count` colours from low to high."""
    stops = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in theme.stops], dtype=np.float64)
    at = np.linspace(0, len(stops) - 1, count) if count > 1 else np.array([0.5 * (len(stops) - 1)])
    mixed = np.stack([np.interp(at, np.arange(len(stops)), stops[:, i]) for i in range(3)], axis=1)
    return ["#" + "".join(f"{round(v):02x}" for v in colour) for colour in mixed.tolist()]
