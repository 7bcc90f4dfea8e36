"""A run as the overview lists it: where it lies, its row as it is sent, and how much is known of it. 2 kB each."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, final

from scalewatch_tensorboard.runs.logdirs import Files, Found

__all__ = ["Ended", "ListedRun", "Told", "row_json", "unreadable_row", "waiting_row"]

#: Letters of a reason.
MOST_LETTERS = 400

#: States that want somebody before the others, the worst last.
_LEVELS = ("", "past", "trouble", "lost")


@final
class Told(IntEnum):
    """How much of a run is known."""

    NOTHING = 0
    LAST_ROWS = 1
    ALL = 2


@final
class Ended(NamedTuple):
    """What laws are fitted to: a finished, healthy run that says its size.

    Attributes:
        parameters, non_embedding_parameters: count. tokens: in all, count. final_loss: [nats/token].
        knows_rates: whether its log holds its planned learning rates.
    """

    parameters: float
    non_embedding_parameters: float | None
    tokens: float
    final_loss: float
    knows_rates: bool


@final
@dataclass(slots=True)
class ListedRun:
    """One run of the list.

    Attributes:
        found: where it lies. told: how much is known. of: its files as they were when that was told.
        row: of the overview, JSON; empty before there is one. changed: the list's version when it changed last.
        rank: how much it wants somebody, 0 to 3. read: part of it that was. ended: what laws are fitted to, or None.
        seconds: that its watching took [s]. due: when it may be watched again, monotonic [s].
        at_work: whether a helper reads it.
    """

    found: Found
    told: Told = Told.NOTHING
    of: Files = ()
    row: bytes = b""
    changed: int = 0
    rank: int = 0
    read: float = 0.0
    ended: Ended | None = None
    seconds: float = 0.0
    due: float = 0.0
    at_work: bool = False

    @property
    def fresh(self) -> bool:
        """Whether what is told is of the files as they are."""
        return self.of == self.found.files

    def take(self, row: dict[str, Any]) -> bool:
        """Take a row of the overview; return whether it differs from the one before."""
        made = row_json(row)
        if made == self.row:
            return False
        level, ended, self.read = row.get("level"), row.get("ended"), float(row.get("read") or 0.0)
        self.row, self.rank = made, _LEVELS.index(level) if level in _LEVELS else 0
        self.ended = None if ended is None else Ended(*ended)
        return True


def unreadable_row(name: str, why: str) -> dict[str, Any]:
    """Return the row of a run that cannot be read now."""
    return {
        "name": name,
        "source": "files that cannot be read",
        "stage": "failed",
        "read": 0.0,
        "rows": 0,
        "step": 0,
        "level": "failed",
        "headline": why[:MOST_LETTERS],
        "open_incidents": 0,
        "incidents": 0,
        "spark": [],
        "notes": 0,
    }


def waiting_row(found: Found) -> dict[str, Any]:
    """Return the row of a run of which nothing is known but its name and when it was written to."""
    return {
        "name": found.name,
        "source": "event files" if found.journal is None else "journal",
        "stage": "waiting",
        "read": 0.0,
        "rows": 0,
        "step": 0,
        "level": "unknown",
        "headline": "Not looked at yet",
        "open_incidents": 0,
        "incidents": 0,
        "seconds_last": round(found.newest, 1),
        "spark": [],
        "notes": 0,
    }


def row_json(row: dict[str, Any]) -> bytes:
    """Return a row as strict JSON in ASCII; what is not finite is null.

    >>> row_json({"a": [1.5, float("nan")]})
    b'{"a":[1.5,null]}'
    """
    try:
        return json.dumps(row, allow_nan=False, separators=(",", ":")).encode("ascii")
    except ValueError:
        return json.dumps(_finite(row), allow_nan=False, separators=(",", ":")).encode("ascii")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value
