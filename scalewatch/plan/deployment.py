"""Serving and repeats: the plan when training compute and fresh tokens are not all that counts.

Both need Chinchilla's form; each is solved for the law itself and for some of its draws, so that it has an interval.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError
from scalewatch.laws.inference import InferenceOptimum, inference_optimum
from scalewatch.laws.repeated_data import RepeatedData, RepeatedOptimum
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN, SizeKind, total
from scalewatch.plan.chinchilla_model import ChinchillaLossModel
from scalewatch.plan.loss_model import AbstractLossModel, Estimate, estimate
from scalewatch.plan.result import Deployment, Repeats

__all__ = ["plan_deployment", "plan_repeats"]

#: Draws that are solved one by one.
ROWS = 100


def plan_deployment(surface: AbstractLossModel, losses: Floats, served_tokens: float, level: float) -> Deployment:
    """Return the cheapest model over its life that has the loss of each row, shape (r,) [nats/token].

    Raises:
        ConfigError: if the law is not of Chinchilla's form, or no such model exists.
    """
    law = _chinchilla(surface, "serve_tokens")
    found: list[InferenceOptimum] = [inference_optimum(law.law, float(losses[0]), served_tokens)]
    for row in range(1, min(len(losses), ROWS + 1)):
        # a draw in which the loss cannot be had has nothing to say about how to have it
        if np.isfinite(losses[row]) and losses[row] > law.rows[row, 0]:
            found.append(inference_optimum(law.law_of(row), float(losses[row]), served_tokens))

    def of(values: list[Any]) -> Estimate:
        return estimate(np.array(values, dtype=np.float64), level)

    return Deployment(
        served_tokens=served_tokens,
        loss=found[0].loss,
        parameters=of([o.size.count for o in found]),
        tokens=of([o.tokens for o in found]),
        tokens_per_parameter=of([o.tokens / o.size.count for o in found]),
        training_flops=of([o.training_flops for o in found]),
        serving_flops=of([o.serving_flops for o in found]),
        saved_share=of([o.saved_share for o in found]),
        notes=found[0].notes,
    )


def plan_repeats(
    surface: AbstractLossModel, pairs: Floats, unique_tokens: float, own: tuple[Floats, Floats] | None, level: float
) -> Repeats:
    """Return the best run of each row's budget p = ln(C / 6), shape (r,), on so many different tokens.

    The law's own constants, with what Muennighoff et al. (2023) found a repeat to be worth.

    Args:
        surface: the law. pairs: shape (r,). unique_tokens: count. own: ln(N) and ln(D) of a run to judge, or None.
        level: of the intervals.

    Raises:
        ConfigError: if the law is not of Chinchilla's form, or counts other than total parameters.
    """
    law = _chinchilla(surface, "unique_tokens")
    if law.facts.kind is not SizeKind.TOTAL:
        raise ConfigError(f"`unique_tokens` need a law of total parameters (this one counts {law.facts.kind}).")
    found: list[RepeatedOptimum] = []
    losses: list[float] = []
    for row in range(min(len(pairs), ROWS + 1)):
        if not np.isfinite(pairs[row]):
            continue
        repeated = _repeated(law.rows[row])
        found.append(repeated.optimum(FLOPS_PER_PARAMETER_TOKEN * float(np.exp(pairs[row])), unique_tokens))
        if own is not None and np.isfinite(own[0][row]) and np.isfinite(own[1][row]):
            size, tokens = (float(np.exp(side[row])) for side in own)
            losses.append(float(repeated.loss(total(size), tokens, unique_tokens)))

    def of(values: list[Any]) -> Estimate:
        return estimate(np.array(values, dtype=np.float64), level)

    return Repeats(
        unique_tokens=unique_tokens,
        parameters=of([o.size.count for o in found]),
        tokens=of([o.tokens for o in found]),
        epochs=of([o.epochs for o in found]),
        loss=of([o.loss for o in found]),
        extra_nats=of([max(o.loss - o.fresh_loss, 0.0) for o in found]),
        own_loss=of(losses) if losses else None,
        notes=found[0].notes,
    )


def _chinchilla(surface: AbstractLossModel, asked: str) -> ChinchillaLossModel:
    if not isinstance(surface, ChinchillaLossModel):
        name = surface.facts.label.partition(":")[0].partition(",")[0]
        raise ConfigError(f"`{asked}` need a law of Chinchilla's form, which {name} is not: ask --law chinchilla.")
    return surface


def _repeated(row: Floats) -> RepeatedData:
    published = RepeatedData.muennighoff()
    floor, of_size, of_data, alpha, beta = row.tolist()
    return RepeatedData(floor, of_size, of_data, alpha, beta, published.token_decay, published.parameter_decay)
