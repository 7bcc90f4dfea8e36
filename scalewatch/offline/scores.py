"""What became of registered predictions: each with its outcome, and how calibrated they are together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from scalewatch.errors import ConfigError, JournalError, LawFileError, LogError
from scalewatch.forecast.pinball_loss import pinball
from scalewatch.forecast.prediction_file import KIND, Prediction, read_prediction
from scalewatch.forecast.preregistered import BaselineForecast
from scalewatch.journal.reader import read_journal
from scalewatch.monitor import Monitor
from scalewatch.observation import Observation
from scalewatch.offline.journals import PATTERN
from scalewatch.run import Run

__all__ = ["Score", "Scores", "score_folder"]

#: Level of the interval that is kept with a prediction, and the levels that it stands for (forecast/registration.py).
LEVEL, LOW, MIDDLE, HIGH = 0.8, 0.1, 0.5, 0.9
#: Letters of a file by which a prediction is told from other JSON without reading it whole. By hand.
HEAD_LETTERS = 200


@final
@dataclass(frozen=True, slots=True)
class Score:
    """One registered prediction and what came.

    Attributes:
        name: of the run. path: of the prediction, or of the journal of a run that registered it as it began.
        fingerprint: of the file, "" of one that was made as the run began. made_unix_s: when; None if unknown.
        said, low, high: median of the final loss and its 80 % interval [nats/token].
        outcome: final loss [nats/token]; None while the run has not come to its planned end.
    """

    name: str
    path: Path
    fingerprint: str
    made_unix_s: float | None
    said: float
    low: float
    high: float
    outcome: float | None

    @property
    def inside(self) -> bool | None:
        """Whether the outcome lay in the 80 % interval; None while there is none."""
        return None if self.outcome is None else self.low <= self.outcome <= self.high

    @property
    def error_percent(self) -> float | None:
        """What was said over what came, less 1 [%]; None while there is none."""
        return None if not self.outcome else 100.0 * (self.said / self.outcome - 1.0)

    @property
    def pinball(self) -> float | None:
        """Mean pinball loss of the median and both ends of the interval [nats/token]; None while there is none."""
        if self.outcome is None:
            return None
        return pinball(self.outcome, {LOW: self.low, MIDDLE: self.said, HIGH: self.high})


@final
@dataclass(frozen=True, slots=True)
class Scores:
    """The record of all registered predictions below a folder.

    Attributes:
        rows: the newest prediction last. unreadable: what could not be read or was changed, a sentence each.
    """

    rows: tuple[Score, ...]
    unreadable: tuple[str, ...]

    @property
    def ended(self) -> tuple[Score, ...]:
        """Those whose run has ended."""
        return tuple(row for row in self.rows if row.outcome is not None)

    def mean(self, of: str) -> float | None:
        """Return the mean of an attribute of the ended ones; None if there is none."""
        values = [float(value) for row in self.ended if (value := getattr(row, of)) is not None]
        return sum(values) / len(values) if values else None


def score_folder(folder: Path) -> Scores:
    """Return every registered prediction below `folder` with its outcome.

    A prediction file belongs to the run whose journal names its fingerprint. A run that was held against a law without
    a file registered its prediction in its journal when it began, and that is scored too.

    Raises:
        LogError: if there is no such folder.
    """
    if not folder.is_dir():
        raise LogError(f"{str(folder)!a} is no folder.")
    unreadable: list[str] = []
    files = list(_files(folder, unreadable))
    runs = list(_journals(folder, unreadable))
    rows, seen = [], set()
    for path, prediction in files:
        held = [
            (run, baseline, end) for _, run, baseline, end in runs if baseline.registered_as == prediction.fingerprint
        ]
        seen.add(prediction.fingerprint)
        outcome = next((end for _, _, end in held if end is not None), None)
        rows.append(_score(prediction.name, path, prediction.baseline, prediction.made_unix_s, outcome))
    rows += [
        _score(run.name, path, baseline, None, end)
        for path, run, baseline, end in runs
        if baseline.registered_as not in seen
    ]
    rows.sort(key=lambda row: (row.made_unix_s is None, row.made_unix_s or 0.0, row.name))
    return Scores(tuple(rows), tuple(unreadable))


def _score(name: str, path: Path, baseline: BaselineForecast, made: float | None, outcome: float | None) -> Score:
    known = (baseline.final_loss, baseline.low, baseline.high)
    return Score(name, path, baseline.registered_as, made, *known, outcome)


def _files(folder: Path, unreadable: list[str]) -> Iterator[tuple[Path, Prediction]]:
    for path in sorted(folder.rglob("*.json")):
        if not _is_prediction(path):
            continue
        try:
            yield path, read_prediction(path)
        except LawFileError as fault:
            unreadable.append(str(fault))


def _is_prediction(path: Path) -> bool:
    try:
        with path.open("rb") as source:
            return path.is_file() and f'"{KIND}"'.encode() in source.read(HEAD_LETTERS)
    except OSError:
        return False


def _journals(folder: Path, unreadable: list[str]) -> Iterator[tuple[Path, Run, BaselineForecast, float | None]]:
    for path in sorted({segment.parent for segment in folder.rglob(PATTERN)}):
        try:
            journal = read_journal(path)
            if journal.registered is None or journal.run is None:
                continue
            baseline = BaselineForecast.from_record(journal.registered)
        except (JournalError, ConfigError) as fault:
            unreadable.append(f"{path}: {fault}")
            continue
        yield path, journal.run, baseline, _end(journal.run, baseline, journal.observations)


def _end(run: Run, baseline: BaselineForecast, rows: Sequence[Observation]) -> float | None:
    """The final loss as every screen has it; None before the planned end."""
    if run.total_steps != baseline.total_steps:
        return None
    monitor = Monitor(Run(run.name, total_steps=run.total_steps))
    for row in rows:
        monitor.observe(row)
    end = monitor.verdict().final_loss
    return end if end is not None and math.isfinite(end) else None
