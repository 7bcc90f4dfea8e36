"""Options that several commands have: each is declared here once, in a group that a command takes as one parameter.

    @with_groups
    def replay(logs: Logs, *, reading: LogOptions, goals: GoalOptions, json_: AsJson = False) -> None:
        settings = reading.settings(goals)

For typer the options of a group stand in the command's own signature, in the place of the parameter.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    from scalewatch.advising.context import Goals
    from scalewatch.offline.replayed import Settings

__all__ = [
    "AsJson",
    "GoalOptions",
    "Log",
    "LogOptions",
    "Logs",
    "NamedLogOptions",
    "ScheduleOptions",
    "with_groups",
]

Log = Annotated[Path, typer.Argument(help="A log, or the folder of a run.", show_default=False)]
Logs = Annotated[list[Path], typer.Argument(help="Logs, or folders of runs.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print everything as JSON.")]


@dataclass(frozen=True, slots=True)
class GoalOptions:
    """What is wanted of a run."""

    target_loss: Annotated[float | None, typer.Option(help="Final loss the run is for [nats].")] = None
    incumbent_loss: Annotated[float | None, typer.Option(help="Final loss it has to beat [nats].")] = None
    least_gain: Annotated[float | None, typer.Option(help="Least that its rest must buy to go on [nats].")] = None

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
    column: Annotated[list[str] | None, typer.Option(help="What a column is: loss=train/ce. Repeat.")] = None
    format_: Annotated[str | None, typer.Option("--format", help="Format of all files, instead of a guess.")] = None

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

    name: Annotated[str | None, typer.Option(help="What to call the run.")] = None


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """What a forecast has to know of a run, and its log may not say."""

    schedule: Annotated[
        str | None, typer.Option(help="Plan of the rates: from-log, cosine, linear, wsd, constant or unknown.")
    ] = None
    unit: Annotated[str | None, typer.Option(help="Unit of the loss: nats, bits or perplexity.")] = None


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command as typer reads it: in place of each parameter that is a group stand the options of the group."""
    groups: dict[str, Any] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if is_dataclass(parameter.annotation):
            group: Any = parameter.annotation
            groups[parameter.name] = group
            hints = get_type_hints(group, include_extras=True)
            pairs = [(field.name, field.default, hints[field.name]) for field in fields(group)]
        else:
            pairs = [(parameter.name, parameter.default, parameter.annotation)]
        parameters += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for name, default, annotation in pairs
        ]

    def run(**values: Any) -> None:
        taken = {
            name: group(**{field.name: values.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**values, **taken)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run
