"""Kaplan's law for the planner: L(N, Smin) and the critical batch, put together to a loss over size and tokens.

    L = (Nc/N)^aN + (Sc/Smin)^aS,    D = Bcrit(L) Smin,    C = 6 N D

D is the fewest tokens that reach L, at a batch far below the critical one, and C is then Cmin. L stands on both
sides, because the critical batch grows as the loss falls; at the optimum of a budget this is the allocation that
`Kaplan.theoretical_allocation` has in closed form.

Source: Kaplan et al. (2020), arXiv 2001.08361, equations 1.4 and 1.6, appendix B.
"""

from __future__ import annotations

from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.laws import kaplan
from scalewatch.laws.size import SizeKind
from scalewatch.plan.loss_model import AbstractLossModel, LossModelFacts

__all__ = ["KaplanLossModel"]

#: Steps of Newton's method from the left, where it cannot overshoot; twelve are enough for a float.
NEWTON_STEPS = 15
#: aS / aB: how steeply the data term falls with the loss it is part of.
FEEDBACK = kaplan.STEPS_EXPONENT / kaplan.BATCH_EXPONENT


@final
class KaplanLossModel(AbstractLossModel):
    """The loss over non-embedding parameters and fewest tokens; one row, because no errors are published."""

    def __init__(self) -> None:
        facts = LossModelFacts(
            label="Kaplan et al. 2020, L(N, Smin) and the critical batch",
            source="Kaplan et al. 2020, tables 2 and 3, equation 1.4",
            errors="Kaplan et al. publish no errors, so there are no intervals.",
            kind=SizeKind.NON_EMBEDDING,
            sizes=kaplan.SIZES,
            tokens=kaplan.TOKENS,
            notes=(
                "Kaplan et al. did not let the schedule end with the data and left embeddings out: later work finds "
                "smaller models on more data (Hoffmann et al. 2022; Pearce and Song 2024). Compare --law chinchilla.",
                "Compute and tokens are the fewest, at a batch far below the critical one; at it they double.",
            ),
        )
        super().__init__(facts, floor=np.zeros((1, 1)))  # the law has no irreducible loss

    def loss(self, log_size: Floats, log_tokens: Floats) -> Floats:
        """Return the loss [nats/token], shape (1, m)."""
        of_size, scale = self._terms(log_size, log_tokens)
        loss = np.maximum(of_size, scale ** (1.0 / (1.0 + FEEDBACK)))
        for _ in range(NEWTON_STEPS):
            of_data = scale * loss**-FEEDBACK
            loss = loss + (of_size + of_data - loss) / (1.0 + FEEDBACK * of_data / loss)
        return np.atleast_2d(loss)

    def slope(self, log_size: Floats, log_tokens: Floats) -> Floats:
        """Return dL/dln(N) - dL/dln(D) [nats/token], shape (1, m)."""
        loss = self.loss(log_size, log_tokens)
        of_size, scale = self._terms(log_size, log_tokens)
        of_data = scale * loss**-FEEDBACK
        pull = kaplan.STEPS_EXPONENT * of_data - kaplan.STEPS_SIZE_EXPONENT * of_size
        return np.atleast_2d(pull / (1.0 + FEEDBACK * of_data / loss))

    def _terms(self, log_size: Floats, log_tokens: Floats) -> tuple[Floats, Floats]:
        of_size = np.exp(kaplan.STEPS_SIZE_EXPONENT * (np.log(kaplan.STEPS_SIZE_SCALE) - log_size))
        data_scale = np.log(kaplan.STEPS_SCALE * kaplan.BATCH_SCALE)
        return np.broadcast_arrays(of_size, np.exp(kaplan.STEPS_EXPONENT * (data_scale - log_tokens)))  # type: ignore[return-value]
