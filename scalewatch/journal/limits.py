"""How much a journal may hold, in memory and on the disk, and which observations are left out to keep within it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import final

from scalewatch.errors import ConfigError

__all__ = ["MIB", "JournalLimits", "Thinning", "keep_every"]

MIB = 2**20

#: Thinner than one in so many, observations say nothing any more.
THINNEST = 1_000_000


@final
@dataclass(frozen=True, slots=True)
class JournalLimits:
    """Each at least 1.

    Attributes:
        capacity: observations that may wait in memory.
        max_segment_bytes: size at which the next segment is begun.
        max_total_bytes: room for all segments of the run. Observations keep within it by being
            thinned, which is announced; everything else is always written.

    Raises:
        ConfigError: if one is below 1.
    """

    capacity: int = 65_536
    max_segment_bytes: int = 64 * MIB
    max_total_bytes: int = 256 * MIB

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value >= 1:
                raise ConfigError(f"`{field.name}` must be at least 1 (got {value!r}, {type(value).__name__}).")


def keep_every(total_bytes: int, max_total_bytes: int) -> int:
    """One in how many observations is still written; 0 for none.

    All of them until a quarter of the room is left, then every 10th; and each time that half of
    what was left is used up, a tenth of that. So a run hardly ever reaches the end of its room.

    >>> [keep_every(used, 1000) for used in (0, 750, 751, 876, 938, 1000)]
    [1, 1, 10, 100, 1000, 0]
    """
    room = max_total_bytes - total_bytes
    if room <= 0:
        return 0
    every, threshold = 1, max_total_bytes / 4
    while room < threshold and every < THINNEST:
        every, threshold = every * 10, threshold / 2
    return every


@final
class Thinning:
    """Counts observations, and says which are written in the room that is left.

    Attributes:
        every: one in so many is written; 0 for none.
        left_out: observations that were not [count].
        max_total_bytes: room for all segments of the run.
    """

    def __init__(self, max_total_bytes: int) -> None:
        self.every = 1
        self.left_out = 0
        self.max_total_bytes = max_total_bytes
        self._observations = 0

    def adapt(self, total_bytes: int) -> bool:
        """Thin as the bytes that are used demand; whether that is another share than before."""
        before, self.every = self.every, keep_every(total_bytes, self.max_total_bytes)
        return self.every != before

    def keeps(self, *, has_validation: bool) -> bool:
        """Whether the next observation is written: one with a validation loss is rare, and worth more than a step."""
        self._observations += 1
        kept = self.every > 0 and (self._observations % self.every == 0 or has_validation)
        self.left_out += not kept
        return kept
