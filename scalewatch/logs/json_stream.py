"""One long JSON list of rows, read piece by piece: as Python objects all at once it takes five times its size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

__all__ = ["StreamedRows"]

#: Letters that are read at once, and letters of one row at most: a longer one is no row. By hand.
PIECE, MOST_LETTERS = 1 << 20, 16 << 20
#: Rows by which it is told what they are. By hand.
FIRST = 100
_DECODER = json.JSONDecoder()
_BETWEEN = " \t\r\n,"


@final
class StreamedRows:
    """The objects in a file that is one JSON list of them, each made when it is asked for.

    Args:
        path: the file, in UTF-8.

    Attributes:
        first: the first hundred of them. kinds: the first of each that have the same names.

    Raises:
        ValueError: if it is anything else, or cut off.
        OSError: if it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._count = path, 0
        self.first: list[dict[str, Any]] = []
        kinds: dict[tuple[str, ...], dict[str, Any]] = {}
        for row in self._rows():
            self._count += 1
            if self._count <= FIRST:
                self.first.append(row)
            kinds.setdefault(tuple(row), row)
        self.kinds = list(kinds.values())

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield them; fewer if the file is being written anew meanwhile."""
        try:
            yield from self._rows()
        except (OSError, ValueError, RecursionError):
            return

    def _rows(self) -> Iterator[dict[str, Any]]:
        with self._path.open(encoding="utf-8-sig", errors="replace") as file:
            text = file.read(PIECE)
            at = len(text) - len(text.lstrip())
            if text[at : at + 1] != "[":
                raise ValueError("it is no list")
            at, singly = at + 1, 0
            while True:
                while at < len(text) and text[at] in _BETWEEN:
                    at += 1
                if at < len(text) and text[at] == "]" and not (text[at + 1 :] + file.read()).strip():
                    return
                end = text.rfind("},", at) + 1
                rows = _list(text[at:end]) if at >= singly and end > at else None
                singly = max(singly, end)
                if rows is not None:
                    at = end
                else:
                    try:
                        row, at = _DECODER.raw_decode(text, at)
                    except ValueError:
                        more = file.read(PIECE)
                        if not more or len(text) - at > MOST_LETTERS:
                            raise
                        text, at, singly = text[at:] + more, 0, 0
                        continue
                    rows = [row]
                if set(map(type, rows)) != {dict}:
                    raise ValueError("it holds something else than objects")
                yield from rows


def _list(text: str) -> list[Any] | None:
    """What stands between the brackets of a list, None if it is cut within a row."""
    try:
        found: list[Any] = json.loads(f"[{text}]")
        return found
    except ValueError:
        return None
