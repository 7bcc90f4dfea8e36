"""The acts, what of them was asked for, and their limits.

Each is asked for by its name. With `dry-run` nothing is done, and what would have been done is told: a week of that is
how one learns whether to trust the gate with a run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal, TypeAlias, final

from scalewatch.errors import ConfigError
from scalewatch.given import number_between, whole_number

__all__ = ["DRY_RUN", "Act", "ActLimits", "ActPhase", "Acts", "Decision", "checked_acts"]

#: The word that makes all acts of a list be told only; alone it stands for every act.
DRY_RUN = "dry-run"

#: What is told of an act: that it is asked for or done, that it was, that it was not after all, or only would be.
ActPhase: TypeAlias = Literal["asked", "honoured", "not honoured", "would"]


@final
class Act(StrEnum):
    """What may be done to a run."""

    STOP = "stop"
    LOWER_LEARNING_RATE = "lower_learning_rate"
    SKIP = "skip"
    REWIND = "rewind"


@final
@dataclass(frozen=True, slots=True)
class ActLimits:
    """From when, how often and how much.

    Attributes:
        from_step: first step after which anything is done [optimizer steps]; None for the end of the warm-up.
        cut: factor by which the learning rate is lowered where its plan does not say what it should be, in (0, 1).
        lowest: factor of the planned rate below which no cut goes, in (0, 1].
        cuts: how often the rate is lowered in one run. skips: how many steps are skipped in one run.
        skips_running: how many steps are skipped on end. rewinds: how often a run goes back.

    Raises:
        ConfigError: if one is out of its range.
    """

    from_step: int | None = None
    cut: float = 0.5
    lowest: float = 0.1
    cuts: int = 3
    skips: int = 100
    skips_running: int = 8
    rewinds: int = 2

    def __post_init__(self) -> None:
        for name in ("from_step", "cuts", "skips", "skips_running", "rewinds"):
            value: Any = getattr(self, name)
            if value is None and name == "from_step":
                continue
            object.__setattr__(self, name, whole_number(f"act_limits.{name}", value, 0))
        for name, most_too in (("cut", False), ("lowest", True)):
            factor = number_between(
                f"act_limits.{name}", getattr(self, name), "a factor between 0 and 1", 1.0, most_too=most_too
            )
            object.__setattr__(self, name, factor)


@final
@dataclass(frozen=True, slots=True)
class Acts:
    """What was asked for.

    Attributes:
        wanted: the acts. dry: whether they are only told. limits: of each.
    """

    wanted: frozenset[Act] = frozenset()
    dry: bool = False
    limits: ActLimits = field(default_factory=ActLimits)

    def __contains__(self, act: object) -> bool:
        return act in self.wanted

    def __bool__(self) -> bool:
        return bool(self.wanted)

    def only(self, *acts: Act) -> Acts:
        """Return what of `acts` was asked for."""
        return replace(self, wanted=self.wanted & frozenset(acts))


def checked_acts(act: object, limits: object = None) -> Acts:
    """Return what a list of names asks for.

    Raises:
        ConfigError: if one is no act, or `limits` are none.

    >>> sorted(checked_acts(["stop", "skip"]).wanted), checked_acts("dry-run").dry, bool(checked_acts([]))
    ([<Act.SKIP: 'skip'>, <Act.STOP: 'stop'>], True, False)
    """
    if limits is not None and not isinstance(limits, ActLimits):
        raise ConfigError(f"`act_limits` must be scalewatch.acting.acts.ActLimits (got {type(limits).__name__}).")
    words = [act] if act == DRY_RUN else act
    known = [*Act, DRY_RUN]
    if not isinstance(words, Sequence) or isinstance(words, str | bytes) or any(word not in known for word in words):
        raise ConfigError(
            f"`act` must be a list of actions, of which there are {[str(word) for word in known]}, or {DRY_RUN!r} alone"
            f" (got {act!r:.80})."
        )
    wanted = frozenset(Act(word) for word in words if word != DRY_RUN)
    dry = DRY_RUN in words
    return Acts(wanted or (frozenset(Act) if dry else wanted), dry, limits or ActLimits())


@final
@dataclass(frozen=True, slots=True)
class Decision:
    """One act that was decided on.

    Attributes:
        act: what to do. step: newest step that was known then. reason: why, with the numbers that matter.
        since: step at which what it is against began.
        factor: what the scheduled learning rate is to be multiplied with.
        lost: whether what the weights hold is worth nothing: no validation and no checkpoint of them.
        skip: first and last of the steps whose batches are to be left out after a rewind; None for none.
        to_plan: whether the factor is that of a rate which has left its plan, and holds only while it is off it.
    """

    act: Act
    step: int
    reason: str
    since: int = 0
    factor: float = 1.0
    lost: bool = True
    skip: tuple[int, int] | None = None
    to_plan: bool = False

    def to_plain(self) -> dict[str, Any]:
        """Return it as one process tells it to the others: plain numbers, strings and lists."""
        skip = None if self.skip is None else list(self.skip)
        words = {"act": str(self.act), "step": self.step, "reason": self.reason, "since": self.since}
        return {**words, "factor": self.factor, "lost": self.lost, "skip": skip, "to_plan": self.to_plan}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Decision:
        """Return what `to_plain` gave.

        Raises:
            ConfigError: if it is nothing of the kind.

        >>> once = Decision(Act.REWIND, 131, "it diverges", 120, 0.5, skip=(119, 131))
        >>> Decision.from_plain(once.to_plain()) == once
        True
        """
        try:
            skip = plain["skip"]
            made = cls(
                Act(plain["act"]),
                int(plain["step"]),
                str(plain["reason"]),
                int(plain["since"]),
                float(plain["factor"]),
                bool(plain["lost"]),
                None if skip is None else (int(skip[0]), int(skip[1])),
                bool(plain["to_plan"]),
            )
        except (KeyError, TypeError, ValueError, IndexError) as fault:
            raise ConfigError(f"That is no decision: {type(fault).__name__} at {fault}.") from None
        if not 0.0 < made.factor < math.inf:
            raise ConfigError(f"That is no decision: a learning rate times {made.factor}.")
        return made
