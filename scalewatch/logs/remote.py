"""Logs at another machine, fetched through fsspec into a folder that is removed at the end of the process."""

from __future__ import annotations

import atexit
import importlib
import re
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

from scalewatch.errors import LogError
from scalewatch.guard import attempt

__all__ = ["fetched", "remote_address"]

#: `s3://bucket/run`, which as a path has lost a slash; a scheme of one letter is a drive of Windows.
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):[/\\]+(.*)", re.DOTALL)
#: Bytes and files of one address at most, so that a wrong one ends. By hand.
MAX_BYTES, MOST_FILES = 8 << 30, 10_000


def remote_address(path: Path) -> str | None:
    """Return the address that a path stands for, None if it is one of this machine.

    >>> remote_address(Path("s3://bucket/run/metrics.csv")), remote_address(Path("runs/metrics.csv"))
    ('s3://bucket/run/metrics.csv', None)
    """
    found = _ADDRESS.fullmatch(str(path))
    return None if found is None or path.exists() else f"{found[1]}://{found[2]}"


def fetched(address: str) -> Path:
    """Return a copy of the file or folder at an address, which is only read.

    Raises:
        LogError: if fsspec or what it needs is not installed, nothing is there, or it is too much.
    """
    try:
        core: Any = importlib.import_module("fsspec.core")
    except ImportError:
        scheme = address.partition("://")[0]
        raise LogError(f"{address}: reading {scheme}:// needs fsspec: pip install 'fsspec[{scheme}]'.") from None
    found, why = attempt(_copied, core, address)
    if found is None:
        raise LogError(f"{address}: cannot be read through fsspec: {why[:200]}.")
    return found


def _copied(core: Any, address: str) -> Path:
    system, place = core.url_to_fs(address)
    sizes = {name: info.get("size") or 0 for name, info in system.find(place, detail=True).items()}
    if not sizes:
        raise FileNotFoundError("nothing is there")
    if len(sizes) > MOST_FILES or sum(sizes.values()) > MAX_BYTES:
        raise LogError(f"more than {MOST_FILES:,} files, or {MAX_BYTES >> 30} GiB")
    folder = Path(tempfile.mkdtemp(prefix="scalewatch-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    top = PurePosixPath(place.rstrip("/"))
    target = folder / (top.name or "remote")
    for name in sizes:
        inner = PurePosixPath("/" + name.lstrip("/")).relative_to("/" + str(top).lstrip("/"))
        local = target.joinpath(*(part for part in inner.parts if part != ".."))
        local.parent.mkdir(parents=True, exist_ok=True)
        system.get_file(name, str(local))
    return target
