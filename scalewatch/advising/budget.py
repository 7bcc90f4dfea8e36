"""Advice before it is too late to change: too little data for the size, or too large a model for the compute.

Both are one thing at a given compute 6 N D: a model above the size of least loss. It is priced by two published sets of
Chinchilla constants, which disagree on the optimum by a factor of three in tokens (Hoffmann et al. 2022 as in its TeX
source, Besiroglu et al. 2024): said only where both agree that the model is too large and that the price is more than
the luck of a seed. A model below that size is cheap to serve (Sardana et al. 2024) and nothing is said of it.
"""

from __future__ import annotations

import math

from scalewatch.advice import Action, Advice, EvidenceGrade
from scalewatch.advising.context import AdviceContext

__all__ = ["about_budget"]

#: Part of the run after which its size is no question any more. By hand.
EARLY = 0.1
#: Run-to-run sd of a final loss, relative (seeds of public runs: 0.2 to 0.6 %): no price below it is told. By hand, the
#: highest of them.
SEED_SHARE = 0.006
#: Factor outside the fitted sizes and tokens from which a law of others says nothing of this run. By hand.
OUTSIDE = 10.0
#: Tokens a parameter that people know (Hoffmann et al. 2022, table 3: about 20 at every budget).
RULE = 20.0


def about_budget(context: AdviceContext) -> list[Advice]:
    """Return what a model too large for its data costs; empty where it is not, or size and tokens are not known."""
    run = context.run
    if run is None or run.parameters is None or run.total_steps is None or context.step > EARLY * run.total_steps:
        return []
    tokens = run.tokens_at(run.total_steps)
    if tokens is None or tokens >= RULE * run.parameters:
        return []
    # laws for planning are loaded when they are first needed: most runs never do
    from scalewatch.laws.chinchilla import Chinchilla

    prices, sizes, losses = [], [], []
    for law in (Chinchilla.hoffmann_tex(), Chinchilla.besiroglu()):
        if not _known(run.parameters, law.sizes) or not _known(tokens, law.tokens):
            return []
        flops = 6.0 * run.parameters * tokens
        best = float(law.optimum(flops).size.count)
        priced = law.off_optimum(flops, run.parameters / best)
        prices.append(priced.extra_nats if priced.factor > 1 else 0.0)
        sizes.append(best)
        losses.append(priced.loss)
    if min(prices) < SEED_SHARE * min(losses):
        return []
    reason = (
        f"{tokens / run.parameters:.3g} tokens a parameter, and about {RULE:.0f} are best for the loss. At this "
        f"compute a model of {_count(min(sizes))} to {_count(max(sizes))} parameters ends {min(prices):.2f} to "
        f"{max(prices):.2f} nats lower by two published laws (Hoffmann 2022, Besiroglu 2024)."
    )
    middle = math.sqrt(min(prices) * max(prices))
    change = "a law of this recipe's own smaller runs has its optimum elsewhere (scalewatch fit, then plan)."
    # how far two laws are apart is no 80 % interval of anything: it stands in the reason
    return [Advice(Action.CHANGE_SIZE, reason, EvidenceGrade.A, middle, context.step, None, change)]


def _known(value: float, limits: tuple[float, float] | None) -> bool:
    return limits is not None and limits[0] / OUTSIDE <= value <= limits[1] * OUTSIDE


def _count(value: float) -> str:
    return f"{value / 1e9:.2g}B" if value >= 1e9 else f"{value / 1e6:.3g}M"
