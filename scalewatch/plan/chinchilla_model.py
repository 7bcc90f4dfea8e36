"""Chinchilla's law for the planner, and how well the published constants are known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError
from scalewatch.fitting.prediction import EXTRAPOLATION_SHARE
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN
from scalewatch.plan.loss_model import AbstractLossModel, LossModelFacts, Scatter

__all__ = ["BESIROGLU_RUNS", "ChinchillaLossModel", "FittedRuns", "besiroglu_draws"]

#: E, A, B, alpha, beta: so many runs say nothing about the scatter.
CONSTANTS = 5

#: Covariance of (E, ln A, ln B, alpha, beta): 4,000 resamples (RandomState 42) of the 240 points of Besiroglu et al.
#: 2024, refitted by this project. The paper prints standard errors, which these equal for E, alpha and beta, but not
#: the correlations, without which they mean nothing: A with alpha 0.9993, B with beta 0.9997.
BESIROGLU_COVARIANCE = (
    (6.58283866e-04, 3.88376224e-03, 6.55896901e-03, 2.29395590e-04, 3.19509266e-04),
    (3.88376224e-03, 6.66309712e-02, -2.77646126e-02, 3.97184373e-03, -1.39060262e-03),
    (6.55896901e-03, -2.77646126e-02, 1.77221248e-01, -1.72364961e-03, 8.66686575e-03),
    (2.29395590e-04, 3.97184373e-03, -1.72364961e-03, 2.37082234e-04, -8.63851107e-05),
    (3.19509266e-04, -1.39060262e-03, 8.66686575e-03, -8.63851107e-05, 4.24119804e-04),
)


@final
@dataclass(frozen=True, slots=True)
class FittedRuns:
    """The runs that a law was fitted to, as far as they say how a new one will scatter.

    Attributes:
        log_sd: standard deviation of ln(loss) of a run about the law. count: of runs.
        fall_per_efold: how much ln(loss) fell for each e-fold of compute. most_flops: of them [FLOP].
        share: part of the fall beyond them that the law misses, one sd.
    """

    log_sd: float
    count: int
    fall_per_efold: float
    most_flops: float
    share: float = EXTRAPOLATION_SHARE

    def scatter(self, flops: float) -> Scatter:
        """Return how a run of some compute [FLOP] scatters: more beyond the runs, where laws miss part of the fall."""
        beyond = max(math.log(flops / self.most_flops), 0.0)
        missed = self.share * self.fall_per_efold * beyond
        return Scatter(math.hypot(self.log_sd, missed), max(self.count - CONSTANTS, 1))


#: Of the 240 points of Besiroglu et al. (2024) about their published constants, measured by this project
#: (`scalewatch reproduce` fits the same points); reading losses off a figure is part of it.
BESIROGLU_RUNS = FittedRuns(log_sd=0.0075, count=240, fall_per_efold=0.0544, most_flops=1.296e22)


@final
class ChinchillaLossModel(AbstractLossModel):
    """L = E + A N^-alpha + B D^-beta, with draws of its constants.

    Args:
        law: the law itself.
        draws: (E, A, B, alpha, beta) of each draw, shape (b, 5), such as `Fit.draws`; None for no error.
        label: what a reader calls the law. errors: where the draws are from, a sentence.
        notes: what is to be said of the law, a sentence each.
        runs: how single runs scatter about it, None if unknown. faults: why it is not to be relied on, if so.

    Raises:
        ConfigError: if a draw is no law.
    """

    def __init__(
        self,
        law: Chinchilla,
        draws: Floats | None,
        label: str,
        errors: str,
        notes: tuple[str, ...] = (),
        runs: FittedRuns | None = None,
        faults: tuple[str, ...] = (),
    ) -> None:
        own = np.array([[law.E, law.A, law.B, law.alpha, law.beta]])
        rows = own if draws is None else np.concatenate([own, np.asarray(draws, dtype=np.float64)])
        if not np.all(np.isfinite(rows)) or np.any(rows[:, 1:] <= 0) or np.any(rows[:, 0] < 0):
            raise ConfigError("`draws` must hold constants (E, A, B, alpha, beta) of a law: finite, none negative.")
        facts = LossModelFacts(label, law.source, errors, law.kind, law.sizes, law.tokens, notes=notes, faults=faults)
        super().__init__(facts, floor=rows[:, :1])
        self.law, self._runs = law, runs
        self.rows = rows
        self._alpha, self._beta = rows[:, 3:4], rows[:, 4:5]
        self._log_a, self._log_b = np.log(rows[:, 1:2]), np.log(rows[:, 2:3])

    def loss(self, log_size: Floats, log_tokens: Floats) -> Floats:
        """Return the loss [nats/token], shape (r, m)."""
        of_size, of_data = self._terms(log_size, log_tokens)
        return np.asarray(self._floor + of_size + of_data)

    def slope(self, log_size: Floats, log_tokens: Floats) -> Floats:
        """Return beta B D^-beta - alpha A N^-alpha [nats/token], shape (r, m)."""
        of_size, of_data = self._terms(log_size, log_tokens)
        return np.asarray(self._beta * of_data - self._alpha * of_size)

    def scatter(self, log_size: float, log_tokens: float) -> Scatter | None:
        """Return how one run of a size and tokens scatters about the law."""
        if self._runs is None:
            return None
        return self._runs.scatter(FLOPS_PER_PARAMETER_TOKEN * math.exp(log_size + log_tokens))

    def _terms(self, log_size: Floats, log_tokens: Floats) -> tuple[Floats, Floats]:
        of_size = np.exp(self._log_a - self._alpha * log_size)
        return of_size, np.exp(self._log_b - self._beta * log_tokens)

    def law_of(self, row: int) -> Chinchilla:
        """Return the law of a row; 0 is the law itself."""
        kept = self.law
        return Chinchilla(*self.rows[row].tolist(), source=kept.source, kind=kept.kind)


def besiroglu_draws(count: int, seed: int = 0) -> Floats:
    """Return (E, A, B, alpha, beta) that the errors of Besiroglu et al. (2024) allow, shape (count, 5).

    Normal in (E, ln A, ln B, alpha, beta) about the published point.
    """
    law = Chinchilla.besiroglu()
    middle = np.array([law.E, math.log(law.A), math.log(law.B), law.alpha, law.beta])
    spread = np.linalg.cholesky(np.array(BESIROGLU_COVARIANCE))
    drawn = middle + np.random.default_rng(seed).standard_normal((count, 5)) @ spread.T
    return np.column_stack([drawn[:, 0], np.exp(drawn[:, 1:3]), drawn[:, 3:]])
