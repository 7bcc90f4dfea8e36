"""What a command's signature is to typer: groups of options become options, and types are read as people say them.

A number that cannot be read is refused with what was typed and what may be, and help names a value by what it is:
`N`, `NUMBER`, `FILE`. So no command says a type of Python.

The readers do without typer's own, which makes a pydantic schema of each parameter: importing pydantic takes longer
than the monitor does for a log of a few hundred rows.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, final, get_args, get_origin, get_type_hints

import typer
from typer.models import OptionInfo, ParameterInfo

__all__ = ["as_typed", "number", "part", "read_by_itself", "whole"]


def number(typed: Any) -> Any:
    """Return a number that was typed.

    Raises:
        typer.BadParameter: if it is none.

    >>> number("3e-4"), number("10_000"), number(0.5)
    (0.0003, 10000.0, 0.5)
    """
    try:
        return float(typed) if isinstance(typed, str) else typed
    except ValueError:
        raise typer.BadParameter(f"must be a number such as 0.3 (got {typed!r:.40})") from None


def whole(typed: Any) -> Any:
    """Return a whole number that was typed; one with an exponent may be whole too.

    Raises:
        typer.BadParameter: if it is none.

    >>> whole("20000"), whole("2e4"), whole("20,000")
    (20000, 20000, 20000)
    """
    if not isinstance(typed, str):
        return typed
    try:
        value = float(typed.replace(",", ""))
        if value == int(value):
            return int(value)
    except (ValueError, OverflowError):
        pass
    raise typer.BadParameter(f"must be a whole number (got {typed!r:.40})")


def part(typed: Any) -> Any:
    """Return a part of something, typed in per cent or as a number.

    Raises:
        typer.BadParameter: if it is neither.

    >>> part("30%"), part(".3"), part("30 %")
    (0.3, 0.3, 0.3)
    """
    if not isinstance(typed, str):
        return typed
    text = typed.strip()
    try:
        return float(text[:-1]) / 100.0 if text.endswith("%") else float(text)
    except ValueError:
        raise typer.BadParameter(f"must be a part such as 30% or 0.3 (got {typed!r:.40})") from None


#: How a value of a type is read, and what it is called.
_SPOKEN: dict[type, tuple[Callable[[Any], Any] | None, str]] = {
    int: (whole, "N"),
    float: (number, "NUMBER"),
    str: (None, "TEXT"),
    Path: (None, "FILE"),
}


def as_typed(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command as typer reads it: in place of each parameter that is a group stand the options of the group."""
    groups: dict[str, Any] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if is_dataclass(parameter.annotation):
            group: Any = parameter.annotation
            groups[parameter.name] = group
            hints = get_type_hints(group, include_extras=True)
            rows = [(field.name, field.default, hints[field.name]) for field in fields(group)]
        else:
            rows = [(parameter.name, parameter.default, parameter.annotation)]
        parameters += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=_spoken(annotation))
            for name, default, annotation in rows
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


def _spoken(annotation: Any) -> Any:
    """The annotation of an option with the reader and the name of its type, where it has none of its own."""
    if get_origin(annotation) is not Annotated:
        return annotation
    kind, told = get_args(annotation)[:2]
    inner = next((each for each in (kind, *get_args(kind)) if each in _SPOKEN), None)
    inner = inner or next((each for one in get_args(kind) for each in get_args(one) if each in _SPOKEN), None)
    if inner is None or bool in (kind, *get_args(kind)):
        return annotation
    reader, name = _SPOKEN[inner]
    told = copy(told)
    if reader is not None and told.parser is None:
        told.parser = reader
    if isinstance(told, OptionInfo) and told.metavar is None:
        told.metavar = name
    return Annotated[kind, told]


def read_by_itself(parameter: Any) -> None:
    """Let a parameter of a command be read by the reader of its type, or by its own.

    Args:
        parameter: a `typer.core.TyperOption` or `TyperArgument`; one of a type that has no reader stays as it is.
    """
    descriptor = getattr(parameter, "type_descriptor", None)
    if descriptor is None:
        return
    told: ParameterInfo = descriptor.parameter_info
    kind = (get_args(descriptor.annotation) or (descriptor.annotation,))[0]
    read = told.parser or {str: str, Path: Path, bool: bool}.get(kind)
    if read is not None:
        parameter.get_runtime_param = lambda: _Values(read)


@final
@dataclass(frozen=True, slots=True)
class _Values:
    """What typer asks for the value of a parameter."""

    read: Callable[[Any], Any]

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        del ctx
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        return [self.read(each) for each in value] if several else self.read(value)
