"""`scalewatch mcp`: a folder of logs served read-only to an assistant, by the Model Context Protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scalewatch.cli.options import GoalOptions, LogOptions
from scalewatch.errors import ConfigError

__all__ = ["mcp"]


def mcp(
    logdir: Annotated[Path, typer.Argument(help="Folder of runs; nothing outside of it is read.")],
    *,
    reading: LogOptions,
    goals: GoalOptions,
) -> None:
    """Answer an assistant on standard input and output: status, findings, forecast, what-if and advice of runs.

    It is started by the assistant's program, which is told this command. Exit code 0 when that ends it, 2 if the folder
    is not there or an option is wrong.
    """
    from scalewatch.offline.assistant.folder import LogFolder

    settings = reading.settings(goals)
    folder = LogFolder(logdir, settings)
    try:
        from scalewatch.offline.assistant.server import serve
    except ImportError:
        raise ConfigError("This needs the official SDK: pip install 'scalewatch[mcp]'.") from None
    serve(folder, settings)
