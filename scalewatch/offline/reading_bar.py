"""How far the reading of logs is, shown where somebody looks and has to wait."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, final

from scalewatch.text import shortened

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["ReadingBar"]

#: Bytes that are read before a bar has said anything: half a second of them. By hand.
LEAST_BYTES = 1_000_000


@final
class ReadingBar:
    """A bar on a terminal, of what takes its time; else nothing, for its import takes longer than a short log.

    Args:
        console: that it is shown on. total: bytes that are to be read.
    """

    def __init__(self, console: Console, total: int) -> None:
        self._bar = None
        if not console.is_terminal or total < LEAST_BYTES:
            return
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> ReadingBar:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, name: str, done: int) -> None:
        """Say which run is read, and how many bytes of all are."""
        if self._bar is not None:
            from rich.markup import escape

            self._bar.update(self._task, description=escape(shortened(name)), completed=done)
