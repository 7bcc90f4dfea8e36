"""A prediction as a file: made and dated before the run, held against the run, scored when it has ended.

The file holds the law that it was made by, what was assumed of the run, how much each assumption moves the prediction,
and a fingerprint of all of that: whoever publishes the fingerprint beforehand cannot change the prediction afterwards.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, final

from scalewatch.errors import ConfigError, LawFileError
from scalewatch.forecast.preregistered import BaselineForecast
from scalewatch.laws import CurveLaw
from scalewatch.shown import card_of
from scalewatch.strict_json import check_fields, number, read_record, sentences, write_record

__all__ = ["KIND", "Assumption", "Prediction", "read_prediction", "write_prediction"]

#: What such a file calls itself, and the version of its form. By definition.
KIND, SCHEMA = "registered_prediction", 1
_FIELDS = ("kind", "schema", "made_unix_s", "run", "assumptions", "notes", "law", "baseline", "fingerprint")
#: Latest time that a file may name: the year 9999 [s since 1970].
LATEST = 253_402_300_799.0
#: Most assumptions of a file. By hand.
MOST_ASSUMPTIONS = 100


@final
@dataclass(frozen=True, slots=True)
class Assumption:
    """One thing that was assumed, and what another choice of it would make of the prediction.

    Attributes:
        name: of it, such as "schedule". value: as assumed, in words. instead: the other choice, in words.
        moves: by how much the predicted final loss would be higher [nats/token].
    """

    name: str
    value: str
    instead: str
    moves: float


@final
@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """A registered prediction of a run's final loss.

    Attributes:
        run: what was said of the run: name, total_steps, parameters, tokens_per_step, schedule, peak_rate and so on.
        baseline: what is expected of the whole run, with its fingerprint. law: that it was made by.
        assumptions: and how much each moves it. notes: what lies outside the law's range, a sentence each.
        made_unix_s: when it was made, seconds since 1970.
    """

    run: Mapping[str, Any]
    baseline: BaselineForecast
    law: CurveLaw
    assumptions: tuple[Assumption, ...]
    notes: tuple[str, ...]
    made_unix_s: float

    _repr_html_ = card_of

    @property
    def name(self) -> str:
        """What the run is called."""
        return str(self.run.get("name", ""))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything else in the file, in hexadecimal."""
        return self.baseline.registered_as

    def record(self) -> dict[str, Any]:
        """Return it as plain numbers, strings, lists and dicts."""
        return {
            "kind": KIND,
            "schema": SCHEMA,
            "made_unix_s": self.made_unix_s,
            "run": dict(self.run),
            "assumptions": [asdict(each) for each in self.assumptions],
            "notes": list(self.notes),
            "law": self.law.to_json(),
            "baseline": {**self.baseline.record(), "registered_as": ""},
            "fingerprint": self.fingerprint,
        }

    def sealed(self) -> Prediction:
        """Return it with its fingerprint."""
        return replace(self, baseline=replace(self.baseline, registered_as=_fingerprint(self.record())))


def write_prediction(prediction: Prediction, path: str | os.PathLike[str]) -> None:
    """Write a prediction to `path` as JSON; the file appears whole or not at all.

    Raises:
        LawFileError: if it cannot be written.
    """
    write_record(prediction.record(), path)


def read_prediction(path: str | os.PathLike[str]) -> Prediction:
    """Read what `write_prediction` wrote.

    Raises:
        LawFileError: if it cannot be read, is no prediction, or was changed after it was made.
    """
    source = Path(path)
    record = read_record(source)
    check_fields(source, record, KIND, SCHEMA, _FIELDS)
    if record["fingerprint"] != _fingerprint(record):
        raise LawFileError(f"{source}: the prediction was changed after it was made: its fingerprint is of another.")
    if not isinstance(record["run"], dict) or not isinstance(record["baseline"], dict):
        raise LawFileError(f"{source}: `run` and `baseline` must be objects.")
    if not isinstance(record["law"], dict):
        raise LawFileError(f"{source}: `law` must be an object.")
    try:
        baseline = BaselineForecast.from_record({**record["baseline"], "registered_as": record["fingerprint"]})
    except ConfigError as fault:
        raise LawFileError(f"{source}: `baseline`: {fault}") from None
    return Prediction(
        run=record["run"],
        baseline=baseline,
        law=CurveLaw.from_json(record["law"], source),
        assumptions=_assumptions(source, record["assumptions"]),
        notes=sentences(source, "notes", record["notes"]),
        made_unix_s=number(source, "made_unix_s", record["made_unix_s"], 0.0, LATEST),
    )


def _fingerprint(record: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in record.items() if name != "fingerprint"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _assumptions(source: Path, value: Any) -> tuple[Assumption, ...]:
    known = {"name", "value", "instead", "moves"}
    if not isinstance(value, list) or len(value) > MOST_ASSUMPTIONS:
        raise LawFileError(f"{source}: `assumptions` must be a list.")
    for each in value:
        if not isinstance(each, dict) or set(each) != known:
            raise LawFileError(f"{source}: each of `assumptions` must have name, value, instead and moves.")
    return tuple(
        Assumption(str(each["name"]), str(each["value"]), str(each["instead"]), number(source, "moves", each["moves"]))
        for each in value
    )
