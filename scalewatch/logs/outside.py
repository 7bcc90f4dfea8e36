"""Formats of logs that other packages bring, with their faults turned into notes.

[project.entry-points."scalewatch.log_formats"]
diary = "my_package:Diary"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import final

from scalewatch.errors import LogError
from scalewatch.guard import attempt
from scalewatch.logs.log import AbstractFormat, AbstractLog
from scalewatch.observation import Observation
from scalewatch.plugins import entry_points_of, loaded_class

__all__ = ["GROUP", "outside_formats"]

#: Entry-point group in which other packages name theirs.
GROUP = "scalewatch.log_formats"


def outside_formats() -> tuple[list[AbstractFormat], list[str]]:
    """Return the formats of other packages, and a sentence on each that cannot be used; imports those packages."""
    formats: list[AbstractFormat] = []
    notes = []
    for name, point in entry_points_of(GROUP).items():
        kind, why = loaded_class(point, AbstractFormat)  # type: ignore[type-abstract]  # no instance is asked for
        made, why = (None, why) if kind is None else attempt(kind)
        if made is None:
            notes.append(f"the format '{name:.40}' of another package is left out: {why}")
        else:
            formats.append(_OutsideFormat(name, made))
    return formats, notes


@final
class _OutsideFormat(AbstractFormat):
    """A format that goes by the name of its entry point and raises nothing but `LogError`."""

    def __init__(self, name: str, inner: AbstractFormat) -> None:
        self.name = name  # type: ignore[misc]  # of the instance: that of the class is this package's to say
        self._inner = inner

    def claims(self, path: Path) -> bool:
        """Return whether the file is of this format; one that fails claims nothing."""
        return bool(attempt(self._inner.claims, path)[0])

    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        """Return the runs in these files, or raise a `LogError` that says why there are none."""
        found, why = attempt(self._opened, paths, columns)
        if isinstance(found, LogError):
            raise found
        if found is None:
            raise LogError(f"{paths[0]}: cannot be read: the format '{self.name}' failed ({why}).")
        return [_OutsideLog(log, self.name) for log in found]

    def _opened(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog] | LogError:
        try:
            return self._inner.open(paths, columns)
        except LogError as fault:
            return fault


@final
class _OutsideLog(AbstractLog):
    """A log whose rows end where its format fails, with a note."""

    def __init__(self, inner: AbstractLog, form: str) -> None:
        super().__init__(inner.name, inner.path, inner.run)
        self._inner, self._form = inner, form
        self.law, self.columns, self.notes = inner.law, inner.columns, inner.notes
        self.bytes_total = inner.bytes_total

    def rows(self) -> Iterator[Observation]:
        """Yield what is new, up to the first fault."""
        rows, why = attempt(iter, self._inner.rows())
        while rows is not None:
            row, why = attempt(next, rows, None)
            if row is None:
                break
            self.columns, self.bytes_read = self._inner.columns, self._inner.bytes_read
            yield row
        self.bytes_read, self.bytes_total = self._inner.bytes_read, self._inner.bytes_total
        if why:
            self.note(f"the format '{self._form}' failed: what follows is not read ({why})")
