"""The column that is likeliest the loss where no name says so: what an error proposes to the user."""

from __future__ import annotations

from collections.abc import Iterable

from scalewatch.logs.columns import COUNTER_OF_EPOCHS, FIELDS, placed, ranked
from scalewatch.logs.loss_names import HELD_OUT, kind_of
from scalewatch.logs.sample import Sample
from scalewatch.objective import words_of

__all__ = ["likeliest"]

#: Words of columns that are no loss whatever they hold.
_NEVER = frozenset(
    {"name", "id", "seed", "index", "unnamed", "accuracy", "acc", "time", "eta", "memory", "size", "fps"}
)


def likeliest(names: Iterable[str], sample: Sample | None) -> str | None:
    """Return the column that an error should propose, None if there is none that could be a loss.

    A step, an epoch, a time, a rate or words never are. One that names a loss comes first, then one that falls.
    """
    names = list(names)
    others = {name for field in FIELDS if field not in ("loss", "validation_loss") for name in ranked(names, field)}
    fine = [
        name
        for name in names
        if name not in others and placed(name, COUNTER_OF_EPOCHS) is None and not _NEVER & set(words_of(name))
    ]
    if sample is not None and sample.rows:
        fine = [name for name in fine if sample.filled(name) and not sample.rises(name)]
    best = sorted(fine, key=lambda name: _rank(name, sample))
    return best[0] if best else None


def _rank(name: str, sample: Sample | None) -> tuple[bool, bool, bool, int]:
    words = set(words_of(name))
    falls = sample is not None and sample.falls(name)
    return not any("loss" in w for w in words) and kind_of(words) is None, bool(HELD_OUT & words), not falls, len(words)
