"""Options that several commands have: each is declared here once, alone or in a group that a command takes whole.

        def replay(logs: Logs, *, reading: LogOptions, goals: GoalOptions, json_: AsJson = False) -> None:
        settings = reading.settings(goals)

For typer the options of a group stand in the command's own signature, in the place of the parameter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalewatch.cli.signatures import part
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalewatch.advising.context import Goals
    from scalewatch.offline.reading import Reading
    from scalewatch.offline.replayed import Settings

__all__ = [
    "AT",
    "EVERY",
    "AsJson",
    "BytesPerToken",
    "Columns",
    "Dark",
    "Draw",
    "GoalOptions",
    "Log",
    "LogOptions",
    "Logs",
    "NamedLogOptions",
    "RulesFile",
    "ScheduleOptions",
    "TableOptions",
    "Target",
    "Where",
]

Log = Annotated[Path, typer.Argument(help="A log, or the folder of a run.", show_default=False)]
Logs = Annotated[list[Path], typer.Argument(help="Logs, or folders of runs.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON: docs/json.md.")]
AT = typer.Option(parser=part, metavar="PART", help="Part of the run to look back to, such as 30% or 0.3.")
Columns = Annotated[
    list[str] | None, typer.Option("--column", metavar="FIELD=COLUMN", help="What a column is: loss=val_loss. Repeat.")
]
Where = Annotated[
    list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Take these rows only: split=train. Repeat.")
]
BytesPerToken = Annotated[float | None, typer.Option(help="Turns bits per byte into nats per token.")]
Dark = Annotated[bool, typer.Option("--dark", help="Draw for a dark page.")]
Draw = Annotated[Path | None, typer.Option("--out", help="Draw it to a file: .png, .svg, .html or .json.")]
EVERY = typer.Option(metavar="SECONDS", help="Seconds between two looks.")
RulesFile = Annotated[Path | None, typer.Option(help="A TOML file: who is told what, and the settings of receivers.")]
Target = Annotated[
    str | None,
    typer.Option(metavar="SIZE:TOKENS", help="The run that the ladder is for: 7B, or with its tokens 7B:140B."),
]


@dataclass(frozen=True, slots=True)
class GoalOptions:
    """What is wanted of a run."""

    target_loss: Annotated[float | None, typer.Option(metavar="NATS", help="Final loss the run is for.")] = None
    incumbent_loss: Annotated[float | None, typer.Option(metavar="NATS", help="Final loss it has to beat.")] = None
    least_gain: Annotated[float | None, typer.Option(metavar="NATS", help="Least that its rest must buy to go on.")] = (
        None
    )

    def goals(self) -> Goals:
        """Return them as the monitor takes them.

        Raises:
            ConfigError: if one is not positive and finite.
        """
        from scalewatch.advising.context import Goals

        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not 0.0 < value < math.inf:
                option = f"--{field.name.replace('_', '-')}"
                raise ConfigError(f"`{option}` must be a positive number of nats a token (got {value:g}).")
        return Goals(self.target_loss, self.incumbent_loss, self.least_gain)


@dataclass(frozen=True, slots=True)
class LogOptions:
    """How a log is to be read, and the law that its run is held against."""

    law: Annotated[Path | None, typer.Option(help="A law file of smaller runs to hold each run against.")] = None
    total_steps: Annotated[int | None, typer.Option(help="Planned steps, where the log does not say.")] = None
    column: Columns = None
    format_: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="Format of all files, instead of a guess.")
    ] = None

    def settings(self, goals: GoalOptions | None = None) -> Settings:
        """Return them as the commands take them.

        Raises:
            ConfigError: if one is out of its range.
            LawFileError: if the law cannot be read.
        """
        from scalewatch.offline.replayed import Settings

        wanted = None if goals is None else goals.goals()
        return Settings.of(self.law, self.total_steps, self.column, self.format_, getattr(self, "name", None), wanted)


@dataclass(frozen=True, slots=True)
class NamedLogOptions(LogOptions):
    """The same, and what to call a run."""

    name: Annotated[str | None, typer.Option(metavar="NAME", help="What to call the run.")] = None


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How tables of runs are to be read: what their columns are, which rows count, in what unit the loss is."""

    column: Columns = None
    where: Where = None
    bytes_per_token: BytesPerToken = None

    def reading(self, paths: Sequence[Path], *, ends: bool = False) -> Reading:
        """Read the tables among `paths`, as `Reading.of` does."""
        from scalewatch.offline.reading import Reading

        return Reading.of(paths, self.column or [], self.where or [], self.bytes_per_token, ends=ends)


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """What a forecast has to know of a run, and its log may not say."""

    schedule: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Plan of the rates: from-log, cosine, linear, wsd, constant or unknown."),
    ] = None
    unit: Annotated[str | None, typer.Option(metavar="NAME", help="Unit of the loss: nats, bits or perplexity.")] = None
