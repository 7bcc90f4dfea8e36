"""The segments of one writer: whole lines in, and whatever the disk does stays in here.

A write that fails or falls short leaves the end of the file in doubt. The next one then begins with
a newline: the torn line costs itself and nothing else, and no byte that was written is changed.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from scalewatch.errors import JournalError
from scalewatch.journal.segment import Segment, first_record, segments_in

__all__ = ["Store"]

_log = logging.getLogger("scalewatch")


@final
class Store:
    """Writes lines to a new segment, and to the next when one is full, deleted or taken away.

    Args:
        folder: where the segments are.
        header: what the first line of each segment says besides what `Store` knows itself.
        run_id: what the segments of a run have in common. With None, a run that resumes has that
            of the newest segment in the folder, and a run that begins has a new one.
        resumes_after_step: step of the checkpoint that is gone on from; None for a beginning.
        max_segment_bytes: size at which the next segment is begun.

    Raises:
        JournalError: if the folder cannot be made or the first segment not be written.
    """

    def __init__(
        self,
        folder: Path | str,
        header: Mapping[str, Any],
        *,
        run_id: str | None,
        resumes_after_step: int | None,
        max_segment_bytes: int,
    ) -> None:
        # Absolute: a training script may change its directory before the next segment begins.
        self.folder = Path(os.path.abspath(folder))
        self.max_segment_bytes = max_segment_bytes
        #: Why something was not written, last; empty if nothing ever was refused.
        self.trouble = ""
        self._torn = False
        try:
            earlier = [_of_segment(path) for _, path in segments_in(self.folder)]
            known = [name for name, _ in earlier if name]
            resumed = known[-1] if known and resumes_after_step is not None else None
            #: What all segments of this run have in common.
            self.run_id = run_id or resumed or uuid.uuid4().hex
            self._bytes_before = sum(size for name, size in earlier if name == self.run_id)
            self._header = {"run_id": self.run_id, "writer": uuid.uuid4().hex, **header}
            reason = "began" if resumes_after_step is None else "resumed"
            self._segment = self._opened(reason, resumes_after_step)
        except (OSError, ValueError) as fault:  # ValueError: a NUL in the path
            raise JournalError(
                f"The journal cannot be written to {str(self.folder)!a}: {_reason(fault)}."
                " Choose another folder, or go on without a journal."
            ) from None

    def _opened(self, reason: str, resumes_after_step: int | None = None) -> Segment:
        now: Mapping[str, Any] = {
            "created_unix_s": time.time(),
            "reason": reason,
            "resumes_after_step": resumes_after_step,
        }
        return Segment(self.folder, {**now, **self._header})

    @property
    def path(self) -> Path:
        """The segment that is written now, or was written last."""
        return self._segment.path

    @property
    def total_bytes(self) -> int:
        """Size of all segments of this run [bytes]."""
        return self._bytes_before + self._segment.size_bytes

    def write(self, lines: Sequence[bytes]) -> int:
        """Write lines, each with its newline, in one call; how many of them are in the file whole.

        What the system refuses is told, the first time, and not raised: the rest of the lines is
        to be given again later.
        """
        try:
            self._make_ready(sum(map(len, lines)))
            return self._written(lines)
        except OSError as fault:
            self._torn = True  # some systems write a part and then say that they could not
            self.tell(_reason(fault))
            return 0

    def _make_ready(self, length: int) -> None:
        """Go on to the next segment if this one is lost or full.

        Raises:
            OSError: if this one is lost and there cannot be a next one.
        """
        segment = self._segment
        if not segment.is_ours():
            self._replace("reopened")
        elif segment.has_records and segment.size_bytes + length > self.max_segment_bytes:
            try:
                self._replace("continued")
            except OSError as fault:  # too large a segment is better than a lost record
                self.tell(_reason(fault))

    def _replace(self, reason: str) -> None:
        old, self._segment = self._segment, self._opened(reason)
        self._bytes_before += old.size_bytes
        self._torn = False
        with contextlib.suppress(OSError):  # it may be replaced because it is no longer there
            old.sync()
        old.close()

    def _written(self, lines: Sequence[bytes]) -> int:
        try:
            return self._one_write(lines)
        except OSError as fault:
            # A limit on the size of a file is no reason to stop as long as there can be more files.
            if fault.errno != errno.EFBIG or not self._segment.has_records:
                raise
        self._replace("continued")
        return self._one_write(lines)

    def _one_write(self, lines: Sequence[bytes]) -> int:
        fresh = b"\n" if self._torn else b""
        data = fresh + b"".join(lines)
        written = self._segment.write(data)
        self._torn = written < len(data)
        if not self._torn:
            return len(lines)
        self.tell(f"only {written} of {len(data)} bytes were written")
        whole, end = 0, len(fresh)
        for line in lines:
            end += len(line)
            if end - 1 > written:  # where only its newline is missing, the next write begins with one
                break
            whole += 1
        return whole

    def sync(self) -> None:
        """Wait until the disk has all that was written; a refusal is told, not raised."""
        try:
            self._segment.sync()
        except OSError as fault:
            self.tell(_reason(fault))

    def tell(self, reason: str) -> None:
        """Warn that not everything is written, and why; once, however long it lasts."""
        first, self.trouble = not self.trouble, reason
        if first:
            _log.warning(
                "scalewatch: the journal %s is in trouble (%s). What it cannot write waits, while there"
                " is room for it, and what it drops it counts; training is not affected.",
                ascii(str(self.path)),
                reason,
            )

    def close(self) -> None:
        """Close the segment."""
        self._segment.close()


def _of_segment(path: Path) -> tuple[str, int]:
    """Which run a segment is of, empty if it does not say, and its size [bytes]."""
    header = first_record(path) or {}
    return str(header.get("run_id", "")), path.lstat().st_size


def _reason(fault: OSError | ValueError) -> str:
    """Why the system refused, without the path, which may hold anything."""
    text = fault.strerror if isinstance(fault, OSError) and fault.strerror else str(fault)
    code = errno.errorcode.get(fault.errno or 0, "") if isinstance(fault, OSError) else ""
    return f"{code}: {text}" if code else text
