"""The lines of a text file, streamed, and again those that were added since.

A line that its writer has not finished is left for the next look, as it is being written or was cut off by a crash.
Memory is bounded whatever the file holds.
"""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import final

__all__ = ["Lines", "head"]

#: Bytes read at once.
CHUNK_BYTES = 1 << 20
#: Bytes at the beginning and the end of what was read by which a file is known, and files beside it that are looked at
#: where it is not. By hand.
KNOWN_BYTES, MOST_BESIDE = 512, 16
#: Bytes without which the encoding cannot be told.
LEAST_BYTES = 4
#: Part of the bytes of a text that are letters beyond ASCII, at most. By hand: every sixth in French or German.
MOST_BEYOND = 0.2
#: A longer line is no row of numbers [letters].
MAX_LINE = 8 << 20
#: Bytes of a file's head that formats look at to tell whether it is theirs.
HEAD_BYTES = 64 << 10
#: A file that was not written to for so long is not about to finish its last line [s].
QUIET_SECONDS = 60.0

_ASCII = bytes(range(0x80))
#: Controls that texts have anywhere: tabs, ends of lines, colours, and where the cursor goes back.
_MOVES = "\t\r\n\x1b\x08"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def _encoding(start: bytes) -> tuple[str, int]:
    for bom, name in _BOMS:
        if start.startswith(bom):
            return name, len(bom)
    if len(start) >= 4 and start[1] == 0 and start[3] == 0:
        return "utf-16-le", 0
    if len(start) >= 4 and start[0] == 0 and start[2] == 0:
        return "utf-16-be", 0
    return "cp1252" if _is_latin(start) else "utf-8", 0


def _is_latin(start: bytes) -> bool:
    """Whether bytes are text of Western Europe in the encoding of Windows: no letter beyond ASCII is UTF-8."""
    beyond = len(start.translate(None, _ASCII))
    if not beyond or beyond > MOST_BEYOND * len(start) or b"\0" in start:
        return False
    decoded = codecs.getincrementaldecoder("utf-8")(errors="replace").decode(start)
    return (
        decoded.count("\ufffd") == beyond
        and sum(letter < " " and letter not in _MOVES for letter in decoded) <= decoded.count("\n") * 3
    )


def head(path: Path, size: int = HEAD_BYTES) -> str:
    """Return the beginning of a file as text, "" if it cannot be read; what is no text is replaced."""
    try:
        with path.open("rb") as file:
            start = file.read(size)
    except OSError:
        return ""
    name, skip = _encoding(start)
    return start[skip:].decode(name, errors="replace").replace("\r\n", "\n").replace("\r", "\n")


@final
class _Decoder:
    """Bytes of an encoding -> text, of which what is no letter is replaced; what is cut in a letter waits.

    Attributes:
        unsure: whether the encoding may be another: it was told of few bytes, and letters beyond ASCII came behind.
    """

    def __init__(self, encoding: str, *, surely: bool) -> None:
        self.encoding, self.unsure = encoding, False
        self._surely, self._waits = surely, b""

    def decode(self, chunk: bytes, at: int) -> str:
        decoder = codecs.getincrementaldecoder(self.encoding)(errors="replace")
        decoder.setstate((self._waits, 0))
        text = decoder.decode(chunk)
        self._waits = decoder.getstate()[0]
        if not self._surely and not chunk.isascii():
            self.unsure = self.unsure or 0 < at < CHUNK_BYTES
            self._surely = self.encoding == "utf-8" and any(letter > "\x7f" and letter != "\ufffd" for letter in text)
        return text


@final
class Lines:
    """Follows one text file.

    Args:
        path: the file.
        note: takes one line about what was damaged.

    Attributes:
        number: lines given so far.
        bytes_read: bytes of the file read so far.
        rest: what stands after the last newline.
    """

    def __init__(self, path: Path, note: Callable[[str], None]) -> None:
        self.path = path
        self.number = 0
        self.bytes_read = 0
        self.rest = ""
        self._note = note
        self._decoder: _Decoder | None = None
        self._skipping = self._noted = False
        self._head = self._tail = b""
        self._mark: tuple[int, int, int] | None = None
        self._moved: Path | None = None

    def start_over(self) -> None:
        """Read the file from its first byte again."""
        self.number = self.bytes_read = 0
        self.rest = ""
        self._decoder, self._skipping = None, False
        self._head = self._tail = b""

    def is_another(self) -> bool:
        """Return whether the file is none that begins with what was read: it was written anew."""
        try:
            now = self.path.stat()
        except OSError:
            return False
        before, self._mark = self._mark, (now.st_ino, now.st_size, now.st_mtime_ns)
        return self.bytes_read > 0 and self._mark != before and not self._goes_on_in(self.path)

    def anew(self) -> str:
        """Return what became of the file, "" if it is the one that was read, or a longer copy of it.

        Where it was rotated, what was not read of it comes first; the file in its place is read from its start.
        """
        if not self.is_another():
            return ""
        self._moved = next(filter(self._goes_on_in, self._beside()), None)
        if self._moved is not None:
            return f"the file was rotated: what was not read yet is read from {self._moved.name}, then the new one"
        shorter = self._mark is not None and self._mark[1] < self.bytes_read
        self.start_over()
        return f"{'the file became shorter' if shorter else 'another file stands in its place'}: read from its start"

    @property
    def unsure(self) -> bool:
        """Whether who reads the file from its start now may read it in another encoding."""
        return self._decoder is not None and self._decoder.unsure

    @property
    def torn(self) -> bool:
        """Whether what was read may end within the end of a line, or in another file."""
        return self._moved is not None or self._tail[-1:] == b"\r" or not self._tail

    @property
    def rotated(self) -> bool:
        """Whether what was not read of the file stands under another name."""
        return self._moved is not None

    def _goes_on_in(self, path: Path) -> bool:
        """Whether a file begins with what was read."""
        try:
            with path.open("rb") as file:
                head_fits = file.read(len(self._head)) == self._head
                file.seek(self.bytes_read - len(self._tail))
                return head_fits and file.read(len(self._tail)) == self._tail
        except OSError:
            return False

    def _beside(self) -> list[Path]:
        """Files that are called as a rotated one is, the newest first."""
        try:
            found = [path for path in self.path.parent.iterdir() if path.name.startswith(self.path.stem)]
            found = [path for path in found if path != self.path and path.is_file()]
            return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[:MOST_BESIDE]
        except OSError:
            return []

    def quiet(self) -> bool:
        """Return whether nobody has written to the file for a while, so that its last line is all there is."""
        try:
            return time.time() - self.path.stat().st_mtime > QUIET_SECONDS
        except OSError:
            return True

    def new(self) -> Iterator[str]:
        """Yield every complete line from where the last call ended, without its end; blank ones too."""
        for piece in self.pieces():
            for line in piece:
                self.number += 1
                yield line

    def pieces(self) -> Iterator[list[str]]:
        """Yield the same lines, those of a megabyte at once; who takes them counts them into `number`."""
        yield from self.left_behind()
        yield from self._pieces_of(self.path)

    def left_behind(self) -> Iterator[list[str]]:
        """Yield what was not read of the file before it was rotated; behind it the new one begins."""
        if self._moved is not None:
            yield from self._pieces_of(self._moved)
            if self.rest:
                yield [self.rest]
            self._moved = None
            self.start_over()

    def _pieces_of(self, path: Path) -> Iterator[list[str]]:
        try:
            with path.open("rb") as file:
                file.seek(self.bytes_read)
                while chunk := file.read(CHUNK_BYTES):
                    if self._decoder is None and len(chunk) < LEAST_BYTES:
                        return
                    yield self._cut(chunk)
        except OSError as fault:
            self._note(f"the file cannot be read on: {fault.strerror or fault}")

    def take_rest(self) -> str:
        """Return what stands after the last newline as a line."""
        rest, self.rest = self.rest, ""
        self.number += bool(rest)
        return rest

    def _cut(self, chunk: bytes) -> list[str]:
        self._head = self._head or chunk[:KNOWN_BYTES]
        self._tail = (self._tail + chunk[-KNOWN_BYTES:])[-KNOWN_BYTES:]
        if self._decoder is None:
            name, skip = _encoding(chunk)
            surely = skip > 0 or name.startswith("utf-16") or len(chunk) >= CHUNK_BYTES
            self._decoder = _Decoder(name, surely=surely)
            if name == "cp1252":
                self._note("not UTF-8: read in the encoding of Windows (cp1252)")
            self.bytes_read += skip
            chunk = chunk[skip:]
        text = self._decoder.decode(chunk, self.bytes_read)
        self.bytes_read += len(chunk)
        if "\ufffd" in text and not self._noted:
            self._noted = True
            self._note(f"near line {self.number + 1}: not UTF-8; letters that cannot be read are replaced")
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        *whole, self.rest = (self.rest + text).split("\n")
        if whole and self._skipping:
            self._skipping = False
            self.number += 1
            del whole[0]
        if len(self.rest) > MAX_LINE:
            if not self._skipping:
                place = self.number + len(whole) + 1
                self._note(f"line {place} is longer than {MAX_LINE >> 20} million letters: left out")
            self.rest, self._skipping = "", True
        return whole
