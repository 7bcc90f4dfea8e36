"""How long the learning-rate schedule of a plan is to be, and what is wrong with one that ends elsewhere."""

from __future__ import annotations

import math

from scalewatch.errors import ConfigError
from scalewatch.laws.batch_and_step import advise_batch_tokens
from scalewatch.laws.size import SizeKind, non_embedding
from scalewatch.plan.baselines import non_embedding_of_total
from scalewatch.plan.loss_model import short
from scalewatch.plan.request import PlanRequest
from scalewatch.plan.result import Point, Schedule

__all__ = ["plan_schedule"]

#: Rate at the end of the cosine that is assumed, in parts of the peak (Hoffmann et al. 2022, appendix B).
END_SHARE = 0.1
#: Relative difference of a schedule and the tokens that is not worth a word.
CLOSE = 0.01
#: Cosine over tokens from which the loss is clearly worse (Hoffmann et al. 2022, appendix B, figure A1).
TOO_LONG = 1.25


def plan_schedule(request: PlanRequest, run: Point, kind: SizeKind) -> Schedule:
    """Return the schedule that ends with the tokens of `run`, and what is wrong with the one that was asked for.

    Raises:
        ConfigError: if a step takes more tokens than the run has.
    """
    tokens, batch = run.tokens.value, request.batch_tokens
    band = None if kind is SizeKind.ACTIVE else _batch_band(run, kind)
    if batch is None:
        return Schedule(run.tokens, None, None, band, None, None, None, None)
    if batch > tokens:
        raise ConfigError(
            f"`batch_tokens` must be at most the tokens of the run, {short(tokens)} (got {short(batch)})."
        )
    steps, asked = tokens / batch, request.schedule_steps
    if asked is None:
        return Schedule(run.tokens, batch, steps, band, None, None, None, None)
    share = steps / asked
    rate = END_SHARE + (1.0 - END_SHARE) * 0.5 * (1.0 + math.cos(math.pi * min(share, 1.0)))
    return Schedule(run.tokens, batch, steps, band, asked, share, rate, _warning(steps, asked, rate))


def _batch_band(run: Point, kind: SizeKind) -> tuple[float, float]:
    count = run.parameters.value
    inner = non_embedding_of_total(count) if kind is SizeKind.TOTAL else count
    advice = advise_batch_tokens(non_embedding(inner), run.tokens.value)
    return advice.low, advice.high


def _warning(steps: float, asked: float, rate: float) -> str | None:
    if asked > steps * (1.0 + CLOSE):
        longer = 100.0 * (asked / steps - 1.0)
        worse = (
            "; past 25 % longer the loss is clearly worse (Hoffmann et al. 2022)" if asked > TOO_LONG * steps else ""
        )
        return (
            f"The cosine of {asked:,.0f} steps is {longer:.0f} % longer than the tokens: they run out at step "
            f"{steps:,.0f}, with {100 * rate:.0f} % of the peak rate left{worse}. Plan {steps:,.0f} steps."
        )
    if asked < steps * (1.0 - CLOSE):
        return (
            f"The cosine of {asked:,.0f} steps ends before the tokens do: the last {100 * (1 - asked / steps):.0f} % "
            f"would train at its lowest rate. Plan {steps:,.0f} steps."
        )
    return None
