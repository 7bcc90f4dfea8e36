"""Why Kaplan found N ~ C^0.73 and Chinchilla N ~ C^0.50 on the same kind of model.

Pearce and Song: Kaplan counted neither the embeddings nor their compute. With

    N_total = N + w N^(1/3)

Chinchilla's own law, looked at in N and C = 6 N D, has a frontier whose local exponent falls from 0.98 for tiny
models to beta / (alpha + beta) for large ones, and is 0.74 to 0.78 over Kaplan's sizes.

Porian et al.: in steps of their own runs, counting the head's FLOPs, shortening the warm-up, matching the decay and
tuning each size takes the exponent from 0.84 to 0.50. Each step is one set of isoFLOP runs, read the same way.

Sources: Pearce and Song (2024), arXiv 2406.12907, section 3; Porian et al. (2024), arXiv 2406.19146, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError
from scalewatch.fitting.isoflop import AllocationLine, allocation_fit, bottoms
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.size import (
    FLOPS_PER_PARAMETER_TOKEN,
    Parameters,
    SizeKind,
    count_for,
    non_embedding,
    positive,
    total,
)

__all__ = ["PORIAN_STEPS", "KaplanFrontier", "porian_allocation"]

#: w of N_total = N + w N^(1/3), from Chinchilla's table of models: vocabulary 32,000, d_model / n_layer 39.2 (Pearce
#: and Song 2024, section 3).
EMBEDDING_WEIGHT = 47_491.0
#: Sizes of Kaplan et al. 2020 [non-embedding parameters].
KAPLAN_SIZES = (768.0, 1.5e9)
#: The grid behind the exponents that Pearce and Song 2024 publish, powers of ten: 20 sizes, 1,000 amounts of tokens,
#: 100 budgets [FLOP].
_GRID_SIZES, _GRID_TOKENS, _GRID_FLOPS = (2.9, 9.2, 20), (6.0, 25.0, 1000), (12.95, 20.7, 100)

#: Step -> exponent a of N ~ C^a on RefinedWeb as published (Porian et al. 2024, section 3), in the order in which they
#: are taken.
PORIAN_STEPS: dict[str, float] = {
    "Kaplan's setup: no head FLOPs, long fixed warm-up, one long cosine": 0.8353,
    "and the FLOPs of the last layer": 0.7065,
    "and a warm-up in proportion to the size": 0.6020,
    "and a cosine that ends with the budget": 0.5715,
    "and learning rate, batch and beta2 tuned for each size, constant rate": 0.4969,
}


@final
@dataclass(frozen=True, slots=True)
class KaplanFrontier:
    """The frontier of a Chinchilla law in Kaplan's variables (Pearce and Song 2024, section 3.1).

    Attributes:
        law: with total N. embedding_weight: w of N_total = N + w N^(1/3) [parameters^(2/3)], above 0.

    Raises:
        ConfigError: if the law does not count total parameters, or the weight is not positive.

    >>> frontier = KaplanFrontier(Chinchilla.besiroglu())
    >>> [round(float(frontier.local_exponent(non_embedding(n))), 3) for n in (1e6, 1e8, 1e10)]
    [0.963, 0.613, 0.518]
    """

    law: Chinchilla
    embedding_weight: float = EMBEDDING_WEIGHT

    def __post_init__(self) -> None:
        positive("embedding_weight", self.embedding_weight, "parameters^(2/3)")
        if self.law.kind is not SizeKind.TOTAL:
            raise ConfigError(f"The frontier starts from a law of total parameters (got one of {self.law.kind}).")

    def total_size(self, size: Parameters) -> Parameters:
        """Return the total count of a non-embedding one, N + w N^(1/3).

        Raises:
            ConfigError: if `size` is no non-embedding count.
        """
        count = _count(size)
        return total(count + self.embedding_weight * np.cbrt(count))

    def tokens(self, size: Parameters) -> Floats:
        """Return the tokens (count) for which `size` is best at its own compute 6 N D.

        D^-beta = (alpha A / (beta B)) N_total^(-alpha - 1) N dN_total/dN.

        Raises:
            ConfigError: if `size` is no non-embedding count.
        """
        law, count = self.law, _count(size)
        slope = 1.0 + self.embedding_weight / 3.0 * count ** (-2.0 / 3.0)
        scale = law.alpha * law.A / (law.beta * law.B)
        of_data = scale * self.total_size(size).count ** (-law.alpha - 1.0) * count * slope
        return _floats(of_data ** (-1.0 / law.beta))

    def flops(self, size: Parameters) -> Floats:
        """Return the compute without embeddings, 6 N D [FLOP], at which `size` is best.

        Raises:
            ConfigError: if `size` is no non-embedding count.
        """
        return _floats(FLOPS_PER_PARAMETER_TOKEN * _count(size) * self.tokens(size))

    def loss(self, size: Parameters) -> Floats:
        """Return the loss [nats/token] of `size` on the frontier.

        Raises:
            ConfigError: if `size` is no non-embedding count.
        """
        return self.law.loss(self.total_size(size), self.tokens(size))

    def local_exponent(self, size: Parameters) -> Floats:
        """Return g = dln(N)/dln(C) on the frontier at `size`, dimensionless.

        Raises:
            ConfigError: if `size` is no non-embedding count.
        """
        law, count, weight = self.law, _count(size), self.embedding_weight
        root = count ** (2.0 / 3.0)
        bend = (root + weight / 9.0) / (root + weight / 3.0)
        share = (root + weight / 3.0) / (root + weight)
        return _floats(1.0 / (1.0 - bend / law.beta + (1.0 + law.alpha) / law.beta * share))

    def fitted_exponents(self, low: float = KAPLAN_SIZES[0], high: float = KAPLAN_SIZES[1]) -> tuple[float, float]:
        """Return the exponents of size and loss that a log-log line over a range of sizes has.

        The frontier is exact, and sampled evenly in ln(C).

        Args:
            low: least size [non-embedding parameters]. high: most.

        Raises:
            ConfigError: if the range is empty or not positive.
        """
        if not positive("low", low, "parameters", least=1.0) < positive("high", high, "parameters", least=1.0):
            raise ConfigError(f"`low` must be less than `high` (got {low:g} and {high:g}).")
        size = non_embedding(np.geomspace(low, high, 2001))
        log_flops = np.log(self.flops(size))
        even = np.linspace(log_flops[0], log_flops[-1], 1001)
        exponents = [
            float(np.polyfit(even, np.interp(even, log_flops, np.log(values)), 1)[0])
            for values in (size.count, self.loss(size))
        ]
        return exponents[0], exponents[1]

    def published_exponents(self) -> tuple[float, float]:
        """Return the exponents of size and loss as the paper computes them: the best of 20 sizes at 100 budgets.

        The sizes span 800 to 1.6e9, the budgets 9e12 to 5e20 FLOP, the tokens lie on a grid. On so coarse a grid
        the exponent of size is 0.007 to 0.011 below that of `fitted_exponents`.
        """
        law = self.law
        count = np.logspace(*_GRID_SIZES)
        tokens, flops = np.logspace(*_GRID_TOKENS), np.logspace(*_GRID_FLOPS)
        all_parameters = self.total_size(non_embedding(count)).count
        wanted = flops / (FLOPS_PER_PARAMETER_TOKEN * count[:, None])
        right = np.clip(np.searchsorted(tokens, wanted), 1, len(tokens) - 1)
        nearer_left = wanted - tokens[right - 1] < tokens[right] - wanted
        seen = np.where(nearer_left, tokens[right - 1], tokens[right])
        loss = law.E + law.A * all_parameters[:, None] ** -law.alpha + law.B * seen**-law.beta
        best = np.argmin(loss, axis=0)
        log_flops = np.log(flops)
        of_size = np.polyfit(log_flops, np.log(count[best]), 1)[0]
        return float(of_size), float(np.polyfit(log_flops, np.log(np.min(loss, axis=0)), 1)[0])


def porian_allocation(
    parameters: Parameters, flops: ArrayLike, loss: ArrayLike, *, noise_nats: float = 0.002, seed: int = 0
) -> AllocationLine:
    """Return the allocation exponent of one set of isoFLOP runs as Porian et al. (2024) read it.

    For each budget: Akima interpolation of ln(loss) over ln(size), 25 points a gap; 1,000 repeats with noise on the
    loss; the median of the best sizes, if it lies inside; then a line in ln(C), weighted by 1 / sd^2, the sd at
    least a third of a gap.

    Args:
        parameters: as the step at hand counts them, shape (n,). flops: shape (n,) [FLOP].
        loss: final loss, shape (n,) [nats/token]. noise_nats: sd over seeds, 0.002 on RefinedWeb, 0.01 on OWT2.
        seed: of the noise.

    Raises:
        FitError: if the input is no table of positive numbers, or fewer than two budgets have a best size.
    """
    found, left_out = bottoms(parameters, flops, loss, method="akima", noise_nats=noise_nats, seed=seed)
    return allocation_fit(found, left_out, seed=seed)


def _count(size: Parameters) -> Floats:
    return count_for("Kaplan's frontier", size, SizeKind.NON_EMBEDDING)


def _floats(value: Floats | float) -> Floats:
    return np.asarray(value, dtype=np.float64)[()]
