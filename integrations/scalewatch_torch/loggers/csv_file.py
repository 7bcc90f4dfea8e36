"""A CSV file in the folder of a `CSVLogger`: one row a number or a sentence.

Not the file of the logger itself: it is written by the loop's thread, which would lose a row that another one adds
meanwhile, and its columns are the user's.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from scalewatch_torch.loggers.base import PREFIX, AbstractLogger, Incident, class_names

__all__ = ["CsvFile"]

#: Name of the file.
FILE = "scalewatch.csv"
COLUMNS = ("step", "name", "value", "text")


@final
class CsvFile(AbstractLogger):
    """A file of the columns step, name, value, text.

    Args:
        path: of the file; what is there is kept, for a run that goes on.
    """

    name = "CSV"

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of(cls, thing: Any) -> CsvFile | None:
        """Return that in the folder of a `CSVLogger`."""
        is_csv = any(name.endswith(".CSVLogger") for name in class_names(thing))
        return cls(Path(thing.log_dir) / FILE) if is_csv else None

    def point(self, step: int, values: Mapping[str, float]) -> None:
        """Write a row for each number."""
        self._write((step, key.removeprefix(PREFIX), f"{value:.6g}", "") for key, value in values.items())

    def incident(self, incident: Incident) -> None:
        """Write what was found."""
        self._write([(incident.step, incident.kind, incident.severity, incident.message)])

    def text(self, tag: str, step: int, markdown: str) -> None:
        """Do nothing: the summary says the same."""

    def summary(self, step: int, values: Mapping[str, str | float]) -> None:
        """Write a row for each key: a number is a value, a word a text."""
        pairs = ((key, (f"{v:.6g}", "") if isinstance(v, float) else ("", v)) for key, v in values.items())
        self._write((step, key, *said) for key, said in pairs)

    def end(self, step: int, incidents: Sequence[Incident]) -> None:
        """Do nothing: each was written when it was found."""

    def _write(self, rows: Iterable[tuple[object, ...]]) -> None:
        is_new = not self._path.exists()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerows([COLUMNS, *rows] if is_new else rows)
