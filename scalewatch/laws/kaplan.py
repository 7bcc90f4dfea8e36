"""Kaplan's laws: loss against size, data, compute, steps and batch, and what to train with a budget.

    L(N) = (Nc/N)^aN,    L(D) = (Dc/D)^aD,    L(C) = (Cc/C)^aC,    L(Cmin) = (Ccm/Cmin)^aCm
    L(N, D) = [(Nc/N)^(aN/aD) + Dc/D]^aD,    L(N, S) = (Nc/N)^aN + (Sc/Smin)^aS
    Bcrit(L) = B* / L^(1/aB),    Smin = S / (1 + Bcrit/B),    Cmin = C / (1 + B/Bcrit)

N counts parameters without embeddings, C = 6 N B S is counted in FLOP here and in PF-days in the paper. There is
no irreducible loss, so every law goes to zero: the paper itself expects them to fail near 1e4 PF-days.

Each relation was fitted by itself and has constants of its own, so two of them do not agree on a loss exactly,
and the allocation that follows from L(N, Smin) and Bcrit is not the one that was read off the runs: both are
here, under their names. Hoffmann et al. (2022) explain why neither holds for a schedule that ends with the data.

Source: Kaplan et al. (2020), arXiv 2001.08361, section 1.2, table 2 and 3, appendix A. Trained on WebText2, 1,024
tokens of context, 768 to 1.5e9 parameters; no errors published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError
from scalewatch.laws.law import Law, Publication, Quantity, asked
from scalewatch.laws.size import PF_DAY_FLOPS, Parameters, SizeKind, count_for, non_embedding, positive

__all__ = ["Kaplan", "KaplanAllocation"]

#: Sizes of the runs [non-embedding parameters] and their tokens [count] (Kaplan et al. 2020, section 2 and figure 1).
SIZES = (768.0, 1.5e9)
TOKENS = (2.2e7, 2.3e10)
#: Kaplan et al. 2020, equation 1.1: exponent, and scale [non-embedding parameters].
SIZE_EXPONENT, SIZE_SCALE = 0.076, 8.8e13
#: Kaplan et al. 2020, equation 1.2, models stopped early: exponent, and scale [tokens].
DATA_EXPONENT, DATA_SCALE = 0.095, 5.4e13
#: Kaplan et al. 2020, appendix A, every run at one batch size: exponent, and scale [PF-days].
COMPUTE_EXPONENT, COMPUTE_SCALE_PF_DAYS = 0.057, 1.6e7
#: Kaplan et al. 2020, equation 1.3, compute at a batch far below the critical one: exponent, and scale [PF-days].
MIN_COMPUTE_EXPONENT, MIN_COMPUTE_SCALE_PF_DAYS = 0.050, 3.1e8
#: Kaplan et al. 2020, table 2, L(N, D) fitted as one: exponents, and scales [non-embedding parameters] and [tokens].
BOTH_SIZE_EXPONENT, BOTH_DATA_EXPONENT = 0.076, 0.103
BOTH_SIZE_SCALE, BOTH_DATA_SCALE = 6.4e13, 1.8e13
#: Kaplan et al. 2020, table 3, L(N, Smin): exponents, and scales [non-embedding parameters] and [steps].
STEPS_SIZE_EXPONENT, STEPS_SIZE_SCALE = 0.077, 6.5e13
STEPS_EXPONENT, STEPS_SCALE = 0.76, 2.1e3
#: Kaplan et al. 2020, equation 1.4: exponent, and scale [tokens].
BATCH_EXPONENT, BATCH_SCALE = 0.21, 2e8
#: Kaplan et al. 2020, appendix A, read off the runs, of Cmin in PF-days: size, batch [tokens], steps, tokens, and their
#: exponents.
BEST_SIZE, BEST_BATCH, BEST_STEPS, BEST_TOKENS = 1.3e9, 2.0e6, 5.4e3, 2e10
BEST_EXPONENTS = (0.73, 0.24, 0.03, 0.27)
#: Tokens that keep a model of one parameter within 0.02 nats of endless data, and the exponent (Kaplan et al. 2020,
#: equation 4.4).
NO_OVERFIT_TOKENS, NO_OVERFIT_EXPONENT = 5e3, 0.74
#: Where L(Cmin) and L(D(Cmin)) cross, so that one of them must fail before (Kaplan et al. 2020, section 6.3) [PF-days].
CROSSING_PF_DAYS = 1e4


@final
@dataclass(frozen=True, slots=True)
class KaplanAllocation:
    """What to train with a budget.

    Attributes:
        label: "empirical" or "theoretical".
        size: non-embedding parameters. batch: tokens a step, count. steps: fewest serial steps, count.
        tokens: count. flops: Cmin [FLOP]. exponents: of size, batch, steps and tokens in Cmin.
    """

    label: str
    size: Parameters
    batch: Floats
    steps: Floats
    tokens: Floats
    flops: Floats
    exponents: tuple[float, float, float, float]


@final
@dataclass(frozen=True, slots=True)
class Kaplan(Law):
    """The laws of Kaplan et al. (2020). N is non-embedding, losses are of WebText2 [nats/token].

    >>> law = Kaplan()
    >>> round(float(law.loss_of_size(non_embedding(1.5e9))), 4)
    2.3036
    """

    KIND: ClassVar = "kaplan"
    SOURCE: ClassVar = Publication("Kaplan et al.", 2020, "arXiv 2001.08361", "equation 1.5")
    RANGES: ClassVar = {}
    INVERSE: ClassVar = ("parameters", "tokens")

    @classmethod
    def example(cls) -> Kaplan:
        """Return the laws as published, the only constants they have here."""
        return cls()

    @property
    def inputs(self) -> tuple[Quantity, ...]:
        """Size and tokens of L(N, D)."""
        return Quantity("parameters", "non-embedding parameters", *SIZES), Quantity("tokens", "count", *TOKENS)

    def predict(self, inputs: Mapping[str, ArrayLike]) -> Floats:
        """Return L(N, D) [nats/token] at `parameters` and `tokens`."""
        count, tokens = asked(inputs, "parameters", "tokens")
        return self.loss(non_embedding(count), tokens)

    @property
    def min_compute_exponent(self) -> float:
        """aCm that follows from the others, 1 / (1/aN + 1/aS + 1/aB) = 0.052; the runs gave 0.050 (equation 6.5)."""
        return 1.0 / (1.0 / SIZE_EXPONENT + 1.0 / STEPS_EXPONENT + 1.0 / BATCH_EXPONENT)

    @property
    def theoretical_exponents(self) -> tuple[float, float, float, float]:
        """Exponents of size, batch, steps and tokens in Cmin that follow from L(N, Smin) and Bcrit (section 6.2)."""
        own = self.min_compute_exponent
        size, batch, steps = own / SIZE_EXPONENT, own / BATCH_EXPONENT, own / STEPS_EXPONENT
        return size, batch, steps, batch + steps

    def loss_of_size(self, size: Parameters) -> Floats:
        """Return L(N) [nats/token] of a model trained to convergence on endless data (equation 1.1).

        Raises:
            ConfigError: if `size` is no non-embedding count.
        """
        return _floats((SIZE_SCALE / _count(size)) ** SIZE_EXPONENT)

    def loss_of_tokens(self, tokens: ArrayLike) -> Floats:
        """Return L(D) [nats/token] of a large model on `tokens` (count) of data, stopped early (equation 1.2).

        D is data and may be seen in several epochs, so 6 N D is not what it cost.

        Raises:
            ConfigError: if a number is not positive.
        """
        return _floats((DATA_SCALE / positive("tokens", tokens, "tokens, count")) ** DATA_EXPONENT)

    def loss_of_flops(self, flops: ArrayLike) -> Floats:
        """Return the naive L(C) [nats/token] of the best size at one fixed batch (appendix A); `flops` in FLOP.

        Raises:
            ConfigError: if a number is not positive.
        """
        return _floats((COMPUTE_SCALE_PF_DAYS / _pf_days(flops)) ** COMPUTE_EXPONENT)

    def loss_of_min_flops(self, min_flops: ArrayLike) -> Floats:
        """Return L(Cmin) [nats/token] of the best size far below the critical batch (equation 1.3); in FLOP.

        Raises:
            ConfigError: if a number is not positive.
        """
        return _floats((MIN_COMPUTE_SCALE_PF_DAYS / _pf_days(min_flops)) ** MIN_COMPUTE_EXPONENT)

    def loss(self, size: Parameters, tokens: ArrayLike) -> Floats:
        """Return L(N, D) [nats/token] of a model of `size` on `tokens` (count) of data, stopped early (equation 1.5).

        Raises:
            ConfigError: if `size` is no non-embedding count, or a number is not positive.
        """
        of_size = (BOTH_SIZE_SCALE / _count(size)) ** (BOTH_SIZE_EXPONENT / BOTH_DATA_EXPONENT)
        of_data = BOTH_DATA_SCALE / positive("tokens", tokens, "tokens, count")
        return _floats((of_size + of_data) ** BOTH_DATA_EXPONENT)

    def loss_of_steps(self, size: Parameters, min_steps: ArrayLike) -> Floats:
        """Return L(N, Smin) [nats/token] after `min_steps` (count) far above the critical batch (equation 1.6).

        Raises:
            ConfigError: if `size` is no non-embedding count, or a number is not positive.
        """
        of_size = (STEPS_SIZE_SCALE / _count(size)) ** STEPS_SIZE_EXPONENT
        steps = positive("min_steps", min_steps, "optimizer steps, count")
        return _floats(of_size + (STEPS_SCALE / steps) ** STEPS_EXPONENT)

    def critical_batch(self, loss: ArrayLike) -> Floats:
        """Return Bcrit [tokens]: the batch at which time and compute are twice the least each (equation 1.4).

        It doubles for every 13 % that the loss falls, whatever the size. `loss` in nats/token.

        Raises:
            ConfigError: if a number is not positive.
        """
        return _floats(BATCH_SCALE / positive("loss", loss, "nats/token") ** (1.0 / BATCH_EXPONENT))

    def min_steps(self, steps: ArrayLike, batch: ArrayLike, loss: ArrayLike) -> Floats:
        """Return Smin (count): the fewest steps to `loss` at a batch without end, Smin = S / (1 + Bcrit/B) (5.4).

        Args:
            steps: count, that took to `loss` [nats/token] at `batch` [tokens].

        Raises:
            ConfigError: if a number is not positive.
        """
        share = self.critical_batch(loss) / positive("batch", batch, "tokens")
        return _floats(positive("steps", steps, "optimizer steps, count") / (1.0 + share))

    def min_flops(self, flops: ArrayLike, batch: ArrayLike, loss: ArrayLike) -> Floats:
        """Return Cmin [FLOP]: the least compute to `loss` at a batch of nothing, Cmin = C / (1 + B/Bcrit) (5.5).

        Args:
            flops: 6 N B S [FLOP], that took to `loss` [nats/token] at `batch` [tokens].

        Raises:
            ConfigError: if a number is not positive.
        """
        share = positive("batch", batch, "tokens") / self.critical_batch(loss)
        return _floats(positive("flops", flops, "FLOP") / (1.0 + share))

    def min_tokens(self, tokens: ArrayLike, batch: ArrayLike, loss: ArrayLike) -> Floats:
        """Return Emin [tokens], the least examples to `loss`: Emin = E / (1 + B/Bcrit), and Bcrit = Emin / Smin (5.2).

        Args:
            tokens: count, that took to `loss` [nats/token] at `batch` [tokens].

        Raises:
            ConfigError: if a number is not positive.
        """
        share = positive("batch", batch, "tokens") / self.critical_batch(loss)
        return _floats(positive("tokens", tokens, "tokens, count") / (1.0 + share))

    def empirical_allocation(self, min_flops: ArrayLike) -> KaplanAllocation:
        """Return size, batch, steps and tokens of least loss as read off the runs (appendix A).

        N 1.3e9 C^0.73, B 2.0e6 C^0.24, Smin 5.4e3 C^0.03, D 2e10 C^0.27, C in PF-days; `min_flops` in FLOP.

        Raises:
            ConfigError: if a number is not positive.
        """
        days = _pf_days(min_flops)
        scales = (BEST_SIZE, BEST_BATCH, BEST_STEPS, BEST_TOKENS)
        size, batch, steps, tokens = (
            _floats(scale * days**power) for scale, power in zip(scales, BEST_EXPONENTS, strict=True)
        )
        flops = _floats(days * PF_DAY_FLOPS)
        return KaplanAllocation("empirical", _size(size), batch, steps, tokens, flops, BEST_EXPONENTS)

    def theoretical_allocation(self, min_flops: ArrayLike) -> KaplanAllocation:
        """Return size, batch, steps and tokens that minimise L(N, Smin) at Cmin = 6 N Bcrit(L) Smin (appendix B).

        With the constants of L(N, Smin): at the optimum aN (Nc/N)^aN = aS (Sc/Smin)^aS. `batch` is Bcrit, `tokens`
        Bcrit Smin, the least examples.

        Raises:
            ConfigError: if a number is not positive.
        """
        flops = positive("min_flops", min_flops, "FLOP")
        ratio = STEPS_SIZE_EXPONENT / STEPS_EXPONENT
        size_to_steps, size_to_batch = ratio, STEPS_SIZE_EXPONENT / BATCH_EXPONENT
        # with u = (Nc/N)^aN: L = (1 + aN/aS) u, Smin = Sc (u aN/aS)^(-1/aS), so Cmin is a pure power of N
        power = 1.0 + size_to_steps + size_to_batch
        at_one = (1.0 + ratio) ** (-1.0 / BATCH_EXPONENT) * ratio ** (-1.0 / STEPS_EXPONENT)
        unit = 6.0 * STEPS_SIZE_SCALE * BATCH_SCALE * STEPS_SCALE * at_one
        relative = (flops / unit) ** (1.0 / power)
        share = relative**-STEPS_SIZE_EXPONENT
        steps = STEPS_SCALE * (share * ratio) ** (-1.0 / STEPS_EXPONENT)
        batch = self.critical_batch((1.0 + ratio) * share)
        exponents = (1 / power, size_to_batch / power, size_to_steps / power, 1 - 1 / power)
        return KaplanAllocation(
            "theoretical",
            _size(STEPS_SIZE_SCALE * relative),
            batch,
            _floats(steps),
            _floats(batch * steps),
            flops,
            exponents,
        )

    def tokens_without_overfitting(self, size: Parameters) -> Floats:
        """Return the tokens (count) that keep a model within 0.02 nats of endless data: 5e3 N^0.74 (equation 4.4).

        Raises:
            ConfigError: if `size` is no non-embedding count.
        """
        return _floats(NO_OVERFIT_TOKENS * _count(size) ** NO_OVERFIT_EXPONENT)

    def range_notes(
        self, size: Parameters | None = None, tokens: ArrayLike | None = None, flops: ArrayLike | None = None
    ) -> tuple[str, ...]:
        """Return a sentence for each way in which a model lies outside the runs behind these laws.

        Raises:
            ConfigError: if `size` is no non-embedding count, or a number is not positive.
        """
        notes = []
        if size is not None and np.max(_count(size)) > SIZES[1]:
            notes.append(f"Extrapolates {np.max(_count(size)) / SIZES[1]:.2g}x past the largest model fitted, 1.5e9.")
        if tokens is not None and np.max(positive("tokens", tokens, "tokens, count")) > TOKENS[1]:
            notes.append(
                f"Extrapolates {np.max(np.asarray(tokens)) / TOKENS[1]:.2g}x past the most data fitted, 2.3e10."
            )
        if flops is not None and np.max(_pf_days(flops)) > CROSSING_PF_DAYS:
            notes.append("Beyond 1e4 PF-days L(Cmin) falls below what its own data allow: the law must have failed.")
        return tuple(notes)


def _count(size: Parameters) -> Floats:
    return count_for("Kaplan's law", size, SizeKind.NON_EMBEDDING)


def _size(count: Floats) -> Parameters:
    if np.any(count < 1.0):
        raise ConfigError("The budget is too small for a model of one parameter: give `min_flops` in FLOP.")
    return non_embedding(count)


def _pf_days(flops: ArrayLike) -> Floats:
    return _floats(positive("flops", flops, "FLOP") / PF_DAY_FLOPS)


def _floats(value: Floats | float) -> Floats:
    return np.asarray(value, dtype=np.float64)[()]
