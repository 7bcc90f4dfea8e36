"""Files that a command will write, checked before it starts to work: nobody waits for a fit that cannot be kept."""

from __future__ import annotations

import errno
import importlib.util
import os
import tempfile
from pathlib import Path

from scalewatch.errors import ConfigError

__all__ = ["check_chart_file", "check_output"]


def check_output(option: str, path: Path) -> None:
    """Refuse a file that cannot be written.

    Raises:
        ConfigError: says which option and why.
    """
    if path.is_dir():
        raise ConfigError(f"`{option}` must name a file ({str(path)!r:.200} is a folder).")
    folder = next(f for f in path.absolute().parents if f.exists())
    try:
        # asking for permission is not enough: root has it everywhere
        with tempfile.TemporaryFile(dir=folder):
            pass
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as fault:
        raise ConfigError(f"`{option}`: {str(path)!r:.200} cannot be written: {fault.strerror}.") from None


def check_chart_file(option: str, path: Path) -> None:
    """Refuse a chart that cannot be drawn: an ending that is none, a file that cannot be written, no extra `charts`.

    Raises:
        ConfigError: says which.
    """
    from scalewatch.charts import check_suffix

    check_suffix(path)
    check_output(option, path)
    if any(importlib.util.find_spec(module) is None for module in ("altair", "vl_convert")):
        raise ConfigError("Charts need the extra `charts`: pip install 'scalewatch[charts]'.")
