"""What other rules would train with the same compute."""

from __future__ import annotations

import math

import numpy as np

from scalewatch.fitting.reconcile import KaplanFrontier
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.kaplan import Kaplan
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN, SizeKind, non_embedding
from scalewatch.plan.loss_model import AbstractLossModel, estimate
from scalewatch.plan.result import BaselinePlan

__all__ = ["RULE_TOKENS_PER_PARAMETER", "baseline_plans", "non_embedding_of_total"]

#: The rule of thumb that is read from table 3 of Hoffmann et al. (2022).
RULE_TOKENS_PER_PARAMETER = 20.0
#: Budget below which Kaplan's rule has less than a hundred parameters to offer, and is asked no more [FLOP].
LEAST_FLOPS = 1e10
#: Sizes among which Chinchilla's optimum in Kaplan's variables is looked up [non-embedding parameters].
LOOKUP_SIZES = np.geomspace(1e3, 1e15, 4001)


def non_embedding_of_total(count: float) -> float:
    """Return N of N + w N^(1/3) = `count` (Pearce and Song 2024), parameters without embeddings, at least 1."""
    weight = KaplanFrontier(Chinchilla.besiroglu()).embedding_weight
    roots = np.roots([1.0, 0.0, weight, -count])
    real = float(np.max(roots.real[np.abs(roots.imag) < 1e-6 * np.abs(roots).max()]))
    return max(real, 1.0) ** 3


def baseline_plans(
    surface: AbstractLossModel, log_pairs: float, best_loss: np.ndarray, level: float
) -> tuple[BaselinePlan, ...]:
    """Return what other rules would train with a budget p = ln(C / 6), each judged by this law.

    Args:
        surface: the law. log_pairs: p. best_loss: of each row at that budget, shape (r,) [nats/token].
        level: of the intervals.
    """
    pairs = math.exp(log_pairs)
    flops = FLOPS_PER_PARAMETER_TOKEN * pairs
    named = {"20 tokens a parameter": math.sqrt(pairs / RULE_TOKENS_PER_PARAMETER)}
    published = (
        ("Besiroglu 2024", Chinchilla.besiroglu()),
        ("Hoffmann 2022, unrounded", Chinchilla.hoffmann_tex()),
        ("Hoffmann 2022, as printed", Chinchilla.hoffmann()),
    )
    kaplan = Kaplan().empirical_allocation(max(flops, LEAST_FLOPS)).size
    if surface.facts.kind is SizeKind.TOTAL:
        for name, law in published:
            if law.source != surface.facts.source:
                named[name] = float(law.optimum(flops).size.count)
        converted = KaplanFrontier(Chinchilla.besiroglu()).total_size(kaplan)
        named["Kaplan 2020, empirical"] = float(converted.count)
    elif surface.facts.kind is SizeKind.NON_EMBEDDING:
        frontier = KaplanFrontier(Chinchilla.besiroglu())
        sizes = np.log(frontier.flops(non_embedding(LOOKUP_SIZES)))
        own = np.interp(math.log(flops), sizes, np.log(LOOKUP_SIZES))
        named["Besiroglu, non-embedding"] = float(np.exp(own))
        named["Kaplan 2020, empirical"] = float(kaplan.count)
    found = []
    for name, size in named.items():
        if not 1.0 < size < pairs:
            continue
        loss = surface.loss(np.array([[math.log(size)]]), np.array([[log_pairs - math.log(size)]]))[:, 0]
        extra = estimate(np.maximum(loss - best_loss, 0.0), level)
        found.append(BaselinePlan(name, size, pairs / size, pairs / size**2, float(loss[0]), extra))
    return tuple(found)
