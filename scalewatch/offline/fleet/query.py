"""A fleet asked with SQL: DuckDB over its parquet, with what a clock says of each run beside what its row says."""

from __future__ import annotations

import importlib
import json
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple, final

from scalewatch.errors import ConfigError, LogError
from scalewatch.offline.fleet.files import LOOKED, LocalFiles, RemoteFiles, files_of

__all__ = ["GONE_SECONDS", "Fleet", "Standing", "Table"]

#: A run that goes on writes a row again after so many times the time between two of its rows, and never sooner than
#: after so many seconds; one that was silent for longer than the last number was ended by somebody, and so may be one
#: whose planned end nobody knows. By hand.
SILENT_ROWS, SILENT_SECONDS, GONE_SECONDS = 20.0, 600.0, 7 * 86_400.0
#: Standard errors of the law and of the noise together from which on a run is listed as off its law, besides those of
#: which it was found while they ran. By hand.
OFF_LAW_SIGMAS = 3.0


@final
class Standing(StrEnum):
    """What the clock says of a run."""

    RUNNING = "running"
    SILENT = "silent"
    OVER = "over"
    GONE = "gone"
    UNREADABLE = "unreadable"


@final
class Table(NamedTuple):
    """The answer to a question: names of its columns, and rows of plain values."""

    columns: list[str]
    rows: list[tuple[Any, ...]]

    @property
    def records(self) -> list[dict[str, Any]]:
        """The rows by name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


_RUNS = """
create view runs as
select *, case
    when finished then 'over'
    when unreadable is not null then 'unreadable'
    when silent_seconds <= greatest({silent}, {rows} * coalesce(row_seconds, 0)) then 'running'
    when silent_seconds > {gone} or total_steps is null then 'gone'
    else 'silent'
  end as standing
from (select *, epoch(timestamp '{now}') - epoch(written) as silent_seconds
      from read_parquet({latest}) where run <> '')
"""

_WORST = """
select {columns} from runs where rank > 0
order by rank desc, case standing when 'running' then 0 when 'silent' then 1 when 'over' then 2 else 3 end,
  pages desc, first_page_step, source, run limit {most}
"""

_SILENT = """
select {columns} from runs where standing = 'silent' order by silent_seconds, source, run limit {most}
"""

_OFF_LAW = """
select {columns} from runs where off_law or abs(law_gap_sigmas) >= {sigmas}
order by off_law desc, abs(law_gap_sigmas) desc, source, run limit {most}
"""


@final
class Fleet:
    """The rows of a fleet, read-only.

    Args:
        place: of the fleet, a path or an address. now: time [s], UTC; None for now.

    Raises:
        ConfigError: if DuckDB is not installed.
        LogError: if nothing was collected there.
    """

    def __init__(self, place: str, now: float | None = None) -> None:
        try:
            self._duckdb = importlib.import_module("duckdb")
        except ImportError:
            raise ConfigError("A fleet is asked with DuckDB: pip install 'scalewatch[fleet]'.") from None
        self._files = files = files_of(place)
        if not any(name.endswith(".parquet") for name in files.names("latest")):
            raise LogError(f"{place}: holds no fleet; make one: scalewatch fleet collect LOGDIR -o {place}.")
        # nothing is installed or loaded from elsewhere
        told = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
        self._data = self._duckdb.connect(":memory:", config=told)
        top = ""
        if isinstance(files, LocalFiles):
            top = str(files.folder.absolute())
        elif isinstance(files, RemoteFiles):
            self._data.register_filesystem(files.system)
            protocol = files.system.protocol
            top = f"{protocol if isinstance(protocol, str) else protocol[0]}://{files.top.lstrip('/')}"
        moment = datetime.fromtimestamp(time.time() if now is None else now, UTC)
        values = {"gone": GONE_SECONDS, "silent": SILENT_SECONDS, "rows": SILENT_ROWS}
        latest, looks = (_text(f"{top}/{folder}/*.parquet") for folder in ("latest", "looks"))
        self._ask(_RUNS.format(latest=latest, now=f"{moment:%Y-%m-%d %H:%M:%S.%f}", **values))
        if any(name.endswith(".parquet") for name in files.names("looks")):
            self._ask(f"create view looks as select * from read_parquet({looks})")

    def ask(self, question: str) -> Table:
        """Return the answer to a question in SQL; `runs` has the newest row of each run, `looks` every row.

        Raises:
            ConfigError: if it is no such question, or more than one.
        """
        if re.search(r";\s*\S", question):
            raise ConfigError("`--sql` is one question.")
        return self._ask(question)

    def _ask(self, question: str) -> Table:
        try:
            answer = self._data.execute(question)
            columns = [column[0] for column in answer.description or ()]
            return Table(columns, answer.fetchall())
        except self._duckdb.Error as fault:
            raise ConfigError(f"DuckDB says: {str(fault).splitlines()[0]:.300}") from None

    def looked(self) -> dict[str, float]:
        """Return when each collected folder was looked at, whether or not something had changed [s], UTC."""
        found: dict[str, float] = {}
        for name in self._files.names(LOOKED):
            try:
                said = json.loads(self._files.read(f"{LOOKED}/{name}") or b"")
                found[str(said["source"])] = datetime.fromisoformat(said["look"]).replace(tzinfo=UTC).timestamp()
            except (ValueError, LookupError, TypeError):
                continue  # it is being written, or is none of ours
        return found

    def worst(self, most: int, columns: Sequence[str] = ("*",)) -> Table:
        """Return the runs that are lost, in trouble or recovered, the worst first, those that go on before others."""
        return self._ask(_WORST.format(columns=", ".join(columns), most=most))

    def silent(self, most: int, columns: Sequence[str] = ("*",)) -> Table:
        """Return the runs that should have written something and did not, those first that fell silent last."""
        return self._ask(_SILENT.format(columns=", ".join(columns), most=most))

    def off_law(self, most: int, columns: Sequence[str] = ("*",)) -> Table:
        """Return the runs that are off their law, the farthest first."""
        return self._ask(_OFF_LAW.format(columns=", ".join(columns), most=most, sigmas=OFF_LAW_SIGMAS))

    def counts(self) -> dict[str, Any]:
        """Return how many runs there are of each state and standing and off their law, and when was looked."""
        states = self._ask("select state, standing, count(*) from runs group by all").rows
        (told,) = self._ask(
            "select count(*), count(distinct source), count(unreadable), "
            f"count(*) filter (off_law or abs(law_gap_sigmas) >= {OFF_LAW_SIGMAS}), "
            "count(*) filter (standing = 'silent') from runs"
        ).rows
        names = ("runs", "sources", "unreadable", "off_law", "silent")
        by_state: dict[str, int] = {}
        by_standing: dict[str, int] = {}
        for state, standing, count in states:
            by_state[state] = by_state.get(state, 0) + count
            by_standing[standing] = by_standing.get(standing, 0) + count
        return {**dict(zip(names, told, strict=True)), "states": by_state, "standings": by_standing}


def _text(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("'", "''") + "'"
