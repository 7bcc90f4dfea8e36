"""Law files: a fitted law as JSON, read with suspicion.

A law file may come from a colleague or a download, so it is data and nothing else: one object of known
fields, finite numbers within range, of bounded size and depth. What is wrong is said with file, field and
reason.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from scalewatch.errors import LawFileError
from scalewatch.laws.curve_law import CurveLaw
from scalewatch.strict_json import (
    check_fields,
    choice,
    fields_within,
    least_and_most,
    numbers,
    numbers_within,
    read_record,
    sentences,
    write_record,
)

__all__ = ["law_from", "law_record", "load_law", "save_law"]

SCHEMA = 1
KIND = "annealing_curve_law"

#: (ln E, ln K, a, ln A, b) -> (least, most): no loss or exponent of a law lies beyond.
_PARAMETER_RANGES = ((-100.0, 100.0), (-100.0, 100.0), (-10.0, 10.0), (-100.0, 100.0), (-10.0, 10.0))
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
    write_record(law_record(law), path)


def law_record(law: CurveLaw) -> dict[str, Any]:
    """Return `law` as plain numbers, words and lists, for a law file or a journal."""
    record: dict[str, Any] = {"schema": SCHEMA, "kind": KIND}
    record.update({name: getattr(law, name) for name in _RANGES})
    record.update(walk_unit=law.walk_unit, size_kind=law.size_kind)
    record.update(parameters=law.parameters.tolist(), covariance=law.covariance.tolist())
    record.update(sizes=list(law.sizes), walks=list(law.walks), left_out=list(law.left_out))
    return record


def load_law(path: str | os.PathLike[str]) -> CurveLaw:
    """Read the law that `save_law` wrote.

    Raises:
        LawFileError: if the file cannot be read or is no law file; the message names file, field and reason.
    """
    source = Path(path)
    return law_from(read_record(source), source)


def law_from(record: dict[str, Any], source: Path) -> CurveLaw:
    """Return the law that `law_record` described.

    Args:
        record: with all of its fields. source: where it stands, for the message.

    Raises:
        LawFileError: if it is no law; the message names source, field and reason.
    """
    check_fields(source, record, KIND, SCHEMA, {*_RANGES, *_OTHERS})
    values = fields_within(source, record, _RANGES)
    return CurveLaw(
        **{**values, "runs": int(values["runs"])},  # type: ignore[arg-type]
        walk_unit=cast(Literal["tokens", "steps"], choice(source, "walk_unit", record["walk_unit"], _UNITS)),
        size_kind=cast(
            Literal["total", "non_embedding", "none"], choice(source, "size_kind", record["size_kind"], _SIZES)
        ),
        parameters=np.array(numbers_within(source, "parameters", record["parameters"], _PARAMETER_RANGES)),
        covariance=_covariance(source, record["covariance"]),
        sizes=least_and_most(source, "sizes", record["sizes"]),
        walks=least_and_most(source, "walks", record["walks"]),
        left_out=sentences(source, "left_out", record["left_out"]),
    )


def _covariance(source: Path, value: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    if not isinstance(value, list) or len(value) != 5:
        raise LawFileError(f"{source}: `covariance` must be 5 lists of 5 numbers.")
    matrix = np.array([numbers(source, f"covariance[{i}]", row, 5) for i, row in enumerate(value)])
    if not np.allclose(matrix, matrix.T, rtol=1e-6, atol=1e-12) or np.linalg.eigvalsh(matrix).min() < -1e-9 * max(
        float(np.abs(matrix).max()), 1e-300
    ):
        raise LawFileError(f"{source}: `covariance` must be symmetric and positive.")
    return matrix
