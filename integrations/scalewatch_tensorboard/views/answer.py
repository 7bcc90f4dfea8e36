"""The one answer on top of every panel: what is wrong, how bad it is, and what to do now.

What: the state of the run and since when. How bad: one number with its unit. Do: one action, the most urgent; why, and
what else could be done, is told to whoever asks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, final

from scalewatch.advice import Action, Advice
from scalewatch.finding import Finding, Kind
from scalewatch.kinds import kind_name
from scalewatch.plain import to_plain
from scalewatch.status import State, Status
from scalewatch.text import percent

if TYPE_CHECKING:
    from scalewatch.forecast import Forecast
    from scalewatch.forecast.verdict import Verdict

__all__ = ["answer_of", "said"]

#: What is to be done where nothing is advised.
_NOTHING = {
    State.HEALTHY: ("let it train", "Nothing was found that needs anybody."),
    State.RECOVERED: ("let it train", "It came back by itself, and nothing is open now."),
    State.CANNOT_TELL: ("wait", "Nothing can be said yet, neither good nor bad."),
    State.OVER: ("nothing to do", "It has reached its planned end."),
    State.IN_TROUBLE: ("look at it", "Nothing in the log says what would help: look at what changed before it began."),
    State.LOST: ("stop", "The run is lost, and each further step costs."),
}
#: The same of a run that has come to its end.
_ENDED = ("look before you use it", "It ended in an incident: use a checkpoint from before that.")
#: Level of the interval of a forecast.
LEVEL = 0.8
#: Losses this far apart are told as times, and not in per cent.
TIMES = 3.0


@final
class _Measure(NamedTuple):
    number: str = ""
    words: str = ""
    of: str = ""


def answer_of(
    verdict: Verdict,
    open_now: Sequence[Finding],
    advice: Sequence[Advice],
    forecast: Forecast | None,
    loss: float | None,
) -> dict[str, Any]:
    """Return what, how bad and what to do, as plain values.

    Args:
        verdict: of the run. open_now: the newest finding of each open incident. advice: of now, the most urgent first.
        forecast: of now, None if there is none. loss: the loss now.
    """
    status, pages = verdict.status, [finding for finding in open_now if finding.pages]
    worst = max(pages, key=lambda finding: finding.severity.rank, default=None)
    measure = _how_bad(verdict, worst, forecast, loss)
    ended = _NOTHING[State.OVER] if worst is None else _ENDED
    what, why = ended if verdict.finished else _NOTHING[status.state]
    first = None if not advice else to_plain(advice[0]) | {"gain": advice[0].gain}
    return {
        "what": _what(status, worst, verdict),
        "ago": None if status.since is None or worst is None else max(verdict.step - status.since, 0),
        **measure._asdict(),
        "action": what if first is None else said(advice[0].action),
        "reason": why if first is None else advice[0].reason,
        "advice": first,
    }


def said(action: Action) -> str:
    """Return an action as a person would say it."""
    return action.value.replace("_", " ")


def _what(status: Status, worst: Finding | None, verdict: Verdict) -> str:
    """What is the matter and since when."""
    if worst is not None:
        return f"{_capital(kind_name(worst.kind))} since step {worst.start_step:,}"
    if status.state is State.RECOVERED:
        newest = next((f for f in reversed(verdict.incidents) if f.pages), None)
        where = "" if newest is None else f", the last at step {newest.start_step:,}"
        kinds = ", ".join(sorted({kind_name(f.kind) for f in verdict.incidents if f.pages}))
        return f"{_capital(kinds)}{where}"
    if status.state is State.CANNOT_TELL:
        return _capital(verdict.unjudged)
    return f"Nothing found in {verdict.step:,} steps"


def _how_bad(verdict: Verdict, worst: Finding | None, forecast: Forecast | None, loss: float | None) -> _Measure:
    """One number with its unit, what it is of, and which of the facts below it is told with it."""
    unit = f" {verdict.run.unit}" if verdict.run.unit else ""
    if worst is not None:
        return _of_incident(worst, loss, verdict.step)
    if verdict.final_loss is not None:
        return _Measure(f"{short(verdict.final_loss)}{unit}", "the loss it ended at", "final")
    if forecast is not None:
        low, high = forecast.interval(LEVEL)
        words = f"the loss it will end at ({percent(LEVEL)}: {short(low)} to {short(high)})"
        return _Measure(f"{short(forecast.final_loss)}{unit}", words, "forecast")
    return _Measure() if loss is None else _Measure(f"{short(loss)}{unit}", "the loss now", "loss")


def _of_incident(worst: Finding, loss: float | None, step: int) -> _Measure:
    """How far a run is from where it was before an incident."""
    evidence = worst.evidence
    if worst.kind in (Kind.NONFINITE, Kind.NONFINITE_GRADIENT):
        lost = max(step - worst.start_step + 1, 1)
        what = "loss" if worst.kind is Kind.NONFINITE else "gradient norm"
        return _Measure(f"{lost:,} step{'s' * (lost != 1)}", f"without a finite {what}")
    for name, word in (("level_nats", "loss"), ("level_grad_norm", "gradient norm")):
        before = evidence.get(name)
        now = loss if word == "loss" else evidence.get("grad_norm")
        if isinstance(before, float) and isinstance(now, float) and before > 0 and now > 0 and math.isfinite(now):
            ratio = now / before
            apart = f"{ratio:.3g} times" if ratio >= TIMES else percent(ratio - 1, sign=True)
            return _Measure(apart, f"{word} {short(now)}, {short(before)} before it")
    return _Measure("", worst.message)


def short(loss: float) -> str:
    """Return a loss with as many digits as a person compares.

    >>> short(2.34567), short(123.45), short(1.2e-7)
    ('2.346', '123.5', '1.2e-7')
    """
    size = abs(loss)
    if size >= 1e4 or 0 < size < 1e-3:
        digits, _, exponent = f"{loss:.2e}".partition("e")
        return f"{float(digits):g}e{int(exponent)}"
    return f"{loss:.{1 if size >= 100 else 2 if size >= 10 else 3}f}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
