"""What lies where `fsspec` reaches (`s3://bucket/runs`): its file system, and copies of its files to be read here."""

from __future__ import annotations

import atexit
import importlib
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from scalewatch.errors import ConfigError, LogError
from scalewatch.guard import attempt

__all__ = ["copied", "fetched", "file_system", "is_remote", "remote_address"]

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


def is_remote(place: str) -> bool:
    """Return whether a place is an address (`s3://bucket/runs`) and no path."""
    return "://" in place


def file_system(address: str) -> tuple[Any, str]:
    """Return the file system of an address as fsspec has it, and the path in it.

    Raises:
        ConfigError: if fsspec, or what it needs for such a place, is not installed.
    """
    try:
        core: Any = importlib.import_module("fsspec.core")
        system, path = core.url_to_fs(address)
    except (ImportError, ValueError) as fault:
        scheme = address.partition("://")[0]
        raise ConfigError(
            f"{address}: reading {scheme}:// needs fsspec and what it needs for it: pip install 'fsspec[{scheme}]' "
            f"({str(fault)[:200]})."
        ) from None
    return system, str(path)


def copied(system: Any, top: str, names: Iterable[str], folder: Path) -> None:
    """Copy files of a file system into a folder of this machine, which they never leave.

    Args:
        system: as `file_system` gives it. top: a path in it. names: of files at or below it, as they lie below `top`;
            "" is `top` itself, which is a file then.
        folder: of this machine; with "" the name of the copy.
    """
    for name in names:
        local = folder.joinpath(*(part for part in PurePosixPath(name).parts if part != ".."))
        local.parent.mkdir(parents=True, exist_ok=True)
        system.get_file(f"{top.rstrip('/')}/{name}" if name else top, str(local))


def fetched(address: str) -> Path:
    """Return a copy of the file or folder at an address, which is only read; it is gone at the end of the process.

    Raises:
        LogError: if fsspec or what it needs is not installed, nothing is there, or it is too much.
    """
    found, why = attempt(_fetched, address)
    if found is None:
        why = why.removeprefix("ConfigError: ").removeprefix(f"{address}: ")
        raise LogError(f"{address}: cannot be read through fsspec: {why[:300]}")
    return found


def _fetched(address: str) -> Path:
    system, place = file_system(address)
    sizes = {name: info.get("size") or 0 for name, info in system.find(place, detail=True).items()}
    if not sizes:
        raise FileNotFoundError("nothing is there")
    if len(sizes) > MOST_FILES or sum(sizes.values()) > MAX_BYTES:
        raise LogError(f"more than {MOST_FILES:,} files, or {MAX_BYTES >> 30} GiB")
    folder = Path(tempfile.mkdtemp(prefix="scalewatch-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    top = place.strip("/")
    below = [name.strip("/")[len(top) :].lstrip("/") for name in sizes]
    target = folder / (PurePosixPath(top).name or "remote")
    copied(system, place, below, target)
    return target
