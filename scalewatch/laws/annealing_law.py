"""The annealing (momentum) law of the curves of one model.

    L(s) = L0 + A S(s)^-alpha - C D(s)

with S and D of `scalewatch.laws.annealing`. Given alpha and the memory it is linear in (L0, A, C), so it is
fitted to three curves in milliseconds, and on the published curves of the multi-power law it predicts unseen
schedules as well as that law does.

Two conventions of the warm-up are in use. Here a rise is no drop, and D is zero until the peak is passed. The
code of the multi-power law counts the rise as a negative drop, so that D starts at -1 and L0 is lower by C;
`count_warmup` does the same. Constants of one convention are not those of the other.

Why beside `CurveLaw`: that one adds a size and priors, for forecasts with an interval. This one has no prior
at all, for comparing laws on the curves of one model.

Source: Tissue, Wang, Wang (2024), arXiv 2408.11029, equation 1 (memory = 1 / (1 - lambda)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError, LawFileError
from scalewatch.laws.annealing import schedule_features
from scalewatch.laws.law import Publication, ScheduleLaw
from scalewatch.laws.size import positive

__all__ = ["AnnealingLaw", "walk_and_decay"]

#: Knots of the tabulated S and D: the misfit of the law is a hundred times what they leave. By hand.
KNOTS = 1_500


@final
@dataclass(frozen=True, slots=True)
class AnnealingLaw(ScheduleLaw):
    """The annealing law with its five constants.

    Attributes:
        level: L0 [nats/token]. amplitude: A, loss left after one step at peak [nats/token]. alpha: exponent.
        gain: C, what a full decay gains [nats/token], 0 or more. memory_steps: 1 / (1 - lambda) [steps].
        peak: rate that S counts in [learning rate]; a plan of another peak walks in units of this one.
        count_warmup: whether a rise of the rate is a negative drop.

    Raises:
        ConfigError: if a constant is out of range.
    """

    KIND: ClassVar = "annealing"
    SOURCE: ClassVar = Publication("Tissue et al.", 2024, "arXiv 2408.11029", "equation 1")
    RANGES: ClassVar = {
        **dict.fromkeys(("level", "amplitude", "peak"), (1e-30, 1e30)),
        **{"alpha": (1e-4, 10.0), "gain": (0.0, 1e30), "memory_steps": (1.0, 1e12)},
    }
    MORE: ClassVar = ("count_warmup",)

    level: float
    amplitude: float
    alpha: float
    gain: float
    memory_steps: float
    peak: float
    count_warmup: bool = False

    def __post_init__(self) -> None:
        for name in ("level", "amplitude", "alpha", "peak"):
            positive(name, getattr(self, name), "constant of the annealing law")
        positive("memory_steps", self.memory_steps, "steps", least=1.0)
        if not (np.isfinite(self.gain) and self.gain >= 0):
            raise ConfigError(f"`gain` must be 0 or more [nats/token] (got {self.gain!r}).")

    @classmethod
    def example(cls) -> AnnealingLaw:
        """Return a law with constants about those of a model of 100M parameters (refitted, Luo et al. 2025)."""
        return cls(2.6, 12.0, 0.45, 0.3, 1_000.0, 3e-4)

    def more_json(self) -> dict[str, Any]:
        """Return which convention of the warm-up the constants are of."""
        return {"count_warmup": self.count_warmup}

    @classmethod
    def read_more(cls, record: dict[str, Any], source: Path) -> dict[str, Any]:
        """Return the convention."""
        if not isinstance(record["count_warmup"], bool):
            raise LawFileError(f"{source}: `count_warmup` must be true or false.")
        return {"count_warmup": record["count_warmup"]}

    def losses(self, learning_rates: ArrayLike, steps: ArrayLike) -> Floats:
        """Return the loss [nats/token] after `steps`, shape (n,), of a plan for steps 1..T, shape (T,).

        Raises:
            ConfigError: if the plan is no plan, or a step lies outside it.
        """
        plan = np.asarray(learning_rates, dtype=np.float64)
        at = np.atleast_1d(np.asarray(steps, dtype=np.float64))
        if plan.ndim != 1 or len(plan) == 0 or not np.all(np.isfinite(plan)) or plan.min() < 0 or plan.max() <= 0:
            raise ConfigError("`learning_rates` must be the planned rates, shape (T,), finite, not all zero.")
        if at.ndim != 1 or not np.all((at >= 1) & (at <= len(plan))):
            raise ConfigError(f"`steps` must lie between 1 and the {len(plan)} planned steps, shape (n,).")
        walked, annealed, _ = walk_and_decay(plan, at, [self.memory_steps], count_warmup=self.count_warmup)
        scale = float(plan.max()) / self.peak
        gained = self.gain * annealed[:, 0] * scale
        return np.asarray(self.level + self.amplitude * (walked * scale) ** -self.alpha - gained)


def walk_and_decay(
    plan: Floats, steps: Floats, memories: Sequence[float], *, count_warmup: bool
) -> tuple[Floats, Floats, int]:
    """Return S, shape (n,), and D, shape (n, k), of a plan at `steps`, and the steps of its warm-up."""
    features = schedule_features(plan, memories, KNOTS)
    walked, annealed = features.at(steps)
    if count_warmup:
        # what is left to rise falls from the peak to zero as the rate rises: its decay is the rise's, one step on
        peak = float(plan.max())
        rest = np.concatenate([[peak], peak - np.maximum.accumulate(plan)])
        annealed = annealed - schedule_features(rest, memories, KNOTS).at(steps + 1.0)[1]
    return walked, annealed, features.warmup_steps
