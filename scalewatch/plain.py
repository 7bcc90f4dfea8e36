"""The one way between what scalewatch speaks of and plain values that JSON can hold: `to_plain` and `from_plain`.

Journal, command line, tab and alerts write and read by it, so that a finding has one form. JSON has no NaN: a number
that is not finite is the word "nan", "inf" or "-inf", and a number again where a number is expected. In the evidence of
a finding, where a word may stand as well, `nonfinite` names those that were numbers.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from enum import Enum, StrEnum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from scalewatch.errors import PlainError
from scalewatch.finding import Evidence, Finding, Kind, kind_of
from scalewatch.kinds import kind_name

__all__ = [
    "NONFINITE",
    "from_plain",
    "integer",
    "number",
    "numbers",
    "odd_part",
    "optional",
    "shown",
    "text",
    "to_plain",
]

T = TypeVar("T")

#: How numbers that JSON does not know are written.
NONFINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def to_plain(thing: Any) -> Any:
    """Return a finding, an advice, another dataclass, or a list or table of them, as plain values for JSON.

    >>> from scalewatch.finding import Severity
    >>> plain = to_plain(Finding(Kind.SPIKE, Severity.INFO, 7, 7, "up", {"sigmas": math.inf}))
    >>> plain["kind"], plain["name"], plain["evidence"], plain["nonfinite"]
    ('spike', 'spike', {'sigmas': 'inf'}, ['sigmas'])
    """
    if isinstance(thing, np.generic):
        thing = thing.item()
    if isinstance(thing, float):
        return thing if math.isfinite(thing) else "nan" if thing != thing else "inf" if thing > 0 else "-inf"
    if isinstance(thing, Enum):
        return thing.value
    if isinstance(thing, Path):
        return str(thing)
    if isinstance(thing, Mapping):
        return {name: to_plain(value) for name, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [to_plain(each) for each in thing]
    if not dataclasses.is_dataclass(thing):
        return thing
    plain = {each.name: to_plain(getattr(thing, each.name)) for each in dataclasses.fields(thing)}
    if isinstance(thing, Finding):
        plain["name"] = kind_name(thing.kind)
        words = {name for name, value in plain["evidence"].items() if isinstance(value, str)}
        broken = [name for name, value in thing.evidence.items() if name in words and not isinstance(value, str)]
        plain |= {"nonfinite": broken} if broken else {}
    return plain


def from_plain(kind: type[T], values: Mapping[str, Any]) -> T:
    """Return the finding, advice or other dataclass `kind` that `to_plain` wrote; what else is there is passed over.

    Raises:
        PlainError: if a value is missing or none that can be; it names the field and what was got.

    >>> from scalewatch.advice import Advice
    >>> from_plain(Advice, {"action": "wait", "reason": "r", "evidence_grade": "C", "step": "7"})
    Traceback (most recent call last):
    ...
    scalewatch.errors.PlainError: `step` must be an integer (got '7', str).
    """
    if kind is Finding:
        values = {**values, "evidence": _evidence(values)}
    known: type = kind  # mypy takes no `type[T]` for something to be hashed
    return kind(**{name: read(values.get(name, least), name) for name, read, least in _fields(known)})


@cache
def _fields(kind: type) -> tuple[tuple[str, Callable[[Any, str], Any], Any], ...]:
    """Each field of a dataclass, how it is read, and what stands for it where it is left out: nothing, or no words."""
    hints = get_type_hints(kind)
    return tuple(
        (each.name, _reader(hints[each.name]), "" if each.default == "" else None) for each in dataclasses.fields(kind)
    )


def _reader(hint: Any) -> Callable[[Any, str], Any]:
    parts = get_args(hint)
    if hint == Kind | str:
        return _kind
    if hint == Evidence:
        return lambda value, name: value
    if isinstance(hint, UnionType) and NoneType in parts:
        inner = _reader(next(part for part in parts if part is not NoneType))
        return lambda value, name: None if value is None else inner(value, name)
    if get_origin(hint) is tuple:
        return _tuple_reader(parts)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return lambda value, name: from_plain(hint, _object(value, name))
    if issubclass(hint, StrEnum):
        return lambda value, name: _member(value, name, hint)
    readers: dict[type, Callable[[Any, str], Any]] = {int: integer, float: number, str: text, bool: _flag}
    return readers[hint]


def number(value: Any, name: str) -> float:
    """Return a number, or the one that a word stands for.

    Raises:
        PlainError: if it is none.
    """
    if type(value) is float or type(value) is int:  # `isinstance` would take a bool for an int
        return value
    if isinstance(value, str) and value in NONFINITE:
        return NONFINITE[value]
    raise PlainError(f'`{name}` must be a number, or "nan", "inf", "-inf" (got {shown(value)}).')


def optional(value: Any, name: str) -> float | None:
    """Return a number, or None.

    Raises:
        PlainError: if it is neither.
    """
    return None if value is None else number(value, name)


def numbers(value: Any, name: str) -> tuple[float, ...]:
    """Return a list of numbers.

    Raises:
        PlainError: if it is none.
    """
    if not isinstance(value, list):
        raise PlainError(f"`{name}` must be a list of numbers (got {shown(value)}).")
    return tuple(number(each, name) for each in value)


def integer(value: Any, name: str) -> int:
    """Return an integer.

    Raises:
        PlainError: if it is none.
    """
    if type(value) is not int:
        raise PlainError(f"`{name}` must be an integer (got {shown(value)}).")
    return value


def text(value: Any, name: str) -> str:
    """Return a text.

    Raises:
        PlainError: if it is none.
    """
    if not isinstance(value, str):
        raise PlainError(f"`{name}` must be text (got {shown(value)}).")
    return value


def shown(value: object) -> str:
    """Return a value for an error message: escaped, short, and with its type."""
    return f"{ascii(value)[:60]}, {type(value).__name__}"


def _tuple_reader(parts: tuple[Any, ...]) -> Callable[[Any, str], Any]:
    """A list of any length for `tuple[X, ...]`, else of one value for each part."""
    readers = [_reader(part) for part in parts if part is not Ellipsis]

    def read(value: Any, name: str) -> tuple[Any, ...]:
        if not isinstance(value, list) or (Ellipsis not in parts and len(value) != len(parts)):
            many = "a list" if Ellipsis in parts else f"{len(parts)} values"
            raise PlainError(f"`{name}` must be {many} (got {shown(value)}).")
        return tuple(each(item, name) for each, item in zip(readers * len(value), value, strict=False))

    return read


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PlainError(f"`{name}` must be an object (got {shown(value)}).")
    return value


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise PlainError(f"`{name}` must be true or false (got {shown(value)}).")
    return value


def _member(value: Any, name: str, words: type[StrEnum]) -> StrEnum:
    try:
        return words(value)
    except ValueError:
        raise PlainError(f"`{name}` must be one of {', '.join(words)} (got {shown(value)}).") from None


def _kind(value: Any, name: str) -> Kind | str:
    try:
        return kind_of(value)
    except ValueError:
        raise PlainError(f"`{name}` must be a word such as spike (got {shown(value)}).") from None


def _evidence(values: Mapping[str, Any]) -> Evidence:
    evidence, nonfinite = values.get("evidence"), values.get("nonfinite", [])
    if not (isinstance(evidence, dict) and isinstance(nonfinite, list)):
        raise PlainError(f"`evidence` must be an object (got {shown(evidence)}).")
    for value in evidence.values():
        if not isinstance(value, str | int | float | None):
            raise PlainError(f"Evidence must be numbers and words (got {shown(value)}).")
    return {name: number(value, name) if name in nonfinite else value for name, value in evidence.items()}


def odd_part(mine: Any, given: Any, where: str = "") -> str | None:
    """Return where `given` cannot be another value of the plain state that `mine` is; None if it can everywhere.

    >>> odd_part({"rows": 3, "levels": [1.0]}, {"rows": "3", "levels": []})
    '/rows'
    """
    if isinstance(mine, dict) and isinstance(given, Mapping):
        # what another monitor's state leaves empty (no law, no plan) is taken as left out
        parts = ((key, mine[key], given.get(key)) for key in (mine if given else ()))
        return next((odd for k, m, g in parts if (odd := odd_part(m, g, f"{where}/{k}")) is not None), None)
    if isinstance(mine, list) and isinstance(given, list):
        kinds = {_sort_of(part) for part in given}
        return None if kinds <= {"number"} or kinds <= {"list"} or kinds <= {"dict"} else where
    return None if _sort_of(mine) == _sort_of(given) else where


def _sort_of(value: Any) -> str:
    if isinstance(value, int | float):
        # an integer beyond 2**64 is no count of anything, and may not even be a float
        return "number" if isinstance(value, float) or abs(value) < 2**64 else "none"
    return next(
        (name for name, kind in (("text", str), ("list", list), ("dict", Mapping)) if isinstance(value, kind)), "none"
    )
