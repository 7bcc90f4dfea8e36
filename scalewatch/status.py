"""How a run stands: six states, and the one row of words that every screen shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import final

from scalewatch.finding import Finding, Severity
from scalewatch.kinds import kind_name

__all__ = ["State", "Status", "status_of"]


@final
class State(StrEnum):
    """The six states of a run; each value is its word."""

    HEALTHY = "healthy"
    IN_TROUBLE = "in trouble"
    LOST = "lost"
    RECOVERED = "recovered"
    CANNOT_TELL = "cannot tell"
    OVER = "over"

    @property
    def rank(self) -> int:
        """How bad it is: lost 3, in trouble 2, recovered 1, else 0."""
        return {State.LOST: 3, State.IN_TROUBLE: 2, State.RECOVERED: 1}.get(self, 0)


@final
@dataclass(frozen=True, slots=True)
class Status:
    """How a run stands.

    Attributes:
        state: one of six. OVER is a run that reached its planned end with nothing open and nothing that had paged.
        sentence: the same in words, as each screen shows it. since: step since which, None where there is none.
        not_measured: what was never given, such as "gradient norm": of it nothing is said, and not that it is quiet.
    """

    state: State
    sentence: str
    since: int | None = None
    not_measured: tuple[str, ...] = ()


def status_of(
    still_open: Sequence[Finding],
    paged: Sequence[Finding],
    *,
    unjudged: str = "",
    finished: bool = False,
    not_measured: tuple[str, ...] = (),
) -> Status:
    """Return how a run stands.

    Args:
        still_open: the newest finding of each open incident. paged: what was worth waking someone, oldest first.
        unjudged: why nothing can be told of it yet, "" where something can.
        finished: whether its planned end was reached. not_measured: what was never given, in words.

    >>> status_of((), (), unjudged="no row yet").sentence, status_of((), (), finished=True).sentence
    ('cannot tell: no row yet', 'over: healthy to its end')
    """
    state, sentence, since = _standing(still_open, paged, unjudged=unjudged, finished=finished)
    return Status(state, sentence, since, not_measured)


def _standing(
    still_open: Sequence[Finding], paged: Sequence[Finding], *, unjudged: str, finished: bool
) -> tuple[State, str, int | None]:
    pages = [finding for finding in still_open if finding.pages]
    lost = [finding for finding in pages if finding.severity is Severity.CRITICAL]
    if pages:
        worst = (lost or pages)[0]
        head = "LOST" if lost else "IN TROUBLE"
        sentence = f"{head}: {kind_name(worst.kind)} since step {worst.start_step:,}"
        return State.LOST if lost else State.IN_TROUBLE, sentence, worst.start_step
    if paged:
        kinds = ", ".join(sorted({kind_name(finding.kind) for finding in paged}))
        return State.RECOVERED, f"recovered from {kinds}", paged[0].start_step
    if unjudged:
        return State.CANNOT_TELL, f"cannot tell: {unjudged}", None
    return (State.OVER, "over: healthy to its end", None) if finished else (State.HEALTHY, "healthy", None)
