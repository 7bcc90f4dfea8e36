"""A log in a notebook: `scalewatch.load(LOG)` reads it as `scalewatch replay` does, and shows what was found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from scalewatch.advice import Advice
from scalewatch.charts import Picture, card
from scalewatch.charts.card import tone_of
from scalewatch.errors import ConfigError, LogError
from scalewatch.laws import CurveLaw, load_law
from scalewatch.logs import Opened, format_named
from scalewatch.offline.backtest import backtest
from scalewatch.offline.history import planned, read
from scalewatch.offline.replayed import ReplayedRun, Settings, notes, watch_all
from scalewatch.offline.run_picture import draw_run
from scalewatch.status import Status
from scalewatch.tracker import Tracker

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

    from scalewatch.forecast import Forecast
    from scalewatch.forecast.verdict import Verdict

__all__ = ["LoadedRun", "load", "load_all"]

Log = str | os.PathLike[str]
#: Names of runs that an error lists. By hand.
NAMES_TOLD = 4


@final
class LoadedRun:
    """A log that was read to its end under a monitor; a notebook shows it as a card.

    Attributes:
        tracker: the driver of its monitor: everything that a screen can say of the run.
    """

    def __init__(self, watched: ReplayedRun, settings: Settings) -> None:
        self.tracker: Tracker = watched.tracker
        self._watched, self._settings = watched, settings

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.tracker.monitor.run.name

    @property
    def status(self) -> Status:
        """How it stands: one of six states, and the same in a sentence."""
        return self.tracker.status

    @property
    def verdict(self) -> Verdict:
        """Its state in a few lines."""
        return self.tracker.verdict

    @property
    def advice(self) -> list[Advice]:
        """What to do now, the most urgent first."""
        return self.tracker.advice

    @property
    def notes(self) -> list[str]:
        """What is to be said about the reading of the log, a sentence each."""
        return notes(self._watched.log)

    @property
    def columns(self) -> dict[str, str]:
        """Field of an observation -> the log's name of it, so that a guess can be seen."""
        return dict(self._watched.log.columns)

    @property
    def steps(self) -> NDArray[np.float64]:
        """Steps of the rows with a finite loss, shape (n,); beyond 100,000 rows the extremes of each few are kept."""
        return np.array([] if self._watched.curve is None else self._watched.curve.steps)

    @property
    def losses(self) -> NDArray[np.float64]:
        """Losses of the same rows, shape (n,), in the unit of the log."""
        return np.array([] if self._watched.curve is None else self._watched.curve.losses)

    @property
    def findings(self) -> DataFrame:
        """What was found, a row each, oldest first; `tracker.findings` is the same as a list.

        Raises:
            ConfigError: if pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ConfigError(
                "A table of findings needs pandas: pip install 'scalewatch[notebook]'. As a list: run.tracker.findings."
            ) from None
        columns = ("step", "start_step", "kind", "severity", "phase", "message", "evidence")
        rows = [[_plain(getattr(finding, column)) for column in columns] for finding in self.tracker.findings]
        return pandas.DataFrame(rows, columns=list(columns))

    def forecast(self, at: float | None = None) -> Forecast | None:
        """Return where the run will end as of its last row, or what would have been said at a part of it.

        Args:
            at: part of the plan, above 0 and at most 1, such as 0.3; the log is read again, up to there. None: now.

        Returns:
            None if nothing can be said; `no_forecast` says why. A run that has ended has no forecast of now.

        Raises:
            ConfigError: if `at` is out of its range, or beyond the end of the log.
        """
        if at is None:
            return self.tracker.forecast
        if not 0.0 < at <= 1.0:
            raise ConfigError(f"`at` is a part of the run, above 0 and at most 1 (got {at!r:.40}), such as 0.3.")
        log = _one(self._settings.open([self._watched.log.path]), self._watched.log.path, self._watched.log.name)
        past = read(log, None)
        looked = backtest(past, planned(past, self._settings, None), self._settings, [at])
        if not looked.rows:
            raise ConfigError(f"`at` is beyond the end of the log, which ends at step {past.last_step:,} (got {at:g}).")
        return looked.rows[0].forecast

    @property
    def no_forecast(self) -> str:
        """Why there is no forecast, in words; "" if there is one, it is too early to say, or the run has ended."""
        return self.tracker.no_forecast

    def plot(self, *, log_x: bool = False) -> Picture:
        """Return its picture: loss, law, forecast, and what was worth a page.

        Args:
            log_x: a logarithmic axis of the steps.
        """
        return Picture(
            lambda dark: draw_run(self._watched, dark=dark, log_x=log_x),
            f"Loss against steps of {self.name}: {self.status.sentence}",
        )

    def _repr_html_(self) -> str:
        said = [f"{each.headline}: {each.reason}" for each in self.advice[:1]]
        rows = [(label, text) for label, text in self.verdict.rows() if label not in ("run", "health")]
        head = f"{self.name}: {self.status.sentence}"
        return card(
            head, said, draw=lambda dark: draw_run(self._watched, dark=dark), rows=rows, tone=tone_of(self.status)
        )

    def __repr__(self) -> str:
        return f"<LoadedRun {self.name!r}: {self.status.sentence}; {self.tracker.rows:,} rows>"


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value


def load(
    log: Log,
    *,
    law: CurveLaw | Log | None = None,
    total_steps: int | None = None,
    columns: Mapping[str, str] | None = None,
    form: str | None = None,
) -> LoadedRun:
    """Read one run of any log that `scalewatch replay` reads, under the monitor.

    Args:
        log: a file, or the folder of a run. law: of smaller runs, or its file, to hold the run against.
        total_steps: planned steps, where the log does not say.
        columns: field -> column, such as `{"loss": "train/ce"}`, where the guess is not right.
        form: name of the format, where the guess is not right.

    Raises:
        LogError: if it cannot be read, or holds several runs.
        ConfigError: if an option is out of its range. LawFileError: if the law cannot be read.
    """
    settings = _settings(law, total_steps, columns, form)
    opened = settings.open([Path(log)])
    if len(opened.logs) > 1:
        _one(opened, Path(log))
    return LoadedRun(watch_all(opened, settings, curve=True)[0], settings)


def load_all(
    log: Log,
    *,
    law: CurveLaw | Log | None = None,
    total_steps: int | None = None,
    columns: Mapping[str, str] | None = None,
    form: str | None = None,
) -> list[LoadedRun]:
    """Read every run of a folder, the worst first; what cannot be read is left out.

    Takes and raises what `load` does; it is refused only where no run can be read.
    """
    settings = _settings(law, total_steps, columns, form)
    return [LoadedRun(run, settings) for run in watch_all(settings.open([Path(log)]), settings, curve=True)]


def _settings(
    law: CurveLaw | Log | None, total_steps: int | None, columns: Mapping[str, str] | None, form: str | None
) -> Settings:
    if total_steps is not None and total_steps < 1:
        raise ConfigError(f"`total_steps` must be at least 1 (got {total_steps!r:.40}).")
    fitted = law if law is None or isinstance(law, CurveLaw) else load_law(law)
    return Settings(fitted, total_steps, dict(columns or {}), None if form is None else format_named(form))


def _one(opened: Opened, path: Path, name: str | None = None) -> Any:
    """The log of one run: the only one, or the one of a name."""
    found = [log for log in opened.logs if name is None or log.name == name] or opened.logs
    if len(found) == 1:
        return found[0]
    if not found:
        raise LogError(opened.unreadable[0].reason if opened.unreadable else f"{path}: there is no log.")
    told = ", ".join(log.name for log in found[:NAMES_TOLD]) + (", ..." if len(found) > NAMES_TOLD else "")
    raise LogError(f"{path} holds {len(found)} runs ({told}): name one of them, or use scalewatch.load_all.")
