"""The score of a prediction that says quantiles."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["pinball"]


def pinball(outcome: float, quantiles: Mapping[float, float]) -> float:
    """Return the mean pinball loss of quantiles: 0 for a prediction that was sure and right, in the outcome's unit.

    Args:
        outcome: what came. quantiles: level in (0, 1) -> what was said, not empty.

    Source: Koenker and Bassett 1978, Econometrica 46, 33.

    >>> round(pinball(3.0, {0.5: 3.1}), 3), round(pinball(3.0, {0.1: 2.9, 0.9: 3.1}), 3)
    (0.05, 0.01)
    """
    losses = [max(level * (outcome - said), (level - 1.0) * (outcome - said)) for level, said in quantiles.items()]
    return sum(losses) / len(losses)
