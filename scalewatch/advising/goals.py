"""Advice that follows from the forecast: stop, extend, decay now, or end the schedule lower.

All of it is a comparison of schedules by the law's posterior (`counterfactual.py`), and none is given where an interval
does not carry it. Sources: stop where P(final < incumbent) < 0.05 (Domhan et al. 2015, section 3.3), from a fifth of
the run on (Choshen et al. 2024: a third of a run predicts its end, the first tenth misleads). A cosine longer than its
data costs loss (Hoffmann et al. 2022, appendix B, figure A1), and ending near zero beats ending at a tenth of the peak
(Bergsma et al. 2025, arXiv 2502.15938): both controlled comparisons.
"""

from __future__ import annotations

from scalewatch.advice import Action, Advice, EvidenceGrade
from scalewatch.advising.context import AdviceContext
from scalewatch.forecast.candidate_schedules import DECAY_SHARE, decay_now, extended, hold_then_decay
from scalewatch.forecast.candidates import OTHER_SHARE, OTHER_WALK
from scalewatch.forecast.counterfactual import Outcome, Position, position, what_if
from scalewatch.forecast.forecast import Forecast
from scalewatch.forecast.forecaster import Forecaster
from scalewatch.text import percent

__all__ = ["about_aims", "about_least_gain", "about_schedule", "chance_text"]

#: Chance of reaching target or incumbent below which a run is stopped (Domhan et al. 2015).
HOPELESS = 0.05
#: Part of the run before which no forecast stops it. By hand.
EARLIEST_STOP = 0.2
#: Chance from which another schedule is taken without a look at a longer one. By hand.
LIKELY = 0.5
#: Part of the planned steps by which an extension is tried: more is another run. By hand.
EXTENSION = 0.25
#: Part of the peak rate that a plan takes away from which on it decays, and part of the weight of laws that were not
#: calibrated from which on a gain is not of the calibration. By hand.
DECAYS, OUTSIDE = 0.05, 0.5
#: Final rate over peak above which a schedule does not end (Hoffmann et al. 2022 end at 0.1), and rounding of it.
ENDS_HIGH = 0.1 * 1.05


def about_aims(context: AdviceContext) -> list[Advice]:
    """Return whether to stop because the run cannot reach its target or beat the incumbent, or how it still could."""
    forecaster, bar = context.forecaster, context.goals.bar
    if forecaster is None or bar is None:
        return []
    at, forecast = _now(forecaster)
    if at is None or forecast is None:
        return []
    loss, name = bar
    chance = forecast.probability_below(loss)
    if at.step < EARLIEST_STOP * at.total_steps or chance >= HOPELESS:
        return []
    low, high = forecast.interval(0.8)
    ends = f"It will end at {forecast.final_loss:.3f} (80 %: {low:.3f} to {high:.3f})"
    fails = f"and gets below the {name} of {loss:.3f} with a probability of {chance_text(chance)}"
    better = _still_could(forecaster, at, loss)
    if better is not None:
        action, outcome = better
        worse, gain = (-d for d in reversed(outcome.difference_interval(0.8)))
        reason = (
            f"{ends} {fails}. With another schedule it could: {outcome.name} ends at {outcome.final_loss:.3f}, below "
            f"it with a probability of {chance_text(outcome.probability_below(loss))}."
        )
        change = "the plan itself gets below it with a probability above 5 %."
        return [Advice(action, reason, outcome.evidence_grade, -outcome.difference, at.step, (worse, gain), change)]
    saved = f"stopping saves {at.left:,} steps, {100 * at.left / at.total_steps:.0f} % of the run"
    change = f"the 90 % interval of a forecast reaches {loss:.3f}, or a schedule gets there (scalewatch whatif)."
    return [Advice(Action.STOP, f"{ends} {fails}: {saved}.", EvidenceGrade.B, None, at.step, None, change)]


def _still_could(forecaster: Forecaster, at: Position, loss: float) -> tuple[Action, Outcome] | None:
    """The first other schedule that likely gets below `loss`, else the likeliest that is not hopeless, else None."""
    tried = [(Action.CHANGE_SCHEDULE, hold_then_decay(at.rate, at.left, at.total_steps))]
    if at.planned:
        tried.append((Action.EXTEND, extended(at.rest, max(round(EXTENSION * at.total_steps), 1))))
    outcomes = what_if(forecaster, [alternative for _, alternative in tried])[1:]
    # what the law is not calibrated for is no reason to go on paying
    able = [
        (outcome.probability_below(loss), action, outcome)
        for (action, _), outcome in zip(tried, outcomes, strict=True)
        if outcome.evidence_grade is EvidenceGrade.B
    ]
    likely = next((each for each in able if each[0] >= LIKELY), None)
    best = likely or max(able, key=lambda each: each[0], default=None)
    return None if best is None or best[0] < HOPELESS else best[1:]


def about_least_gain(context: AdviceContext) -> list[Advice]:
    """Return whether the rest of the run buys less than was asked: then decay now, or stop where it has decayed."""
    forecaster, least = context.forecaster, context.goals.least_gain
    if forecaster is None or least is None:
        return []
    at, forecast = _now(forecaster)
    if at is None or forecast is None or not at.rate > 0:
        return []
    short = decay_now(at.rate, at.step)
    if at.step < EARLIEST_STOP * at.total_steps or len(short.rates) >= at.left:
        return []
    # what the rest buys is told against a rest that ends well: a plan that never decays buys less than nothing
    last = float(at.rest[-1]) / max(at.peak, 1e-300)
    well = hold_then_decay(at.rate, at.left, at.total_steps) if last > ENDS_HIGH else None
    outcome = what_if(forecaster, [short], well)[1]
    low, high = outcome.difference_interval(0.8)
    if high >= least:
        return []
    saved = at.left - len(short.rates)
    unit = forecaster.run.unit_after
    reason = (
        f"The last {saved:,} of the {at.left:,} steps to come buy less than the {least:g}{unit} asked for: decay to "
        f"zero over the next {len(short.rates):,} steps and end there."
    )
    change = f"the upper end of that interval reaches {least:g}."
    return [Advice(Action.DECAY_NOW, reason, EvidenceGrade.B, -outcome.difference, at.step, (-high, -low), change)]


def about_schedule(context: AdviceContext) -> list[Advice]:
    """Return whether the plan ends with a rate so high that a decay at its end would gain loss for nothing."""
    if context.forecaster is None or _ends_low(context.forecaster):
        return []
    at, forecast = _now(context.forecaster)
    if at is None or forecast is None or not at.planned:
        return []
    last = float(at.rest[-1]) / max(at.peak, 1e-300)
    if last <= ENDS_HIGH or at.left <= 1 or not _calibrated(forecast):
        return []
    if max(at.decayed, 1.0 - float(at.rest.min()) / max(at.peak, 1e-300)) < DECAYS:
        return []  # a rate that is never to fall is meant so: by a schedule-free optimizer, or to go on from
    outcome = what_if(context.forecaster, [hold_then_decay(at.rate, at.left, at.total_steps, DECAY_SHARE)])[1]
    low, high = outcome.difference_interval(0.8)
    if high >= 0:
        return []
    reason = (
        f"The learning rate is still at {100 * last:.0f} % of its peak when the run ends. "
        f"{_capital(outcome.name)} of the steps should end {-outcome.difference:.2g} lower for the same compute."
    )
    change = "you will go on from this checkpoint: then the rate is high on purpose."
    grade = EvidenceGrade.A if context.of_text else outcome.evidence_grade
    return [Advice(Action.CHANGE_SCHEDULE, reason, grade, -outcome.difference, at.step, (-high, -low), change)]


def _ends_low(forecaster: Forecaster) -> bool:
    """Whether no plan ends with a high rate, as is told without walking along it."""
    plan, step = forecaster.run.learning_rates, forecaster.blocks.last_step
    if plan is None or not forecaster.follows_plan or step < 1:
        return True
    return float(plan[-1]) <= ENDS_HIGH * float(plan[:step].max())


def _calibrated(forecast: Forecast) -> bool:
    """Whether the gain of a decay was measured on losses like this one, which are those of text."""
    return sum(forecast.weights.get(law, 0.0) for law in (OTHER_WALK, OTHER_SHARE)) < OUTSIDE


def _now(forecaster: Forecaster) -> tuple[Position | None, Forecast | None]:
    at = position(forecaster)
    return at, None if at is None else forecaster.forecast()


def chance_text(chance: float) -> str:
    """Return a probability in words, without a certainty that no forecast has.

    >>> chance_text(0.4321), chance_text(0.001)
    ('43 %', 'less than 1 %')
    """
    return "less than 1 %" if chance < 0.01 else "more than 99 %" if chance > 0.99 else percent(chance)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
