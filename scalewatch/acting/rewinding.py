"""How a run goes back: a request that it leaves when it ends, and the words by which it is started again.

A process whose memory holds lost weights, their optimizer and a data loader in mid-epoch is not repaired from within:
it ends, and whoever supervises it (`scalewatch run -- python train.py`) starts it anew from the last good checkpoint.
Everything goes by the environment, which every launcher hands on.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, final

from scalewatch.acting.acts import Decision
from scalewatch.errors import ConfigError

__all__ = [
    "MOST_REWINDS",
    "RESUME_FROM",
    "RewindExit",
    "RewindRequest",
    "environment_of",
    "resume_from",
    "rewinds_left",
]

#: Where a request is to be left, by who supervises; and how often it would still start the run again.
REQUEST_TO, REWINDS_LEFT = "SCALEWATCH_REWIND_TO", "SCALEWATCH_REWINDS_LEFT"
#: The checkpoint to go on from, and the request by which the run was started again, as JSON.
RESUME_FROM, REWOUND = "SCALEWATCH_RESUME_FROM", "SCALEWATCH_REWOUND"
#: Times that a run is taken back: after two a third restores it without curing it (DeepSeek-V4 report).
MOST_REWINDS = 2
#: Exit code of a process that asks to be taken back: EX_TEMPFAIL of sysexits.h, "try again".
EXIT_CODE = 75
#: Most letters of a request that is read.
MOST_LETTERS = 100_000


@final
class RewindExit(SystemExit):
    """Ends a process that is to go on from an earlier checkpoint."""

    def __init__(self, text: str) -> None:
        super().__init__(EXIT_CODE)
        self.text = text

    def __str__(self) -> str:
        return self.text


@final
class RewindRequest(NamedTuple):
    """What a run asks for.

    Attributes:
        checkpoint: path to go on from. step: steps that it has seen. number: which rewind of the run it is, from 1.
        decision: why, which steps to leave out, and what to do with the rate.
    """

    checkpoint: str
    step: int
    number: int
    decision: Decision

    def to_json(self) -> str:
        """Return it as one line."""
        plain = {"checkpoint": self.checkpoint, "step": self.step, "number": self.number}
        return json.dumps({"version": 1, **plain, "decision": self.decision.to_plain()})

    @classmethod
    def from_json(cls, text: str) -> RewindRequest:
        """Return what `to_json` wrote.

        Raises:
            ConfigError: if it is nothing of the kind.

        >>> from scalewatch.acting.acts import Act
        >>> once = RewindRequest("step=100.ckpt", 100, 1, Decision(Act.REWIND, 131, "it diverges", 120))
        >>> RewindRequest.from_json(once.to_json()) == once
        True
        """
        try:
            plain = json.loads(text[:MOST_LETTERS])
            if plain["version"] != 1:
                raise ConfigError(f"That is a request to rewind of another version: {plain['version']!r:.40}.")
            decision = Decision.from_plain(plain["decision"])
            return cls(str(plain["checkpoint"]), int(plain["step"]), int(plain["number"]), decision)
        except (ValueError, KeyError, TypeError, RecursionError) as fault:
            raise ConfigError(f"That is no request to rewind: {type(fault).__name__}.") from None

    def leave(self) -> None:
        """Leave it where who supervises looks for it.

        Raises:
            ConfigError: if nobody supervises. OSError: if it cannot be written.
        """
        place = os.environ.get(REQUEST_TO)
        if not place:
            raise ConfigError("nobody supervises this run: `scalewatch run -- ...` does.")
        draft = Path(f"{place}.draft")
        draft.write_text(self.to_json(), "utf-8")
        draft.replace(place)

    @classmethod
    def left_at(cls, place: Path) -> RewindRequest | None:
        """Take the request that was left there; None if there is none that can be read."""
        try:
            text = place.read_text("utf-8")
            place.unlink()
            return cls.from_json(text)
        except (OSError, UnicodeDecodeError, ConfigError):
            return None

    @classmethod
    def begun_by(cls) -> RewindRequest | None:
        """Return the request by which this process was started again, None if it was not."""
        with contextlib.suppress(ConfigError):
            text = os.environ.get(REWOUND)
            return None if text is None else cls.from_json(text)
        return None


def rewinds_left() -> int:
    """Return how often this process would be started again from an earlier checkpoint, 0 where nobody would."""
    left = os.environ.get(REWINDS_LEFT, "")
    return int(left) if os.environ.get(REQUEST_TO) and left.isdecimal() else 0


def environment_of(place: Path, done: int, request: RewindRequest | None) -> Mapping[str, str]:
    """Return what a process that is supervised is started with beside its environment.

    Args:
        place: where a request is to be left. done: how often the run went back already.
        request: by which it is started again, None for the first time.
    """
    words: dict[str, Any] = {REQUEST_TO: str(place), REWINDS_LEFT: str(max(0, MOST_REWINDS - done))}
    if request is not None:
        words |= {RESUME_FROM: request.checkpoint, REWOUND: request.to_json()}
    return words


def resume_from(default: str | os.PathLike[str] | None = None) -> str | os.PathLike[str] | None:
    """Return the checkpoint that a run which went back is to go on from; `default` for every other run.

    In a script: `trainer.fit(model, data, ckpt_path=resume_from())`.
    """
    return os.environ.get(RESUME_FROM) or default
