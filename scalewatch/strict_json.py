"""JSON that may come from anybody: read whole within limits, or refused in one line that names file and field.

Every kind of law file is read through this, so that none is read with less care than another.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from scalewatch.errors import LawFileError

__all__ = [
    "check_fields",
    "choice",
    "fields_within",
    "least_and_most",
    "number",
    "numbers",
    "numbers_within",
    "read_record",
    "sentences",
    "write_record",
]

MAX_BYTES = 1 << 20
MAX_NOTES = 10_000

#: Other kinds of law file, and who reads them.
READERS = {
    "annealing_curve_law": "a law of whole curves: `load_law`, or the option --law of `scalewatch replay`, reads it",
    "chinchilla_law": "a law of final losses: `load_chinchilla` reads it; a monitor needs a law of whole curves",
    "fit": "a law of another family: `scalewatch.laws.read_law` reads it; a monitor needs a law of whole curves",
}


def write_record(record: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write `record` to `path` as JSON; the file appears whole or not at all.

    Raises:
        LawFileError: if it cannot be written.
    """
    target = Path(path)
    draft = target.parent / f"{target.name}.{os.getpid()}.part"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        draft.replace(target)
    except (OSError, ValueError) as fault:
        with contextlib.suppress(OSError, ValueError):
            draft.unlink()
        reason = getattr(fault, "strerror", None) or fault
        raise LawFileError(f"{target}: the law cannot be written: {reason}.") from None


def check_fields(source: Path, record: dict[str, Any], kind: str, schema: int, known: Collection[str]) -> None:
    """Refuse a record of another kind or schema, with a field missing or one too many.

    Raises:
        LawFileError: says which.
    """
    got = record.get("kind")
    if got != kind:
        other = READERS.get(got) if isinstance(got, str) else None
        if other is not None:
            raise LawFileError(f"{source}: `kind` is '{got}', {other}.")
        raise LawFileError(f"{source}: not a law file: `kind` must be '{kind}' (got {got!r:.80}).")
    if type(record.get("schema")) is not int or record["schema"] != schema:
        raise LawFileError(f"{source}: `schema` must be {schema} (got {record.get('schema')!r:.80}).")
    for name in sorted(set(known) - set(record)):
        raise LawFileError(f"{source}: the field `{name}` is missing.")
    for name in sorted(set(record) - set(known)):
        raise LawFileError(f"{source}: the field {name!r:.80} is unknown.")


def sentences(source: Path, name: str, value: Any) -> tuple[str, ...]:
    """Return a list of sentences.

    Raises:
        LawFileError: if it is none.
    """
    if not isinstance(value, list) or len(value) > MAX_NOTES or not all(isinstance(s, str) for s in value):
        raise LawFileError(f"{source}: `{name}` must be a list of sentences.")
    return tuple(value)


def read_record(source: Path) -> dict[str, Any]:
    """Return the object that the file at `source` holds.

    Raises:
        LawFileError: if it cannot be read, is too large, or is not one JSON object.
    """
    try:
        # a FIFO nobody writes to would hang an open, so look before opening
        is_file = stat.S_ISREG(os.stat(source).st_mode)
        data = b""
        if is_file:
            with source.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
    except OSError as fault:
        raise LawFileError(f"{source}: cannot be read: {fault.strerror or fault}.") from None
    except ValueError:
        raise LawFileError(f"{str(source)!r:.200}: no file can have this name.") from None
    if not is_file:
        raise LawFileError(f"{source}: not a regular file.")
    if len(data) > MAX_BYTES:
        raise LawFileError(f"{source}: larger than {MAX_BYTES:,} bytes, so no law file.")
    try:
        record = json.loads(data.decode("utf-8"), object_pairs_hook=_no_duplicates(source), parse_constant=_no_constant)
    except LawFileError:
        raise
    except (ValueError, RecursionError) as fault:
        reason = "nested too deep" if isinstance(fault, RecursionError) else str(fault)[:200]
        raise LawFileError(f"{source}: not JSON: {reason}.") from None
    if not isinstance(record, dict):
        raise LawFileError(f"{source}: must hold one JSON object (got {type(record).__name__}).")
    return record


def _no_duplicates(source: Path) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(items)
        if len(record) != len(items):
            raise LawFileError(f"{source}: a field is given twice.")
        return record

    return pairs


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def number(source: Path, name: str, value: Any, least: float = -1e30, most: float = 1e30) -> float:
    """Return a finite number from `least` to `most`.

    Raises:
        LawFileError: if it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LawFileError(f"{source}: `{name}` must be a number (got {type(value).__name__}).")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found) or not least <= found <= most:
        raise LawFileError(f"{source}: `{name}` must lie between {least:g} and {most:g} (got {found:g}).")
    return found


def numbers(source: Path, name: str, value: Any, count: int, least: float = -1e30, most: float = 1e30) -> list[float]:
    """Return a list of `count` numbers.

    Raises:
        LawFileError: if it is none.
    """
    if not isinstance(value, list) or len(value) != count:
        raise LawFileError(f"{source}: `{name}` must be a list of {count} numbers.")
    return [number(source, f"{name}[{i}]", v, least, most) for i, v in enumerate(value)]


def fields_within(source: Path, record: dict[str, Any], ranges: dict[str, tuple[float, float]]) -> dict[str, float]:
    """Return the fields of `record` that `ranges` names, each a number from its least to its most.

    Raises:
        LawFileError: if one is none.
    """
    return {name: number(source, name, record[name], *bounds) for name, bounds in ranges.items()}


def numbers_within(source: Path, name: str, value: Any, ranges: Sequence[tuple[float, float]]) -> list[float]:
    """Return a list with one number for each (least, most).

    Raises:
        LawFileError: if it is none.
    """
    listed = numbers(source, name, value, len(ranges), least=-math.inf, most=math.inf)
    pairs = zip(listed, ranges, strict=True)
    return [number(source, f"{name}[{i}]", v, *bounds) for i, (v, bounds) in enumerate(pairs)]


def least_and_most(source: Path, name: str, value: Any) -> tuple[float, float]:
    """Return two positive numbers, the first not above the second.

    Raises:
        LawFileError: if they are not.
    """
    least, most = numbers(source, name, value, 2, least=1e-6)
    if least > most:
        raise LawFileError(f"{source}: `{name}` must be the least and the most (got {least:g} and {most:g}).")
    return least, most


def choice(source: Path, name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return one of some words.

    Raises:
        LawFileError: if it is none of them.
    """
    if value not in choices:
        raise LawFileError(f"{source}: `{name}` must be one of {', '.join(choices)} (got {value!r:.80}).")
    return str(value)
