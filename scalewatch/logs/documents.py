"""Documents that hold what a program printed, or its numbers: put into a text that a format here reads.

    train.ipynb    what the cells of a notebook printed, and the tables that they showed
    report.html    the text of a page, and its tables
    losses.npy     an array of numbers, or several under their names in an .npz

The text lies in a folder that is removed at the end of the process. Nothing in a document is run: a pickle, which would
be, is refused.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator
from html import unescape
from itertools import chain
from pathlib import Path
from typing import Any, final
from zipfile import BadZipFile

import numpy as np

from scalewatch.errors import LogError
from scalewatch.logs.packed import folder_for

__all__ = ["as_text", "is_document", "not_opened"]

#: A document is read at once [bytes].
MOST_BYTES = 256 << 20
#: What those who read a damaged document raise; a size in it that is none asks for more memory than there is.
_DAMAGED = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, RecursionError),
    *(MemoryError, AssertionError, BadZipFile, zlib.error),
)
_LINES = frozenset({"br", "p", "div", "tr", "li", "pre", "table", "h1", "h2", "h3", "h4"})
_UNSEEN = frozenset({"script", "style", "head", "title"})
#: What holds no tags but its own end.
_RAW = frozenset({"script", "style"})
#: A comment's beginning, a tag with its attributes, a declaration. None goes beyond the next `<`, so that one that is
#: not closed costs no more than its own letters.
_TOKEN = re.compile(r"""<!--|<(?P<end>/?)(?P<tag>[a-zA-Z][\w:-]*)(?:[^<>"']|"[^"<]*"|'[^'<]*')*+>|<[!?][^<>]*>""")
_PICKLES = frozenset({".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib"})
_SHEETS = frozenset({".xlsx", ".xls", ".xlsm", ".ods"})


def is_document(path: Path) -> bool:
    """Return whether a file is named like a document whose text can be read."""
    return path.suffix.lower() in _READERS


def not_opened(path: Path) -> str:
    """Return why a file of this name is not opened and what to do instead, "" for any other."""
    suffix = path.suffix.lower()
    if suffix in _PICKLES:
        return "is a pickle, by its name: what it holds would be run. Write the losses as CSV or JSON."
    return "is a spreadsheet, by its name: save it as CSV." if suffix in _SHEETS else ""


def as_text(path: Path) -> Path:
    """Return a file with what a document says, in a form that is read here.

    Raises:
        LogError: if the document is damaged or too large.
    """
    if path.stat().st_size > MOST_BYTES:
        raise LogError(f"{path}: is larger than {MOST_BYTES >> 20} MiB, and such a document is read at once.")
    ending, read = _READERS[path.suffix.lower()]
    try:
        target = folder_for(path) / f"{path.stem}{ending}"
        with target.open("w", encoding="utf-8", newline="") as file:
            file.writelines(read(path))
    except _DAMAGED as fault:
        raise LogError(f"{path}: cannot be read as {path.suffix.lower()}: {str(fault)[:100]}.") from None
    return target


@final
class _Page:
    """The text of a page: a line for each that a reader sees, with tabs between the cells of a table.

    The standard library's parser begins at the end of a page again for each tag or comment that is not closed.
    """

    def __init__(self, html: str) -> None:
        self._parts: list[str] = []
        self._unseen = 0
        self._in_row = False
        at = 0
        while (token := _TOKEN.search(html, at)) is not None:
            self._data(html[at : token.start()])
            at = token.end()
            tag = (token["tag"] or "").lower()
            if token["end"]:
                self._end(tag)
            elif tag:
                self._start(tag)
            closed = "-->" if token[0] == "<!--" else f"</{tag}" if tag in _RAW and not token["end"] else ""
            if closed:
                found = _position(html, closed, at)
                at = len(html) if found < 0 else found + len(closed) * (closed == "-->")
        self._data(html[at:])

    def lines(self) -> Iterator[str]:
        """Yield what it says, without blank lines; each once."""
        begun: list[str] = []
        for part in chain(self._parts, "\n"):
            at = 0
            while (end := part.find("\n", at)) >= 0:
                line = "".join((*begun, part[at:end])).removeprefix("\t").rstrip()
                begun, at = [], end + 1
                if line.strip():
                    yield f"{line}\n"
            begun.append(part[at:])

    def _start(self, tag: str) -> None:
        self._unseen = 0 if tag == "body" else self._unseen + (tag in _UNSEEN)
        if tag in ("td", "th") and self._in_row:
            self._parts.append("\t")
        elif tag in _LINES and not (self._in_row and tag != "tr"):
            self._parts.append("\n")
            self._in_row = tag == "tr"

    def _end(self, tag: str) -> None:
        self._unseen -= tag in _UNSEEN and self._unseen > 0
        if tag in _LINES and not (self._in_row and tag != "tr"):
            self._parts.append("\n")
            self._in_row = False

    def _data(self, text: str) -> None:
        """Take text as it stands, in one line where it is a cell."""
        if text and not self._unseen:
            text = unescape(text)
            self._parts.append(" ".join(text.split()) if self._in_row else text)


def _position(html: str, closed: str, at: int) -> int:
    """Where what closes a comment or a script stands, -1 where nothing does."""
    found = html.find(closed, at)
    if found < 0 and closed != "-->":
        found = html.find(closed.upper(), at)
    return found


def _page(path: Path) -> Iterator[str]:
    return _Page(path.read_text(encoding="utf-8-sig", errors="replace")).lines()


def _notebook(path: Path) -> Iterator[str]:
    cells = json.loads(path.read_text(encoding="utf-8-sig", errors="replace"))["cells"]
    for cell in cells:
        for output in cell.get("outputs", ()):
            yield from _output(output)
            yield "\n"


def _output(output: dict[str, Any]) -> Iterator[str]:
    """Yield what one output of a cell says: a stream as it was printed, of what was shown its table before its text."""
    yield from output.get("text", ())
    data = output.get("data", {})
    html = "".join(data.get("text/html", ()))
    if "<t" in html:
        yield from _Page(html).lines()
    elif "text/plain" in data:
        yield from data["text/plain"]


def _arrays(path: Path) -> Iterator[str]:
    with path.open("rb") as file:  # np.load leaves what it opens itself open where it is damaged
        loaded = np.load(file, allow_pickle=False)
        if not isinstance(loaded, np.ndarray) and sum(each.file_size for each in loaded.zip.infolist()) > MOST_BYTES:
            raise ValueError(f"it holds more than {MOST_BYTES >> 20} MiB")
        arrays = {path.stem: loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    columns = {
        name: array.ravel().tolist() for name, array in arrays.items() if array.ndim and array.dtype.kind in "fiu"
    }
    if not columns:
        raise ValueError("it holds no array of numbers")
    longest = max(map(len, columns.values()))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([column[i] if i < len(column) else "" for column in columns.values()] for i in range(longest))
    yield text.getvalue()


_READERS: dict[str, tuple[str, Callable[[Path], Iterator[str]]]] = {
    ".ipynb": (".log", _notebook),
    ".html": (".log", _page),
    ".htm": (".log", _page),
    ".npy": (".csv", _arrays),
    ".npz": (".csv", _arrays),
}
