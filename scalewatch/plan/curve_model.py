"""A law file for the planner: a law of whole curves, asked for the loss at the end of one kind of schedule.

    L(N, D) = E + K n^-a + A n^b (w^-alpha - rho d),    n = N / N_ref,    w = f D / S_ref

f is the mean of the schedule's learning rate in parts of its peak and d how much of it was taken away in time to
matter; both are of a cosine to a tenth of the peak with one percent of warm-up, whatever its length.
"""

from __future__ import annotations

import math
from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError
from scalewatch.laws.annealing import schedule_features
from scalewatch.laws.curve_law import EXTRAPOLATION_LOG_SD, CurveLaw
from scalewatch.laws.size import SizeKind
from scalewatch.plan.loss_model import AbstractLossModel, LossModelFacts, Scatter

__all__ = ["CurveLossModel"]

#: The schedule that a plan is asked for: steps it is worked out on, part of them warm-up, rate at its end over peak.
SCHEDULE_STEPS, WARMUP_SHARE, END_SHARE = 20_000, 0.01, 0.1
#: Factor past the fitted sizes within which an optimum is looked for: outside, the law's terms mean nothing.
SEARCH_BELOW, SEARCH_BEYOND = 10.0, 1000.0


@final
class CurveLossModel(AbstractLossModel):
    """The end loss of a `CurveLaw` over size and tokens.

    Args:
        law: from a law file. name: what a reader calls it. draws: sets of constants beside it, count. seed: of them.

    Raises:
        ConfigError: if the law does not count tokens, or no size.
    """

    def __init__(self, law: CurveLaw, name: str, draws: int = 0, seed: int = 0) -> None:
        if law.units.lr_sum_unit != "tokens":
            raise ConfigError(
                f"The law {name} counts steps, so it cannot plan tokens: fit runs that say tokens a step."
            )
        if law.units.size_kind == "none" or law.evidence.sizes[0] >= law.evidence.sizes[1]:
            raise ConfigError(f"The law {name} knows one size, so it cannot plan another: fit runs of three sizes.")
        self._law = law
        walked, annealed = _cosine(law.shape.memory_steps)
        self._annealed = annealed
        self._log_walk = np.log(walked / law.units.reference_lr_sum)
        stream = np.random.default_rng(seed)
        moves = stream.standard_normal((draws, 7))
        values, vectors = np.linalg.eigh(law.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        theta = np.concatenate([law.parameters[None, :], law.parameters + moves[:, :5] @ root.T])
        super().__init__(_facts(law, name, walked), floor=np.exp(theta[:, :1]))
        self._log_k, self._a, self._log_a, self._b = (theta[:, k : k + 1] for k in range(1, 5))
        shape = np.concatenate([np.zeros((1, 2)), moves[:, 5:]])
        self._alpha = law.shape.alpha * np.exp(law.shape.alpha_log_sd * shape[:, :1])
        self._ratio = law.shape.ratio * np.exp(law.shape.ratio_log_sd * shape[:, 1:])

    def loss(self, log_size: Floats, log_tokens: Floats) -> Floats:
        """Return the loss [nats/token], shape (r, m)."""
        of_size, amplitude, power = self._terms(log_size, log_tokens)
        return np.asarray(self._floor + of_size + amplitude * (power - self._ratio * self._annealed))

    def slope(self, log_size: Floats, log_tokens: Floats) -> Floats:
        """Return dL/dln(N) - dL/dln(D) [nats/token], shape (r, m)."""
        of_size, amplitude, power = self._terms(log_size, log_tokens)
        grown = (self._b + self._alpha) * power - self._b * self._ratio * self._annealed
        return np.asarray(amplitude * grown - self._a * of_size)

    def scatter(self, log_size: float, log_tokens: float) -> Scatter:
        """Return how one run of a size scatters about the law, more beyond the sizes fitted; tokens do not matter."""
        del log_tokens
        law = self._law
        beyond = max(log_size - math.log(law.evidence.sizes[1]), 0.0)
        # one degree of freedom is spent on the level and one on the size; the prior scatter counts as a run
        return Scatter(math.hypot(law.scatter.run_log_sd, EXTRAPOLATION_LOG_SD * beyond), max(law.evidence.runs - 1, 2))

    def _terms(self, log_size: Floats, log_tokens: Floats) -> tuple[Floats, Floats, Floats]:
        log_n = log_size - np.log(self._law.units.reference_size)
        of_size = np.exp(self._log_k - self._a * log_n)
        return of_size, np.exp(self._log_a + self._b * log_n), np.exp(-self._alpha * (log_tokens + self._log_walk))


def _facts(law: CurveLaw, name: str, walked: float) -> LossModelFacts:
    least, most = law.evidence.sizes
    return LossModelFacts(
        label=f"{name}: {law.evidence.runs} runs of your own",
        source=name,
        errors="Intervals are of the law, from the errors of its fit; a run ends "
        f"{100 * law.scatter.run_log_sd:.2g} % off it (one sd).",
        kind=SizeKind(law.units.size_kind),
        sizes=law.evidence.sizes,
        tokens=(law.evidence.lr_sums[0] / walked, law.evidence.lr_sums[1] / walked),
        search=(least / SEARCH_BELOW, most * SEARCH_BEYOND),
        notes=(
            "Losses are for a cosine to a tenth of the peak that ends with the tokens.",
            *(law.cautions if law.usable else ()),
        ),
        faults=() if law.usable else law.cautions,
    )


def _cosine(memory_steps: float) -> tuple[float, float]:
    """f and d of the cosine that a plan is asked for."""
    warmup = int(WARMUP_SHARE * SCHEDULE_STEPS)
    step = np.arange(1, SCHEDULE_STEPS + 1)
    phase = np.clip((step - warmup) / (SCHEDULE_STEPS - warmup), 0.0, 1.0)
    rate = END_SHARE + (1.0 - END_SHARE) * 0.5 * (1.0 + np.cos(np.pi * phase))
    walked, annealed = schedule_features(np.minimum(step / warmup, rate), [memory_steps]).at([SCHEDULE_STEPS])
    return float(walked[0]) / SCHEDULE_STEPS, float(annealed[0, 0])
