"""How a run stands when it is asked whether anything is to be done to it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Standing"]


class Standing(NamedTuple):
    """How the run stands when the gate is asked.

    Attributes:
        unjudged: why the monitor cannot tell how it is, "" where it can.
        aims: why the forecast advises to stop, "" where it does not.
        weights_finite: whether the weights are numbers, None where nobody looked.
        rate_excess: scheduled learning rate over its plan, 1 where that is unknown.
        rate_excess_then: the same when the oldest critical incident began.
        checkpoint: step of the last good checkpoint before the oldest critical incident, None for none.
        rewinds_left: how often somebody would still take the run back, 0 where nobody can.
        rewinds_done: how often that was done.
    """

    unjudged: str = ""
    aims: str = ""
    weights_finite: bool | None = None
    rate_excess: float = 1.0
    rate_excess_then: float = 1.0
    checkpoint: int | None = None
    rewinds_left: int = 0
    rewinds_done: int = 0
