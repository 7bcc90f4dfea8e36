"""Curves of 34 made-up kinds of training: losses and rates of 1,500 steps, and whether the rates were planned.

Where the rate matters they are of the noisy quadratic model (Zhang et al. 2019, arXiv 1907.04164): each mode is learned
at its own speed, and a lower rate takes noise away. The others are forms that people's losses have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scalewatch.arrays import Floats

__all__ = ["KINDS", "LEFT_OUT", "STEPS", "Kind"]

STEPS = 1_500
T = np.arange(1.0, STEPS + 1.0)
X = T / STEPS
Rng = np.random.Generator


class Kind(NamedTuple):
    """A kind of curve: what makes its losses, its rates and whether they were planned; None for no rates."""

    losses: Callable[[Rng, Floats], Floats]
    rates: str
    planned: bool = True
    shown: bool = True
    every: int = 1
    logged: tuple[str, ...] = ()


def rates(name: str, rng: Rng) -> Floats:
    """The learning rate of each step."""
    ramp, left = np.minimum(X / 0.03, 1.0), np.clip((X - 0.03) / 0.97, 0.0, 1.0)
    cosine = 0.5 * (1.0 + np.cos(np.pi * left))
    if name == "plateau":
        falls = [rng.choice([0.1, 0.3, 0.5]) ** (rng.uniform(0.3, 0.95) < X) for _ in range(int(rng.integers(1, 4)))]
        return np.asarray(3e-4 * ramp * np.prod(falls, axis=0))
    falling = {
        "cosine": cosine,
        "linear": 1.0 - left,
        "constant": np.ones(STEPS),
        "wsd": np.clip((1.0 - X) / 0.2, 0.0, 1.0),
        "steps": np.where(X < 0.4, 1.0, np.where(X < 0.7, 0.1, 0.01)),
        "restarts": 0.5 * (1.0 + np.cos(np.pi * (4.0 * X % 1.0))),
        "one cycle": np.where(X < 0.3, 0.04 + 3.2 * X, 0.5 * (1.0 + np.cos(np.pi * np.clip((X - 0.3) / 0.7, 0, 1)))),
        "exponential": np.exp(-4.0 * left),
        "inverse root": np.sqrt(np.minimum(1.0, 0.09 / X)),
    }[name]
    return 3e-4 * ramp * np.maximum(falling, 1e-4)


def quadratic(
    rng: Rng, lr: Floats, noise: float | None = None, floor: float | None = None, scale: float = 1.0, decay: float = 0.0
) -> Floats:
    """Expected loss of the noisy quadratic model with eighty modes."""
    modes = np.arange(1.0, 81.0)
    curvature = modes ** -(decay or rng.uniform(1.0, 1.6))
    error = modes ** -(2.0 * (0.3 if decay == 0.6 else rng.uniform(0.6, 1.0)))
    error *= curvature.sum() / (curvature @ error)
    least = rng.uniform(0.8, 3.0) if floor is None else floor
    spread = rng.uniform(0.01, 0.06) if noise is None else noise
    losses = np.empty(STEPS)
    for step, rate in enumerate((lr / lr.max() * rng.uniform(0.3, 1.0)).tolist()):
        losses[step] = least + scale * (curvature @ error) / curvature.sum()
        error = (1.0 - rate * curvature) ** 2 * error + 20.0 * spread * (rate * curvature) ** 2
    return losses


def power(rng: Rng, floor: tuple[float, float], height: tuple[float, float]) -> Floats:
    """A power law over a floor."""
    at = (T + rng.uniform(2, 40)) / rng.uniform(2, 40)
    return np.asarray(rng.uniform(*floor) + rng.uniform(*height) * at ** -rng.uniform(0.2, 0.6))


def noisy(losses: Floats, rng: Rng, sd: float = 0.0, freedom: float = 0.0) -> Floats:
    """The same with log-normal noise, or noise of heavy tails."""
    drawn = rng.standard_t(freedom, STEPS) / 3.0 if freedom else rng.standard_normal(STEPS)
    return np.asarray(losses * np.exp((sd or rng.uniform(0.01, 0.05)) * drawn))


def sudden(at: float, width: float) -> Floats:
    """A rise from 0 to 1."""
    return np.asarray(1.0 / (1.0 + np.exp(-(X - at) / width)))


def wandering(rng: Rng) -> Floats:
    """A random walk whose end has an sd of 1."""
    return np.asarray(np.cumsum(rng.standard_normal(STEPS)) / np.sqrt(STEPS))


def red(rng: Rng) -> Floats:
    """Noise with a memory of fifty steps, of sd 1."""
    drawn = np.convolve(rng.standard_normal(STEPS + 400), 0.98 ** np.arange(400), "valid")[:STEPS]
    return np.asarray(drawn / drawn.std())


def _context(r: Rng, lr: Floats) -> Floats:
    return noisy(quadratic(r, lr) * np.where(X > r.uniform(0.35, 0.8), 1.0 + r.uniform(-0.06, 0.08), 1.0), r)


KINDS: dict[str, Kind] = {
    "planned and constant": Kind(lambda r, lr: noisy(quadratic(r, lr), r), "constant"),
    "constant, no plan": Kind(lambda r, lr: noisy(quadratic(r, lr), r), "constant", planned=False),
    "cosine, no rates": Kind(lambda r, lr: noisy(quadratic(r, lr), r), "cosine", planned=False, shown=False),
    "reduced on a plateau": Kind(lambda r, lr: noisy(quadratic(r, lr), r), "plateau", planned=False),
    "schedule-free": Kind(lambda r, lr: noisy(quadratic(r, lr, 0.003), r), "constant", planned=False),
    "restarts": Kind(lambda r, lr: noisy(quadratic(r, lr, 0.08), r), "restarts"),
    "one cycle": Kind(
        lambda r, lr: noisy(quadratic(r, lr, r.uniform(0.05, 0.25), r.uniform(0.02, 0.5)), r, 0.08), "one cycle"
    ),
    "steps": Kind(lambda r, lr: noisy(quadratic(r, lr, r.uniform(0.03, 0.15), r.uniform(0.05, 0.8)), r, 0.06), "steps"),
    "wsd": Kind(lambda r, lr: noisy(quadratic(r, lr), r), "wsd"),
    "exponential decay": Kind(lambda r, lr: noisy(quadratic(r, lr), r), "exponential"),
    "inverse root": Kind(lambda r, lr: noisy(quadratic(r, lr), r), "inverse root"),
    "a large gain": Kind(lambda r, lr: noisy(quadratic(r, lr, 0.3, decay=1.1), r), "linear"),
    "few rows": Kind(lambda r, lr: noisy(quadratic(r, lr), r, 0.02), "cosine", every=15),
    "heavy tails": Kind(lambda r, lr: noisy(quadratic(r, lr), r, 0.08, 2.2), "cosine"),
    "noise with a memory": Kind(lambda r, lr: quadratic(r, lr) * np.exp(0.02 * red(r)), "linear"),
    "longer context": Kind(_context, "cosine"),
    "alternating tasks": Kind(lambda r, lr: noisy(quadratic(r, lr) * (1.0 + 0.3 * (T // 25 % 2)), r, 0.05), "cosine"),
    "catapult": Kind(
        lambda r, lr: noisy(quadratic(r, lr) * (1 + r.uniform(0.5, 2) * np.exp(-(((X - 0.06) / 0.015) ** 2))), r),
        "cosine",
    ),
    "weight warm-up": Kind(
        lambda r, lr: noisy(quadratic(r, lr, floor=0.5) + r.uniform(0.1, 0.6) * np.minimum(X / 0.4, 1.0), r, 0.03),
        "constant",
    ),
    "diffusion": Kind(lambda r, lr: noisy(quadratic(r, lr, 0.002, 0.02, 0.1), r, r.uniform(0.2, 0.5)), "constant"),
    "squared error": Kind(lambda r, lr: noisy(quadratic(r, lr, 0.001, 0.1, decay=0.6), r, 0.1), "cosine"),
    "below zero": Kind(
        lambda r, lr: quadratic(r, lr, floor=-1.2, scale=1.5) + 0.1 * r.standard_normal(STEPS), "cosine"
    ),
    "induction bump": Kind(
        lambda r, lr: noisy(quadratic(r, lr) * (1 - 0.25 * sudden(r.uniform(0.05, 0.18), 0.01)), r), "cosine"
    ),
    "saturates": Kind(
        lambda r, _: noisy(r.uniform(0.5, 2) + r.uniform(1, 4) * np.exp(-X / r.uniform(0.03, 0.15)), r), "cosine"
    ),
    "late drop": Kind(
        lambda r, _: noisy(
            power(r, (1.5, 2.5), (1, 5)) * (1 - r.uniform(0.1, 0.4) * sudden(r.uniform(0.3, 0.8), 0.03)), r
        ),
        "constant",
    ),
    "bits of a flow": Kind(lambda r, _: noisy(power(r, (2.8, 3.4), (0.5, 2)), r, 0.02), "constant"),
    "contrastive": Kind(
        lambda r, _: noisy(
            np.log(r.integers(128, 1024)) * (0.25 + 0.75 / (1 + (X / r.uniform(0.05, 0.2)) ** r.uniform(0.6, 1.2))),
            r,
            0.04,
        ),
        "cosine",
    ),
    "interpolates": Kind(lambda r, _: noisy(np.exp(-X * r.uniform(4, 9)), r, 0.15), "cosine"),
    "preferences": Kind(
        lambda r, _: noisy(0.693 - r.uniform(0.2, 0.45) * (1 - np.exp(-X * r.uniform(2, 8))), r, 0.12), "linear"
    ),
    "instructions": Kind(
        lambda r, _: noisy(r.uniform(0.6, 1.2) + r.uniform(0.5, 1.5) * np.exp(-T / 20) - 0.1 * np.log10(T), r, 0.12),
        "linear",
    ),
    "policy": Kind(
        lambda r, _: noisy(np.abs(0.5 + 0.4 * wandering(r)) + 0.05, r, 0.2),
        "constant",
        logged=("policy_loss", "reward"),
    ),
    "value": Kind(lambda r, _: noisy(0.2 + r.uniform(1, 3) * X * np.exp(-X * r.uniform(2, 6)), r, 0.3), "linear"),
    "generator": Kind(
        lambda r, _: noisy(0.7 + r.uniform(0.5, 2) * X**0.5 + 0.2 * np.sin(X * r.uniform(10, 40)), r, 0.15), "constant"
    ),
    "critic": Kind(
        lambda r, _: noisy(np.abs(0.25 + 0.5 * np.exp(-20 * X) + 0.04 * wandering(r)) + 0.05, r, 0.2), "constant"
    ),
}
#: Kinds that no prior was chosen on: by lot.
LEFT_OUT = (
    *("planned and constant", "schedule-free", "one cycle", "steps", "wsd", "noise with a memory", "longer context"),
    *("squared error", "below zero", "induction bump", "late drop", "bits of a flow", "interpolates", "preferences"),
    *("instructions", "policy", "critic"),
)
