"""The Vega bundle: made once by a process of its own, kept as a file, served as it is.

`vl_convert` holds a JavaScript engine: a server that loads it pays its memory for ever, so another process does.
"""

from __future__ import annotations

import gzip
import logging
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import final

from scalewatch_tensorboard.server.responses import BadRequestError, Text

__all__ = ["Vega", "vega_bundle"]

_log = logging.getLogger("scalewatch")

#: Time in which a bundle has to be made [s]: it takes 2 to 10.
MAKE_SECONDS = 120.0
#: Bounds of what is a bundle [bytes]; it has some 900 kB.
LEAST_BYTES, MOST_BYTES = 200_000, 8_000_000
#: How long a browser may keep it [s].
KEPT_SECONDS = 86_400
#: What the other process does: the bundle to its output.
_PROGRAM = """
import sys, vl_convert
sys.stdout.buffer.write(vl_convert.javascript_bundle().encode("utf-8"))
"""
MISSING = "The charts need vl-convert-python: pip install 'scalewatch[tensorboard]'."


@final
class Vega:
    """The bundle of one server.

    Args:
        folder: of the cache; None to keep it in memory only.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._packed: bytes | None = None
        self._fault = ""

    def answer(self) -> Text:
        """Return the bundle, made now if it has to be.

        Raises:
            BadRequestError: with what to do, if it cannot be made.
        """
        self.prepare()
        if self._packed is None:
            raise BadRequestError(self._fault or MISSING, 404)
        return Text(self._packed, "text/javascript", KEPT_SECONDS, packed=True)

    def prepare(self) -> None:
        """Make it if it is not there yet; only one at a time does."""
        with self._lock:
            if self._packed is None and not self._fault:
                try:
                    self._packed = gzip.compress(vega_bundle(self._folder), 6, mtime=0)
                except (OSError, subprocess.SubprocessError) as fault:
                    self._fault = f"{MISSING} ({fault})"[:400]
                    _log.warning("scalewatch: no charts in TensorBoard: %s", self._fault)


def vega_bundle(folder: Path | None) -> bytes:
    """Return the bundle, from `folder` if this version of it lies there; else make it and leave it there.

    Raises:
        OSError: if it cannot be made. SubprocessError: if that takes too long.
    """
    kept = None if folder is None else kept_bundle(folder)
    if kept is not None:
        try:
            found = kept.read_bytes() if kept.stat().st_size <= MOST_BYTES else b""
        except OSError:
            found = b""
        if _is_bundle(found):
            return found
    done = subprocess.run(
        [sys.executable, "-I", "-c", _PROGRAM], capture_output=True, timeout=MAKE_SECONDS, check=False
    )
    made = done.stdout
    if done.returncode != 0 or not _is_bundle(made):
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise OSError(f"it could not be made: {last[0] if last else 'no bundle came'}")
    if kept is not None:
        _keep(kept, made)
    return made


def kept_bundle(folder: Path) -> Path:
    """Where the bundle lies in the folder of a cache.

    Raises:
        OSError: if vl-convert-python is not installed.
    """
    return folder / f"vega-{_version()}.js"


def _version() -> str:
    from importlib import metadata

    try:
        found = metadata.version("vl-convert-python")
    except metadata.PackageNotFoundError:
        raise OSError("it is not installed") from None
    return "".join(letter if letter.isalnum() or letter == "." else "_" for letter in found)[:40]


def _is_bundle(text: bytes) -> bool:
    return LEAST_BYTES <= len(text) <= MOST_BYTES and b"vega" in text[:2_000_000]


def _keep(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; a cache that cannot be written is none."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".vega-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.replace(name, path)
        except OSError:
            os.unlink(name)
            raise
    except OSError as fault:
        _log.info("scalewatch: %s cannot be kept: %s", path, fault)
