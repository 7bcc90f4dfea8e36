"""What logs have in common that are text and grow line by line: they can be gone on with by another process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from scalewatch.logs.kept import AbstractKeptLog
from scalewatch.logs.lines import Lines
from scalewatch.logs.sample import MOST_ROWS, Sample
from scalewatch.logs.tabular import AbstractBlockLog

__all__ = ["AbstractLineLog"]


class AbstractLineLog(AbstractBlockLog, AbstractKeptLog):
    """One run in a text file.

    Args:
        name: of the run. path: of its file. asked: field -> column, as the user says. only: of a table of several runs
            the one to read.
    """

    #: Bytes of the beginning that are looked at for names of columns beyond those of the first rows.
    NAMED_BYTES: ClassVar[int] = 0

    def __init__(self, name: str, path: Path, asked: Mapping[str, str], only: str | None = None) -> None:
        super().__init__(name, path, asked, only=only)
        self._lines = Lines(path, self.note)
        self._decided = False
        self._resumed_at: int | None = None

    def decide(self, sample: Sample, looked_at: int, *, surely: bool = True) -> None:
        """Take note of whether the columns would be decided alike, were the file longer.

        Args:
            sample: first rows. looked_at: bytes of the beginning that are looked at. surely: whether it depends on
                nothing but the first rows.
        """
        enough = self.bytes_total >= looked_at or (surely and sample.rows >= MOST_ROWS)
        self._decided = enough and self.assembled.as_they_come

    @property
    def file(self) -> Path:
        """The file itself."""
        return self.path

    @property
    def settled(self) -> bool:
        """Whether it can be gone on with: its columns would be decided alike, were it longer, and no end is torn."""
        return self._decided and not self._lines.torn

    def goes_on(self) -> bool:
        """Whether the file begins with what was read; what follows is read as that of a file that grew."""
        self._resumed_at = self._lines.bytes_read
        try:
            self.bytes_total = self.path.stat().st_size
        except OSError:
            return False
        return self.bytes_total >= self._lines.bytes_read and not self._lines.is_another()

    def leave_rest(self) -> None:
        """Take note that the rest of the file is not read, so that nothing can be gone on with."""
        self._decided = False

    def add_columns(self, names: Iterable[str]) -> None:
        """Take note of columns that turned up later; who opens the file now finds those near its beginning."""
        if self._resumed_at is not None and self._resumed_at < self.NAMED_BYTES:
            self.differs = True
        super().add_columns(names)

    def all_lines_given(self) -> None:
        """Each whole line was given out, and nothing was made yet of where the file ends."""
        self.differs = self.differs or self._lines.unsure
        if self.before_end is not None:
            self.before_end()
