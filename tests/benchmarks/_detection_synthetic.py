"""Made-up runs with known incidents: what is found of each kind in each noise, and how often nothing is cried over.

The clean curve is 3.2 t^-0.1 + 1.8 nats with noise of .03 nats: Gaussian, Student's t(4) and t(3) of that sd, and
AR(1) of coefficient .9 and that sd.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from _detection_rules import MakeRule

from scalewatch.arrays import Floats

NOISE_NATS = 0.03
ROWS = 4_000
#: Where incidents begin, drawn anew for each seed [rows].
FIRST_ONSET, LAST_ONSET = 2_500, 3_000
NAN = float("nan")


def gaussian(random: np.random.Generator, rows: int) -> Floats:
    return random.standard_normal(rows)


def student(df: int) -> Callable[[np.random.Generator, int], Floats]:
    return lambda random, rows: random.standard_t(df, rows) * ((df - 2) / df) ** 0.5


def autoregressive(random: np.random.Generator, rows: int, rho: float = 0.9) -> Floats:
    from scipy.signal import lfilter

    fresh = random.standard_normal(rows + 200) * (1 - rho * rho) ** 0.5
    return np.asarray(lfilter([1.0], [1.0, -rho], fresh)[200:])


NOISES = {"Gaussian": gaussian, "t(4)": student(4), "t(3)": student(3), "AR(.9)": autoregressive}


@dataclass(frozen=True)
class Case:
    """One kind of incident: what it adds to the loss from its onset on, and within how many rows it must be paged."""

    name: str
    added: Callable[[Floats], Floats]
    within: int
    page: bool = True
    rate: Callable[[Floats], Floats] | None = None
    resume: int = 0


def spike(nats: float, length: int) -> Case:
    """Up at once and back like exp(-3 k / length); of one row: a bad batch, to be noted and not paged."""
    decay = (lambda k: np.where(k < 1, nats, 0.0)) if length == 1 else (lambda k: nats * np.exp(-3.0 * k / length))
    return Case(f"spike +{nats:g} x {length}", decay, max(length, 4), length > 1)


def ramp(nats: float, length: int) -> Case:
    return Case(f"ramp +{nats:g} over {length}", lambda k: nats * np.minimum(k / length, 1.0), length)


def shift(nats: float) -> Case:
    return Case(f"step +{nats:g}", lambda k: np.full(len(k), nats), 300)


def rewarm() -> Case:
    """The rate comes back to its peak by plan and the loss rises by .15 for some hundred steps: nobody to wake."""
    return Case(
        "planned re-warm-up", lambda k: 0.15 * np.exp(-k / 200), 600, False, lambda k: np.where(k < 0, 0.1, 1.0)
    )


def resumed() -> Case:
    """Killed and resumed 300 steps back, with the same loss as there: nobody is to be woken."""
    return Case("resume 300 back", lambda k: np.zeros(len(k)), 600, False, None, 300)


SPIKES = [spike(nats, length) for nats in (0.1, 0.2, 0.5, 1.0, 2.0) for length in (1, 5, 15, 50, 200)]
OTHERS = [ramp(0.8, 2000), ramp(0.8, 500), ramp(0.2, 1000), shift(0.05), shift(0.1), shift(0.3), rewarm(), resumed()]


@dataclass
class Log:
    """A made-up run: rows as a rule is given them, and the row at which the incident begins."""

    steps: list[int]
    losses: list[float]
    rates: list[float]
    onset: int

    def __iter__(self) -> Iterator[tuple[int, float, float, float]]:
        return zip(self.steps, self.losses, self.rates, [NAN] * len(self.steps), strict=True)


def clean(noise: str, seed: int, rows: int) -> Log:
    """A run in which nothing happens."""
    random = np.random.default_rng(seed)
    loss = _curve(rows) + NOISE_NATS * NOISES[noise](random, rows)
    return Log(list(range(1, rows + 1)), loss.tolist(), [1e-3] * rows, rows)


def with_incident(case: Case, noise: str, seed: int) -> Log:
    """A run with one incident, long enough for it to be found in time."""
    random = np.random.default_rng(1_000 + seed)
    onset = int(random.integers(FIRST_ONSET, LAST_ONSET))
    rows = onset + case.within + 64
    k = np.arange(rows) - onset
    added = np.where(k >= 0, case.added(np.maximum(k, 0).astype(np.float64)), 0.0)
    loss = _curve(rows) + added + NOISE_NATS * NOISES[noise](random, rows)
    rates = 1e-3 * (np.ones(rows) if case.rate is None else case.rate(k.astype(np.float64)))
    steps = np.arange(1, rows + 1) - case.resume * (k >= 0)
    if case.rate is not None:
        rates[:200] = 1e-3  # the peak has been seen before
    return Log(steps.tolist(), loss.tolist(), rates.tolist(), onset)


def said(make: MakeRule, log: Log) -> list[tuple[int, str]]:
    """(row, severity) of all that a rule says."""
    rule = make(len(log.steps))
    return [(row, word) for row, values in enumerate(log) if (word := rule(*values)) is not None]


def delay(make: MakeRule, case: Case, noise: str, seed: int) -> int | None:
    """Rows from the onset to the first page (to the first word of any kind where no page is due); None if none."""
    log = with_incident(case, noise, seed)
    for row, word in said(make, log):
        if log.onset <= row <= log.onset + case.within and (word == "warning" or not case.page):
            return row - log.onset
    return None


def paged(make: MakeRule, case: Case, noise: str, seed: int) -> bool:
    """Whether anybody was woken from the onset on."""
    log = with_incident(case, noise, seed)
    return any(row >= log.onset and word == "warning" for row, word in said(make, log))


def false_pages(make: MakeRule, noise: str, rows: int, seeds: int) -> float:
    """Pages per 10,000 clean rows; pages closer than 20 rows are one."""
    pages = 0
    for seed in range(seeds):
        last = -(10**9)
        for row, word in said(make, clean(noise, seed, rows)):
            if word == "warning":
                pages += row - last > 20
                last = row
    return 1e4 * pages / (rows * seeds)


def _curve(rows: int) -> Floats:
    return 3.2 * np.arange(1, rows + 1) ** -0.1 + 1.8
