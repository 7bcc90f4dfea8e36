"""What a command hands over: JSON on standard output, and files, checked before it starts to work."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import tempfile
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from scalewatch.errors import ConfigError
from scalewatch.plain import to_plain
from scalewatch.text import no_control

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["check_chart_file", "check_output", "print_hanging", "print_json", "wrapped"]


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


def print_json(answer: Any, *, line: bool = False) -> None:
    """Print an answer, whose form stands in `scalewatch.cli.answers`, as JSON: on one line if it is one of many."""
    typer.echo(json.dumps(to_plain(answer), indent=None if line else 1, allow_nan=False))


def print_hanging(console: Console, text: str, style: str = "", indent: int = 2) -> None:
    """Print a sentence whose further lines begin `indent` columns further in."""
    filled = "\n".join(wrapped(no_control(text), console.width, indent))
    console.print(filled, style=style, markup=False, highlight=False, soft_wrap=True)


def wrapped(text: str, width: int, indent: int = 4) -> list[str]:
    """Return a text in lines of at most `width` columns, of which all but the first begin `indent` further in.

    >>> wrapped("  one two three", 9, 4)
    ['  one two', '    three']
    """
    lines = textwrap.TextWrapper(
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines.wrap(text) or [""]
