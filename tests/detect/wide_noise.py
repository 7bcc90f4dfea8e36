"""Losses in which nothing happens, under noise of every width, tail and memory: for tests and for a benchmark."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter

from scalewatch.arrays import Floats

#: Puts noise about a level.
Noise = Callable[[np.random.Generator, Floats], Floats]

#: Means of the losses, by the steps from 1 on: flat, and falling from 4 to 1.
LEVELS: dict[str, Callable[[Floats], Floats]] = {
    "flat": lambda steps: np.ones(len(steps)),
    "falling": lambda steps: 1.0 + 3.0 * (steps / 50.0 + 1.0) ** -0.5,
}

#: A log loss beyond this is no number that a program would print [nats].
MOST_NATS = 50.0


def lognormal(sd: float) -> Noise:
    return lambda random, level: level * np.exp(random.normal(0.0, sd, len(level)))


def gaussian(sd: float) -> Noise:
    return lambda random, level: level * np.abs(1.0 + random.normal(0.0, sd, len(level)))


def chi_squared(df: int) -> Noise:
    """Squared errors of so many numbers a batch."""
    return lambda random, level: level * random.chisquare(df, len(level)) / df


def student_log(df: float, width: float) -> Noise:
    return lambda random, level: (
        level * np.exp(np.clip(width * random.standard_t(df, len(level)), -MOST_NATS, MOST_NATS))
    )


def student_of_any_sign(df: float, width: float = 0.3, below: float = 0.8) -> Noise:
    """Around a level so low that many rows are below zero."""
    return lambda random, level: level - below + width * random.standard_t(df, len(level))


def remembering(random: np.random.Generator, rows: int, phi: float) -> Floats:
    """An autoregressive series of sd 1, from its own distribution on."""
    begin = [phi * random.normal()]
    made, _ = lfilter([math.sqrt(1.0 - phi * phi)], [1.0, -phi], random.normal(size=rows), zi=begin)
    return np.asarray(made)


def autoregressive(phi: float, sd: float) -> Noise:
    return lambda random, level: level * np.exp(sd * remembering(random, len(level), phi))


#: Each row by itself.
WITHOUT_MEMORY: dict[str, Noise] = {
    **{f"log-normal {sd}": lognormal(sd) for sd in (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5)},
    **{f"Gaussian {sd}": gaussian(sd) for sd in (0.02, 0.1, 0.3)},
    **{f"chi-squared({df})": chi_squared(df) for df in (1, 2, 3, 4, 8)},
    **{f"t({df:g}) of the log, {width}": student_log(df, width) for width in (0.1, 0.5) for df in (2.5, 3, 4, 5)},
    **{f"t({df:g}) of any sign": student_of_any_sign(df) for df in (2.5, 3, 4, 5)},
}

#: Rows that resemble those before.
WITH_MEMORY: dict[str, Noise] = {
    f"AR({phi:g}) {sd}": autoregressive(phi, sd) for sd in (0.03, 0.3) for phi in (0.5, 0.9, 0.97, 0.99)
}


def losses(name: str, level: str, rows: int, seed: int, every: int = 1) -> Floats:
    """Losses of the noise of this name about the level of that name; each name, level and seed draws its own."""
    noise = {**WITHOUT_MEMORY, **WITH_MEMORY}[name]
    random = np.random.default_rng([zlib.crc32(f"{name}, {level}, {every}".encode()), seed])
    return noise(random, LEVELS[level](every * np.arange(1.0, rows + 1.0)))
