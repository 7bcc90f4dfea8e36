"""Law files: a fitted law as JSON, read with suspicion.

A law file may come from a colleague or a download, so it is data and nothing else: one object of known
fields, finite numbers within range, of bounded size and depth. What is wrong is said with file, field and
reason.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from scalewatch.errors import LawFileError
from scalewatch.laws.curve_law import CurveLaw

__all__ = ["load_law", "save_law"]

SCHEMA = 1
KIND = "annealing_curve_law"
MAX_BYTES = 1 << 20
MAX_NOTES = 10_000

#: (ln E, ln K, a, ln A, b): largest of each, either way; no loss or exponent of a law lies beyond.
_MOST_PARAMETERS = (100.0, 100.0, 10.0, 100.0, 10.0)
#: Field -> (least, most) of a number.
_RANGES: dict[str, tuple[float, float]] = {
    "alpha": (1e-2, 3.0),
    "alpha_log_sd": (0.0, 1.0),
    "ratio": (0.0, 100.0),
    "ratio_log_sd": (0.0, 1.0),
    "memory_steps": (1.0, 1e12),
    "reference_walk": (1e-6, 1e30),
    "reference_size": (1e-6, 1e18),
    "run_log_sd": (1e-6, 10.0),
    "remaining_log_sd": (1e-6, 10.0),
    "misfit": (0.0, 1.0),
    "row_noise": (0.0, 10.0),
    "runs": (1, 1e6),
}
_UNITS = ("tokens", "steps")
_SIZES = ("total", "non_embedding", "none")
_OTHERS = ("schema", "kind", "walk_unit", "size_kind", "parameters", "covariance", "sizes", "walks", "left_out")


def save_law(law: CurveLaw, path: str | os.PathLike[str]) -> None:
    """Write `law` to `path` as JSON; the file appears whole or not at all.

    Raises:
        LawFileError: if it cannot be written.
    """
    record: dict[str, Any] = {"schema": SCHEMA, "kind": KIND}
    record.update({name: getattr(law, name) for name in _RANGES})
    record.update(walk_unit=law.walk_unit, size_kind=law.size_kind)
    record.update(parameters=law.parameters.tolist(), covariance=law.covariance.tolist())
    record.update(sizes=list(law.sizes), walks=list(law.walks), left_out=list(law.left_out))
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


def load_law(path: str | os.PathLike[str]) -> CurveLaw:
    """Read the law that `save_law` wrote.

    Raises:
        LawFileError: if the file cannot be read or is no law file; the message names file, field and reason.
    """
    source = Path(path)
    record = _parse(source)
    known = {*_RANGES, *_OTHERS}
    if record.get("kind") != KIND:
        raise LawFileError(f"{source}: not a law file: `kind` must be '{KIND}' (got {record.get('kind')!r:.80}).")
    if type(record.get("schema")) is not int or record["schema"] != SCHEMA:
        raise LawFileError(f"{source}: `schema` must be {SCHEMA} (got {record.get('schema')!r:.80}).")
    for name in sorted(known - set(record)):
        raise LawFileError(f"{source}: the field `{name}` is missing.")
    for name in sorted(set(record) - known):
        raise LawFileError(f"{source}: the field {name!r:.80} is unknown.")
    numbers = {name: _number(source, name, record[name], *bounds) for name, bounds in _RANGES.items()}
    left_out = record["left_out"]
    if not isinstance(left_out, list) or len(left_out) > MAX_NOTES or not all(isinstance(s, str) for s in left_out):
        raise LawFileError(f"{source}: `left_out` must be a list of sentences.")
    return CurveLaw(
        **{**numbers, "runs": int(numbers["runs"])},  # type: ignore[arg-type]
        walk_unit=cast(Literal["tokens", "steps"], _choice(source, "walk_unit", record["walk_unit"], _UNITS)),
        size_kind=cast(
            Literal["total", "non_embedding", "none"], _choice(source, "size_kind", record["size_kind"], _SIZES)
        ),
        parameters=_parameters(source, record["parameters"]),
        covariance=_covariance(source, record["covariance"]),
        sizes=_least_and_most(source, "sizes", record["sizes"]),
        walks=_least_and_most(source, "walks", record["walks"]),
        left_out=tuple(left_out),
    )


def _parse(source: Path) -> dict[str, Any]:
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


def _number(source: Path, name: str, value: Any, least: float = -1e30, most: float = 1e30) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LawFileError(f"{source}: `{name}` must be a number (got {type(value).__name__}).")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or not least <= number <= most:
        raise LawFileError(f"{source}: `{name}` must lie between {least:g} and {most:g} (got {number:g}).")
    return number


def _numbers(source: Path, name: str, value: Any, count: int, least: float = -1e30) -> list[float]:
    if not isinstance(value, list) or len(value) != count:
        raise LawFileError(f"{source}: `{name}` must be a list of {count} numbers.")
    return [_number(source, f"{name}[{i}]", v, least) for i, v in enumerate(value)]


def _least_and_most(source: Path, name: str, value: Any) -> tuple[float, float]:
    least, most = _numbers(source, name, value, 2, least=1e-6)
    if least > most:
        raise LawFileError(f"{source}: `{name}` must be the least and the most (got {least:g} and {most:g}).")
    return least, most


def _parameters(source: Path, value: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    numbers = _numbers(source, "parameters", value, 5)
    bounded = zip(numbers, _MOST_PARAMETERS, strict=True)
    return np.array([_number(source, f"parameters[{i}]", v, -most, most) for i, (v, most) in enumerate(bounded)])


def _choice(source: Path, name: str, value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise LawFileError(f"{source}: `{name}` must be one of {', '.join(choices)} (got {value!r:.80}).")
    return str(value)


def _covariance(source: Path, value: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    if not isinstance(value, list) or len(value) != 5:
        raise LawFileError(f"{source}: `covariance` must be 5 lists of 5 numbers.")
    matrix = np.array([_numbers(source, f"covariance[{i}]", row, 5) for i, row in enumerate(value)])
    if not np.allclose(matrix, matrix.T, rtol=1e-6, atol=1e-12) or np.linalg.eigvalsh(matrix).min() < -1e-9 * max(
        float(np.abs(matrix).max()), 1e-300
    ):
        raise LawFileError(f"{source}: `covariance` must be symmetric and positive.")
    return matrix
