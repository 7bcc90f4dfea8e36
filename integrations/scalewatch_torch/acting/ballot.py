"""A decision as a few numbers, for one broadcast to all ranks; the sentence behind it stays on rank 0."""

from __future__ import annotations

from collections.abc import Sequence

from scalewatch.acting.acts import Act, Decision

__all__ = ["BALLOT", "from_ballot", "to_ballot"]

#: Numbers of a decision: act, step, since, factor, lost, first and last step to leave out, whether to its plan.
BALLOT = 8
#: What stands on other ranks than 0 for the reason.
ELSEWHERE = "decided on rank 0"


def to_ballot(decision: Decision | None) -> tuple[float, ...]:
    """Return a decision as numbers, shape (8,); zeros for none.

    >>> to_ballot(None), to_ballot(Decision(Act.STOP, 32, "it is lost", 20))
    ((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), (1.0, 32.0, 20.0, 1.0, 1.0, -1.0, -1.0, 0.0))
    """
    if decision is None:
        return (0.0,) * BALLOT
    first, last = decision.skip or (-1, -1)
    place = 1 + list(Act).index(decision.act)
    numbers = (place, decision.step, decision.since, decision.factor, decision.lost, first, last, decision.to_plan)
    return tuple(float(number) for number in numbers)


def from_ballot(numbers: Sequence[float]) -> Decision | None:
    """Return the decision that `to_ballot` wrote, without its reason; None for none.

    >>> from_ballot(to_ballot(Decision(Act.REWIND, 131, "it diverges", 120, 0.5, skip=(119, 131)))).skip
    (119, 131)
    """
    place, step, since, factor, lost, first, last, to_plan = numbers
    if not place:
        return None
    skip = None if first < 0.0 else (int(first), int(last))
    return Decision(
        list(Act)[int(place) - 1], int(step), ELSEWHERE, int(since), factor, lost > 0.0, skip, to_plan > 0.0
    )
