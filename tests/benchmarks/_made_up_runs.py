"""Made-up runs of 31 kinds, of 200 to a million steps and 50 to 2,000 rows; which half a kind is in was drawn by lot.

Where the rate matters the losses are of the noisy quadratic model (Zhang et al. 2019, arXiv 1907.04164), whose modes
are learned at their own speeds, in 1,500 parts of the run; the rest are forms that people's losses have. Another set
than that of `_made_up_curves.py`: other schedules, lengths and densities of the log.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from scalewatch.arrays import Floats

__all__ = ["KINDS", "LEFT_OUT", "MadeUp"]

Rng = np.random.Generator
PARTS = 1_500
LENGTHS = (200, 500, 1_000, 3_000, 10_000, 30_000, 100_000, 1_000_000)
ROWS = (100, 200, 500, 1_000, 2_000)


class MadeUp(NamedTuple):
    """A run: its rows, the plan of its rates, None where there is none, and what else is known of it."""

    steps: Floats
    losses: Floats
    rates: Floats
    planned: bool = True
    logged: tuple[str, ...] = ("loss",)
    epoch: int | None = None
    tokens: Floats | None = None


class Course:
    """The length of one run and its rates."""

    def __init__(self, rng: Rng, schedule: str, least: int = 1_000, most: int = 100_000, total: int = 0) -> None:
        self.rng = rng
        self.total = total or int(rng.choice([n for n in LENGTHS if least <= n <= most]))
        self.part = np.arange(1, self.total + 1) / self.total
        self.rates = 10.0 ** rng.uniform(-4.0, -2.5) * self._shape(rng, schedule)

    def _shape(self, rng: Rng, schedule: str) -> Floats:
        x, warm = self.part, 0.0 if schedule == "one cycle" else float(rng.choice([0.0, 0.01, 0.03, 0.1]))
        left = np.clip((x - warm) / (1.0 - warm), 0.0, 1.0)
        cosine = 0.5 * (1.0 + np.cos(np.pi * left))
        falls = [rng.choice([0.1, 0.3, 0.5]) ** (x > rng.uniform(0.3, 0.9)) for _ in range(int(rng.integers(1, 4)))]
        shape = {
            "constant": np.ones_like(x),
            "cosine": cosine if rng.random() < 0.5 else 0.1 + 0.9 * cosine,
            "linear": 1.0 - left,
            "wsd": np.clip((1.0 - x) / rng.choice([0.1, 0.2, 0.3]), 0.0, 1.0),
            "restarts": 0.5 * (1.0 + np.cos(np.pi * (rng.choice([2, 3, 5]) * x % 1.0))),
            "one cycle": np.where(
                x < 0.3, 0.04 + 3.2 * x, 0.5 * (1.0 + np.cos(np.pi * np.clip((x - 0.3) / 0.7, 0, 1)))
            ),
            "inverse root": np.sqrt(np.minimum(1.0, max(warm, 0.01) / x)),
            "exponential": np.exp(-rng.uniform(2.0, 5.0) * left),
            "steps": np.where(x < 0.5, 1.0, np.where(x < 0.75, 0.1, 0.01)),
            "plateau": np.prod(falls, axis=0),
        }[schedule]
        return np.asarray((np.minimum(x / warm, 1.0) if warm else 1.0) * np.maximum(shape, 1e-6))

    def quadratic(self, noise: float | None = None, rates: Floats | None = None) -> Floats:
        """What is above the floor, from one on."""
        rng, rates = self.rng, self.rates if rates is None else rates
        modes = np.arange(1.0, 121.0)
        curvature, error = modes ** -rng.uniform(0.9, 1.8), modes ** -rng.uniform(0.5, 2.0)
        error /= curvature @ error
        edges = np.linspace(0, self.total, PARTS + 1).astype(int)
        speed = 10.0 ** rng.uniform(1.5, 4.0)
        spread = 10.0 ** rng.uniform(-3.0, -1.0) if noise is None else noise
        losses = np.empty(PARTS)
        for place, (begin, end) in enumerate(pairwise(edges.tolist())):
            rate = float(rates[begin : max(end, begin + 1)].mean() / rates.max())
            losses[place] = curvature @ error
            rest = 2.0 * spread * rate * curvature / curvature.sum()
            error = rest + (error - rest) * np.exp(-2.0 * rate * curvature * speed * (end - begin) / self.total)
        return np.interp(np.arange(1, self.total + 1), (edges[:-1] + edges[1:]) / 2.0, losses)

    def text(self, share: float = 0.9) -> Floats:
        """A loss of text, from ten on."""
        rng, floor = self.rng, self.rng.uniform(1.8, 2.8)
        early = 6.0 * np.exp(-self.part / rng.uniform(0.003, 0.02))
        return np.asarray(floor + share * self.quadratic() ** 0.6 + early)

    def power(self, exponent: float | None = None) -> Floats:
        """A power law of the steps, from one on."""
        rng = self.rng
        return np.asarray((1.0 + self.part / rng.uniform(0.0003, 0.01)) ** -(exponent or rng.uniform(0.15, 0.6)))

    def sudden(self, at: float, width: float) -> Floats:
        """A fall from 1 to 0."""
        return np.asarray(1.0 / (1.0 + np.exp(np.clip((self.part - at) / width, -500.0, 500.0))))

    def run(
        self,
        losses: Floats,
        noise: tuple[float, float],
        *,
        form: str = "normal",
        rows: tuple[int, ...] = ROWS,
        planned: bool = True,
        logged: tuple[str, ...] = ("loss",),
        epoch: int | None = None,
        tokens: Floats | None = None,
    ) -> MadeUp:
        """What is logged of it: each so manieth step, or the mean since the row before."""
        rng = self.rng
        sd, every = rng.uniform(*noise), max(self.total // int(rng.choice(rows)), 1)
        steps = np.arange(every, self.total + 1, every)
        kept = losses[steps - 1]
        if rng.random() < 0.5:
            sums = np.concatenate([[0.0], np.cumsum(losses)])
            kept, sd = (sums[steps] - sums[steps - every]) / every, sd / np.sqrt(min(every, 50))
        drawn = rng.standard_normal(len(steps))
        if form == "memory":
            drawn = np.convolve(rng.standard_normal(len(steps) + 200), 0.9 ** np.arange(200), "valid")[: len(steps)]
            drawn *= np.sqrt(1.0 - 0.81)
        if form == "added":
            kept = kept + sd * drawn
        elif form == "skewed":
            kept = kept * rng.gamma(sd**-2, sd**2, len(steps))
        else:
            kept = kept * np.exp(sd * drawn)
        told = None if tokens is None else tokens[steps - 1]
        return MadeUp(steps.astype(np.float64), kept, self.rates, planned, logged, epoch, told)


def _memorised(r: Rng) -> MadeUp:
    epochs, length = int(r.integers(2, 9)), int(r.choice([50, 200, 1_000, 5_000]))
    course = Course(r, str(r.choice(["cosine", "linear", "constant"])), total=epochs * length)
    stairs, level, height = np.zeros(course.total), 0.0, r.uniform(0.04, 0.3)
    for epoch in range(1, epochs):
        rate = float(course.rates[(epoch - 1) * length : epoch * length].mean() / course.rates.max())
        level += (
            height * (1.0 if epoch == 1 else 1.3) * min(1.0, 1.2 * rate) ** 0.5 * 0.93**epoch * r.uniform(0.85, 1.15)
        )
        stairs[epoch * length :] = level
    losses = (r.uniform(0.8, 2.0) + 1.2 * course.quadratic(0.01)) * np.exp(-stairs)
    return course.run(losses, (0.02, 0.06), rows=(100, 200, 300, 1_000), epoch=length if r.random() < 0.6 else None)


def _preferences(r: Rng) -> MadeUp:
    epochs, length = int(r.integers(1, 4)), int(r.choice([100, 300, 1_000]))
    course = Course(r, str(r.choice(["linear", "cosine"])), total=epochs * length)
    losses = 0.693 - r.uniform(0.1, 0.35) * (1.0 - np.exp(-course.part / r.uniform(0.1, 0.5)))
    for epoch in range(1, epochs):
        losses[epoch * length :] *= 1.0 - r.uniform(0.1, 0.4)
    return course.run(losses, (0.05, 0.2), rows=(100, 300), epoch=length, logged=("loss", "rewards/accuracies"))


def _longer(r: Rng) -> MadeUp:
    course = Course(r, "cosine", 3_000)
    losses = course.text()
    for at in (0.1, 0.2, 0.3):
        losses = losses * np.where(course.part > at, 1.0 - r.uniform(0.005, 0.03), 1.0)
    return course.run(losses, (0.01, 0.03))


def _ramp(r: Rng) -> MadeUp:
    course, most = Course(r, "constant", 3_000), float(r.choice([2, 4, 8]))
    size = np.where(course.part < 0.3, 1.0 + (most - 1.0) * np.floor(course.part / 0.3 * 4.0) / 4.0, most)
    losses = 2.3 + course.quadratic(0.05, course.rates / size) ** 0.6 + 5.0 * np.exp(-course.part / 0.006)
    return course.run(losses, (0.01, 0.01), tokens=np.cumsum(1e5 * size))


def _contrastive(r: Rng) -> MadeUp:
    course, classes = Course(r, "cosine"), np.log(r.choice([64, 256, 1_024]))
    done = 1.0 - 1.0 / (1.0 + (course.part / r.uniform(0.01, 0.08)) ** r.uniform(1.0, 2.0))
    losses = classes * (1.0 - done + r.uniform(0.03, 0.3) * done * (1.0 + course.power()))
    return course.run(losses, (0.02, 0.08), logged=("loss", "temperature"))


def _late(r: Rng) -> MadeUp:
    course, at = Course(r, "linear", 3_000, 1_000_000), r.uniform(0.03, 0.15)
    losses = (
        1.6 + 0.7 * course.quadratic() ** 0.6 + 4.3 * course.sudden(at, 0.15 * at) + 3.0 * np.exp(-course.part / 0.004)
    )
    return course.run(losses, (0.01, 0.04))


def _transcribed(r: Rng) -> MadeUp:
    course, at = Course(r, str(r.choice(["exponential", "inverse root", "cosine"]))), r.uniform(0.02, 0.1)
    falling = r.uniform(0.3, 1.8) * (1.0 + course.part / at) ** -0.8
    return course.run(0.2 + falling + 2.7 * course.sudden(at, 0.2 * at), (0.04, 0.12))


def _of_schedule(schedule: str, form: str = "normal") -> Callable[[Rng], MadeUp]:
    def kind(r: Rng) -> MadeUp:
        course = Course(r, schedule, 500, 1_000_000)
        return course.run(course.text(r.uniform(0.5, 1.2)), (0.005, 0.04), form=form)

    return kind


def _of_quadratic(
    schedule: str,
    floor: tuple[float, float],
    height: tuple[float, float],
    spread: tuple[float, float],
    noise: tuple[float, float],
    planned: bool = True,
) -> Callable[[Rng], MadeUp]:
    def kind(r: Rng) -> MadeUp:
        course = Course(r, schedule)
        return course.run(
            r.uniform(*floor) + r.uniform(*height) * course.quadratic(r.uniform(*spread)), noise, planned=planned
        )

    return kind


def _of(
    schedules: str, losses: Callable[[Rng, Course], Floats], noise: tuple[float, float], **how: object
) -> Callable[[Rng], MadeUp]:
    least, most = how.pop("least", 1_000), how.pop("most", 100_000)

    def kind(r: Rng) -> MadeUp:
        course = Course(r, str(r.choice(schedules.split(", "))), least, most)  # type: ignore[arg-type]
        return course.run(losses(r, course), noise, **how)  # type: ignore[arg-type]

    return kind


KINDS: dict[str, Callable[[Rng], MadeUp]] = {
    "constant": _of_schedule("constant"),
    "wsd": _of_schedule("wsd"),
    "linear to zero": _of_schedule("linear"),
    "inverse root": _of_schedule("inverse root"),
    "smoothed log": _of_schedule("cosine", "memory"),
    "restarts": _of_quadratic("restarts", (0.2, 2.0), (1.0, 1.0), (0.02, 0.2), (0.02, 0.08)),
    "one cycle": _of_quadratic("one cycle", (0.05, 0.6), (1.0, 2.2), (0.02, 0.3), (0.03, 0.12)),
    "reduced on a plateau": _of_quadratic("plateau", (0.3, 2.0), (1.0, 1.0), (0.03, 0.2), (0.02, 0.08), planned=False),
    "smoothed labels": _of_quadratic("steps", (1.0, 2.2), (2.0, 4.5), (0.02, 0.15), (0.02, 0.06)),
    "detection": _of_quadratic("steps", (0.3, 0.8), (1.5, 1.5), (0.02, 0.1), (0.08, 0.2)),
    "schedule-free": _of(
        "constant", lambda r, c: r.uniform(0.5, 3) + 2 * c.quadratic(1e-4) + 0.3 * c.power(), (0.01, 0.05)
    ),
    "memorised": _memorised,
    "preferences": _preferences,
    "longer sequences": _longer,
    "batches that grow": _ramp,
    "contrastive": _contrastive,
    "masked words": _late,
    "transcribed": _transcribed,
    "fine-tuned": _of(
        "linear, cosine",
        lambda r, c: (
            r.uniform(0.6, 1.4) + r.uniform(0.1, 0.6) * np.exp(-c.part / r.uniform(0.01, 0.05)) + 0.1 * c.power()
        ),
        (0.05, 0.2),
        least=200,
        most=10_000,
    ),
    "rewards": _of(
        "cosine, linear, constant",
        lambda r, c: r.uniform(0.3, 0.55) + 0.15 * c.power() + 0.1 * c.quadratic(),
        (0.1, 0.3),
        form="skewed",
        logged=("loss", "accuracy"),
        least=200,
        most=10_000,
    ),
    "policy": _of(
        "constant", lambda _, c: np.full(c.total, -0.01), (0.01, 0.03), form="added", logged=("policy_loss", "reward")
    ),
    "below zero": _of(
        "cosine", lambda r, c: r.uniform(2, 6) * c.quadratic() ** 0.5 - r.uniform(0.5, 3), (0.1, 0.1), form="added"
    ),
    "diffusion": _of(
        "constant",
        lambda r, c: r.uniform(0.02, 0.1) * (1 + 2 * c.power(0.5) + 8 * np.exp(-c.part / 0.003)),
        (0.15, 0.4),
        form="skewed",
        least=3_000,
        most=1_000_000,
    ),
    "experts": _of(
        "cosine, wsd",
        lambda r, c: c.text() + r.uniform(0.01, 0.2) * (1 + 3 * np.exp(-c.part / 0.02) + 0.2 * c.part),
        (0.005, 0.02),
        logged=("loss", "aux_loss"),
        most=1_000_000,
    ),
    "several heads": _of(
        "cosine", lambda _, c: c.text() + 0.3 * (3.2 + 1.5 * c.quadratic() ** 0.4), (0.005, 0.02), most=1_000_000
    ),
    "distilled": _of(
        "linear, cosine",
        lambda r, c: (
            r.uniform(0.05, 0.4) * (1 + 0.5 * c.power())
            + r.uniform(1, 4) * (1 + c.part / r.uniform(0.003, 0.02)) ** -1.2
            + 0.1 * c.quadratic()
        ),
        (0.04, 0.12),
        logged=("kd_loss", "temperature"),
    ),
    "weight warm-up": _of(
        "constant",
        lambda r, c: 80 + 60 * c.power() + r.uniform(5, 25) * np.minimum(c.part / r.uniform(0.1, 0.4), 1.0),
        (0.03, 0.03),
        logged=("loss", "kl"),
    ),
    "better data late": _of(
        "wsd",
        lambda r, c: c.text() * np.where(c.part > 0.8, 1 - r.uniform(-0.03, 0.1), 1.0),
        (0.01, 0.03),
        most=1_000_000,
    ),
    "few rows": _of(
        "cosine, wsd, linear",
        lambda r, c: r.uniform(0.3, 2.5) + 1.5 * c.quadratic(),
        (0.01, 0.05),
        rows=(50, 80, 120),
        least=100_000,
        most=1_000_000,
    ),
    "power of nothing": _of(
        "exponential, constant, cosine", lambda r, c: r.uniform(0.5, 2) * c.power(r.uniform(0.6, 1.3)), (0.05, 0.2)
    ),
    "learned late": _of(
        "cosine",
        lambda r, c: r.uniform(1, 2) + c.quadratic() + r.uniform(0.1, 0.4) * c.sudden(r.uniform(0.15, 0.5), 0.04),
        (0.02, 0.06),
    ),
}

#: By lot, before anything was looked at.
LEFT_OUT = (
    *("batches that grow", "better data late", "below zero", "detection", "distilled", "fine-tuned", "learned late"),
    *("linear to zero", "memorised", "power of nothing", "preferences", "reduced on a plateau", "rewards"),
    *("smoothed labels", "smoothed log", "transcribed"),
)
