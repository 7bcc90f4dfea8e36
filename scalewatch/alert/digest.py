"""The state of one run in a few rows, for a message that comes every day and not only when something is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, final

from scalewatch.alert.dedup import Incident, SentLog
from scalewatch.alert.notification import began
from scalewatch.alert.rules import Route, Rules, Silence
from scalewatch.finding import Severity
from scalewatch.kinds import kind_row
from scalewatch.text import duration

__all__ = ["ForecastRow", "digest_due", "digest_headline", "digest_rows"]

#: Incidents in one digest.
MAX_INCIDENTS = 5


@final
class ForecastRow(NamedTuple):
    """The newest forecast: the final loss, and between which it lies with 80 % [nats/token]."""

    final_loss: float
    low: float
    high: float


def digest_due(log: SentLog, rules: Rules, routes: Sequence[Route], silences: Sequence[Silence], now: float) -> bool:
    """Return whether a receiver is due a digest at `now` [Unix seconds]: not to a pager, nor while it is quiet."""
    if not rules.digest or now - log.digest_at < rules.digest:
        return False
    if not any(route.ends and route.severity is not Severity.CRITICAL for route in routes):
        return False
    hush = any(quiet.holds(Severity.INFO, now) for quiet in rules.quiet)
    return not hush and not any(not silence.kinds and silence.holds("", now) for silence in silences)


def digest_headline(incidents: Sequence[Incident], step: int, total_steps: int | None) -> str:
    """Return how the run is, in one line."""
    done = f" of {total_steps:,} ({100 * step / total_steps:.0f} %)" if total_steps else ""
    worst = [i for i in incidents if i.closed_at is None and i.severity is not Severity.INFO]
    worst.sort(key=lambda i: (-i.severity.rank, i.start_step))
    how = f"{kind_row(worst[0].kind).firing} {began(worst[0].kind, worst[0].start_step)}" if worst else "nothing wrong"
    more = f" (and {len(worst) - 1} more)" if len(worst) > 1 else ""
    return f"{how}{more}; now step {step:,}{done}"


def digest_rows(
    incidents: Sequence[Incident],
    curve: Sequence[tuple[int, float]],
    forecast: ForecastRow | None,
    steps: tuple[int, int, int | None],
    since: float,
    now: float,
) -> tuple[tuple[str, str], ...]:
    """Return what there is to say about the time from `since` to `now` [Unix seconds], as (label, text).

    Args:
        incidents: of the run. curve: (step, loss [nats/token]). forecast: None if there is none.
        steps: the newest, that at `since`, and how many are planned.
    """
    step, before, total = steps
    rows = []
    per_second = (step - before) / (now - since) if now > since else 0.0
    if per_second > 0:
        left = f", {duration((total - step) / per_second)} left" if total is not None and total > step else ""
        rows.append(("steps", f"{step - before:,} in {duration(now - since)} ({per_second:.3g} a second){left}"))
    if curve:
        then = next((loss for at, loss in reversed(curve) if at <= before), None)
        was = f" (was {then:.4g} at step {before:,})" if then is not None and before > 0 else ""
        rows.append(("loss", f"{curve[-1][1]:.4g}{was}"))
    if forecast is not None:
        rows.append(
            ("final loss", f"{forecast.final_loss:.4g} expected (80 %: {forecast.low:.4g} to {forecast.high:.4g})")
        )
    recent = [i for i in incidents if i.closed_at is None or i.closed_at >= since]
    recent.sort(key=lambda i: (i.closed_at is not None, -i.severity.rank, i.start_step))
    for incident in recent[:MAX_INCIDENTS]:
        state = "goes on" if incident.closed_at is None else "over"
        often = f", {incident.times:,} times" if incident.times > 1 else ""
        rows.append((kind_row(incident.kind).firing, f"{began(incident.kind, incident.start_step)}{often}, {state}"))
    if len(recent) > MAX_INCIDENTS:
        rows.append(("and", f"{len(recent) - MAX_INCIDENTS} more kinds of incidents"))
    return tuple(rows)
