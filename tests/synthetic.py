"""Made-up runs whose law is known, for tests: schedules, curves written out from the papers, and logs of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from scalewatch import Finding, Monitor, Observation, Run
from scalewatch.arrays import Floats
from scalewatch.fitting import fit_curves
from scalewatch.laws import Curve, CurveLaw

PEAK = 3e-4
TOKENS_PER_STEP = 2_000


def cosine(total: int, warmup: int = 20, floor: float = 0.1) -> Floats:
    """Learning rates of `total` steps: up to the peak, then down half a cosine to `floor` of it."""
    step = np.arange(1, total + 1)
    share = np.clip((step - warmup) / max(total - warmup, 1), 0.0, 1.0)
    falling = floor + (1.0 - floor) * 0.5 * (1.0 + np.cos(np.pi * share))
    return PEAK * np.minimum(step / warmup, falling)


def constant(total: int, warmup: int = 20) -> Floats:
    """Learning rates of `total` steps: up to the peak and no way down."""
    return PEAK * np.minimum(np.arange(1, total + 1) / warmup, 1.0)


def wsd(total: int, warmup: int = 20, decay: float = 0.2) -> Floats:
    """Learning rates of `total` steps: up, held, and linearly to nothing over the last `decay` of them."""
    step = np.arange(1, total + 1)
    return PEAK * np.clip(np.minimum(step / warmup, (total - step) / (decay * total)), 0.0, 1.0)


def walk_and_decay(rates: ArrayLike, memory_steps: float) -> tuple[Floats, Floats]:
    """S and D of Tissue et al. (2024), eq. 1, step by step as the paper writes them, in units of the peak.

    m(i) = lam m(i-1) + (drop of the rate at i), S1 = sum of rates, S2 = sum of m; here D = S2 (1 - lam). A rise
    above every rate so far is warm-up and no negative drop.
    """
    rate = np.asarray(rates, dtype=np.float64)
    lam = 1.0 - 1.0 / memory_steps
    momentum = walked = decayed = before = peak = 0.0
    out = np.empty((2, len(rate)))
    for i, now in enumerate(rate.tolist()):
        drop = before - min(now, peak)
        momentum = lam * momentum + drop
        walked += now
        decayed += (1.0 - lam) * momentum
        before, peak = now, max(peak, now)
        out[:, i] = walked, decayed
    return out[0] / peak, out[1] / peak


@dataclass(frozen=True)
class TrueLaw:
    """L(s; N) = E + K (N / 1e6)^-a + A [w^-alpha - rho D],   w = S in millions of tokens."""

    floor: float = 1.7
    size_gain: float = 1.2
    size_exponent: float = 0.34
    amplitude: float = 0.5
    alpha: float = 0.5
    ratio: float = 0.4
    memory_steps: float = 30.0

    def losses(self, rates: ArrayLike, parameters: float, stretch: float = 1.0) -> Floats:
        """Loss after each step; `stretch` times the tokens at the same point of the schedule."""
        walked, decayed = walk_and_decay(rates, self.memory_steps)
        # the first steps of a warm-up hardly walk: no law holds there, and no loss is above that of a fresh model
        million_tokens = np.maximum(walked, 0.3) * TOKENS_PER_STEP * stretch / 1e6
        bracket = million_tokens**-self.alpha - self.ratio * decayed
        return self.floor + self.size_gain * (parameters / 1e6) ** -self.size_exponent + self.amplitude * bracket

    def with_alpha(self, alpha: float) -> TrueLaw:
        """The same law with another exponent."""
        return replace(self, alpha=alpha)


def noisy(losses: Floats, sd: float, seed: int) -> Floats:
    """The losses as batches of finite size would measure them, log-normal with relative `sd`."""
    return losses * np.exp(sd * np.random.default_rng(seed).standard_normal(len(losses)))


def planned(rates: Floats, parameters: float | None = 8e6, name: str = "run", **more: float | None) -> Run:
    """A run that knows its plan, its size and its tokens."""
    tokens = more.get("tokens_per_step", TOKENS_PER_STEP)
    size = None if parameters is None else int(parameters)
    return Run(name, learning_rates=rates, parameters=size, tokens_per_step=tokens)


def curve(run: Run, losses: ArrayLike, every: int = 1) -> Curve:
    """The log of `run`, a row every `every` steps."""
    loss = np.asarray(losses, dtype=np.float64)
    steps = np.arange(1, len(loss) + 1)
    return Curve(run, steps[every - 1 :: every], loss[every - 1 :: every])


LADDER = ((1e6, 600), (2e6, 800), (4e6, 1000))


def ladder(
    law: TrueLaw | None = None,
    sd: float = 0.01,
    seed: int = 0,
    sizes: Sequence[tuple[float, int]] = LADDER,
    run_sd: float = 0.0,
) -> list[Curve]:
    """Finished runs of rising size that follow `law`; `run_sd` is the luck of a whole run, relative."""
    true = TrueLaw() if law is None else law
    luck = np.random.default_rng(seed + 77).standard_normal(len(sizes)) * run_sd
    return [
        curve(
            planned(cosine(total), size, f"{size / 1e6:.0f}M"),
            noisy(true.losses(cosine(total), size) * np.exp(luck[n]), sd, 100 * seed + n),
        )
        for n, (size, total) in enumerate(sizes)
    ]


@cache
def fitted(law: TrueLaw | None = None, sd: float = 0.01, seed: int = 0) -> CurveLaw:
    """What `fit_curves` makes of such a ladder: a law cannot be changed, so that all tests may share it."""
    return fit_curves(ladder(law, sd, seed))


def rows(losses: ArrayLike, rates: ArrayLike | None = None, first: int = 1) -> list[Observation]:
    """A log: one observation a step from `first` on."""
    loss = np.asarray(losses, dtype=np.float64).tolist()
    rate = [None] * len(loss) if rates is None else np.asarray(rates, dtype=np.float64).tolist()
    return [Observation(first + n, value, rate[n]) for n, value in enumerate(loss)]


def watch(monitor: Monitor, log: Iterable[Observation]) -> list[Finding]:
    """Let `monitor` see a log; return all that it found."""
    return [finding for row in log for finding in monitor.observe(row)]
