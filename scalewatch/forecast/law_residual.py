"""How far a run is off what its law expected of it: nats, per cent, tokens and compute, and how likely by chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from scalewatch.forecast.changepoint import ChangeShape, ResidualChange, classify_change, tail
from scalewatch.forecast.preregistered import BaselineForecast
from scalewatch.laws import LossBlocks

__all__ = ["LawResidual", "law_residual"]

#: Part of the run before which its distance to the law is not told: early descent follows no law. By hand.
GAP_FROM_SHARE = 0.05
#: Part of the run from which on stretches are compared with the law to tell how it was left. By hand: Choshen et al.
#: 2024 leave out as much.
COMPARED_FROM_SHARE = 0.1
#: Stretches of the curve that the distance is a mean over, a fifth of all steps so far: read off the newest one
#: alone, the token equivalent of a noisy run jumps by a tenth to a fifth from one stretch to the next. By hand.
SMOOTHED = 5
#: Two-sided 80 % of a Gaussian. By definition.
GAUSSIAN_80 = 1.2816
#: Token ratios beyond this are no statement about tokens any more. By hand.
MOST_TOKEN_RATIO = 20.0
#: Token ratio from which on nothing is said to be lost: less than half a per cent. By hand.
MOST_RATIO_LOST = 0.995
#: Freedom of a law whose scatter is taken as known. By hand.
KNOWN = 1_000
#: A way to leave the law is told where chance makes it in fewer runs than this. By hand.
TOLD_CHANCE = 0.01
#: A chance below this is not told as a number: no tail is known so far out. By hand.
LEAST_TOLD = 1e-4


@final
@dataclass(frozen=True, slots=True)
class LawResidual:
    """How far a run is off the law that it is watched with.

    Attributes:
        step: step at which it was measured.
        loss: loss of the run there: the expected one and what the run was above it over the last fifth of its
            steps, on average [nats/token].
        expected: what the law expected there before the run started [nats/token].
        sd: standard error of `expected`, the law's own [nats/token].
        noise: standard error of `loss` from batch noise [nats/token].
        token_ratio: tokens that the law needs for this loss at this point of the same schedule, over tokens
            used: at 0.9 a tenth of the compute is lost. None if the law reaches this loss with no amount.
        tokens: tokens consumed, None if unknown.
        token_range: 80 % interval of `token_ratio`, (low, high), high infinite where no amount is enough; None if
            unknown.
        freedom: degrees of freedom of the law's own scatter: few runs make a far one likelier.
        departure: in which way it left its law; None before that can be asked.
        newest_nats: the newest stretch alone above the law [nats/token]; None if it is not known apart.
    """

    step: int
    loss: float
    expected: float
    sd: float
    noise: float
    token_ratio: float | None
    tokens: float | None = None
    token_range: tuple[float, float] | None = None
    freedom: int = KNOWN
    departure: ResidualChange | None = None
    newest_nats: float | None = None

    @property
    def nats(self) -> float:
        """Loss above the law [nats/token]; negative is better than the law."""
        return self.loss - self.expected

    @property
    def percent(self) -> float:
        """`nats` in per cent of the expected loss."""
        return 100.0 * self.nats / self.expected

    @property
    def sigmas(self) -> float:
        """`nats` in standard errors of the law and of the batch noise together."""
        error = math.hypot(self.sd, self.noise)
        return self.nats / error if error > 0 else math.inf

    @property
    def chance(self) -> float:
        """Probability that a run on its law looks like this: by the way it got there, or else by its distance."""
        if self.departure is not None:
            return self.departure.chance
        return tail(self.sigmas, self.freedom) if math.isfinite(self.sigmas) else 1.0

    def distance(self) -> str:
        """Say how far it is and to which side, as part of a sentence."""
        side = "above" if self.nats > 0 else "below"
        return f"{abs(self.nats):.3f} nats ({self._percent()} %) {side} its law"

    def short(self) -> str:
        """Say in one line what it is and what it costs: a distance within both errors is none."""
        if abs(self.sigmas) < GAUSSIAN_80:
            return f"on its law ({self._percent()} % {'above' if self.nats > 0 else 'below'}, within its error)"
        if self.nats < 0:
            return f"{self._percent()} % below its law: better than expected"
        ratio = self.token_ratio
        lost = ""
        if ratio is not None and ratio < MOST_RATIO_LOST:
            lost = f": about {100 * (1 - ratio):.0f} % of the compute so far bought nothing"
        return f"{self._percent()} % above its law{lost}"

    def text(self) -> str:
        """Say it in one sentence, and the way in a second where chance does not explain it."""
        return f"{self.distance()} (the law's own error is {self.sd:.3f}): {self._equivalent()}.{self._way()}"

    def _percent(self) -> str:
        size = abs(self.percent)
        return f"{size:.0f}" if size >= 10 else f"{size:.1f}" if size >= 1 else f"{size:.2f}"

    def _equivalent(self) -> str:
        ratio = self.token_ratio
        if ratio is None or ratio > MOST_TOKEN_RATIO:
            return "better than the law expects of any number of tokens"
        between = "" if self.token_range is None else f" (80 %: {self._between(*self.token_range)})"
        lost = f", {100 * (1 - ratio):.0f} % of the compute so far bought nothing" if ratio < MOST_RATIO_LOST else ""
        if self.tokens is None:
            return f"at step {self.step:,} you are where the law expects step {ratio * self.step:,.0f}{between}{lost}"
        here, there = _count(self.tokens), _count(ratio * self.tokens)
        return f"at {here} tokens you are where the law expects {there}{between}{lost}"

    def _between(self, low: float, high: float) -> str:
        scale = self.step if self.tokens is None else self.tokens
        least, most = (f"{v * scale:,.0f}" if self.tokens is None else _count(v * scale) for v in (low, min(high, 1e9)))
        return f"{least} or more" if high > MOST_TOKEN_RATIO else f"{least} to {most}"

    def _way(self) -> str:
        if self.chance >= TOLD_CHANCE:
            return ""
        if self.departure is not None:
            return f" {told(self.departure)}"
        words = odds(self.chance)
        return f" {words[0].upper()}{words[1:]}."


def law_residual(baseline: BaselineForecast, blocks: LossBlocks, tokens_per_step: float | None) -> LawResidual | None:
    """Return how far `blocks` are off their law now, None before the run has settled."""
    if not blocks.losses:
        return None
    steps, losses = np.array(blocks.mean_steps), np.array(blocks.losses)
    rows = np.array(blocks.rows, dtype=np.float64)
    first = max(float(baseline.steps[0]), GAP_FROM_SHARE * baseline.total_steps)
    if steps[-1] < first:
        return None
    keep = steps >= first
    steps, losses, rows = steps[keep], losses[keep], rows[keep]
    expected, factors = baseline.at(steps)
    off, noise = losses - expected, losses * blocks.log_noise / np.sqrt(rows)
    newest = slice(-SMOOTHED, None)
    weights = rows[newest] / rows[newest].sum()
    nats, of_noise = float(weights @ off[newest]), float(np.sqrt(weights**2 @ noise[newest] ** 2))
    sd = float(np.sqrt(((weights @ factors[newest]) ** 2).sum()))
    at, level = float(steps[-1]), float(expected[-1])
    error = GAUSSIAN_80 * math.hypot(sd, of_noise)
    ratio, least, most = (baseline.token_ratio(at, nats + way * error) for way in (0.0, 1.0, -1.0))
    late = steps >= COMPARED_FROM_SHARE * baseline.total_steps
    shape = (baseline.alpha, baseline.wander, baseline.freedom)
    return LawResidual(
        step=round(at),
        loss=level + nats,
        expected=level,
        sd=sd,
        noise=of_noise,
        token_ratio=ratio,
        tokens=None if tokens_per_step is None else tokens_per_step * round(at),
        token_range=None if least is None else (least, math.inf if most is None else most),
        freedom=baseline.freedom,
        newest_nats=float(off[-1]),
        departure=classify_change(
            steps[late], baseline.lr_sum(steps[late]), off[late], expected[late], noise[late], factors[late], shape
        ),
    )


def told(left: ResidualChange) -> str:
    """Say in which way a run left its law, since when, how sure that is, and how likely by chance."""
    moved = "up" if left.nats > 0 else "down"
    words = {
        ChangeShape.OFFSET: "an offset from the start on",
        ChangeShape.STEP: f"a step {moved} at step {left.since_step:,}",
        ChangeShape.DRIFT: f"a drift {moved} since step {left.since_step:,}",
        ChangeShape.SLOPE: f"a wrong slope from the start on, {moved}",
        ChangeShape.ASYMPTOTE: f"a wrong asymptote, too {'high' if left.nats > 0 else 'low'}",
    }[left.way]
    sure = f"{100 * min(left.way_probability, 0.99):.0f} % sure"
    return f"It looks like {words} ({sure}), {abs(left.nats):.3f} nats so far; {odds(left.chance)}."


def odds(chance: float) -> str:
    """Say how many healthy runs look like this, in plain words."""
    if chance >= 0.1:
        return f"{100 * chance:.0f} % of healthy runs look like this by chance"
    if chance < LEAST_TOLD:
        return f"fewer than 1 healthy run in {1 / LEAST_TOLD:,.0f} looks like this by chance"
    return f"about 1 healthy run in {float(f'{1 / chance:.1g}'):,.0f} looks like this by chance"


def _count(value: float) -> str:
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            scaled = value / size
            return f"{scaled:.{2 if scaled < 9.995 else 1 if scaled < 99.95 else 0}f} {unit}"
    return f"{value:.0f}"
