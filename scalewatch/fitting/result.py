"""What every fit gives back: a law, how far to trust it, and what was not used."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from scalewatch.fitting.status import FitStatus, worst
from scalewatch.laws.law import Law
from scalewatch.shown import card_of

__all__ = ["Fit", "LawT"]

LawT = TypeVar("LawT", bound=Law, covariant=True)


@dataclass(frozen=True, eq=False, kw_only=True)
class Fit(ABC, Generic[LawT]):
    """A fitted law, whatever its family; a family adds what only it has to say.

    Attributes:
        law: at its best constants. objective: what was minimised, at the best constants.
        runs: how many runs, curves or points it rests on.
        statuses: all that the fit has to say about itself. notes: the same with numbers, a sentence each.
        standard_errors: constant -> standard error, inf if not determined; empty where the family has none.
        left_out: what was not used and why, a sentence each.
    """

    law: LawT
    objective: float
    runs: int
    statuses: tuple[FitStatus, ...]
    notes: tuple[str, ...] = ()
    standard_errors: dict[str, float] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    _repr_html_ = card_of

    @property
    def status(self) -> FitStatus:
        """The worst that is to be said."""
        return worst(self.statuses)
