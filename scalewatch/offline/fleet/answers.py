"""What is answered about a fleet, as plain values for JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, TypedDict

from scalewatch.offline.fleet.columns import FleetRow
from scalewatch.offline.fleet.query import Fleet, Standing, Table

__all__ = ["CollectAnswer", "FleetAnswer", "SqlAnswer", "fleet_answer", "plain_rows"]


class FleetRun(FleetRow):
    """The newest row of a run, and what a clock says of it."""

    silent_seconds: Annotated[float | None, "Time since somebody wrote to its log, in seconds."]
    standing: Annotated[Standing, "What the clock says of it."]


class FleetAnswer(TypedDict):
    """Very many runs at once."""

    exit_code: Annotated[int, "0, or 1 if a run is lost or in trouble."]
    runs: Annotated[int, "How many there are."]
    sources: Annotated[int, "Folders that they were collected from."]
    looked: Annotated[dict[str, str], "Folder -> when it was last looked at, UTC."]
    unreadable: Annotated[int, "Logs that cannot be read."]
    states: Annotated[dict[str, int], "State -> runs."]
    standings: Annotated[dict[str, int], "What the clock says -> runs."]
    off_law: Annotated[int, "Runs that are off their law."]
    worst: Annotated[list[FleetRun], "Lost, in trouble or recovered, the worst first."]
    silent: Annotated[list[FleetRun], "Without a row for far longer than between two of theirs."]
    off_law_runs: Annotated[list[FleetRun], "Off their law, the farthest first."]


class SqlAnswer(TypedDict):
    """The answer to a question in SQL."""

    rows: Annotated[list[dict[str, Any]], "Column -> value; times as text, UTC."]


class CollectAnswer(TypedDict):
    """What a look at a folder found."""

    runs: Annotated[int, "Runs in all."]
    read: Annotated[int, "Those whose logs had changed."]
    unreadable: Annotated[int, "Of these, those that cannot be read."]
    gone: Annotated[int, "Logs that were there and are not."]
    dropped: Annotated[int, "Files of older looks that were taken away."]
    resumed: Annotated[int, "Runs of which new rows alone were read."]
    damaged: Annotated[int, "Runs of which what was kept to go on with was damaged: read from their start."]
    seconds: Annotated[float, "It took."]


def fleet_answer(fleet: Fleet, most: int) -> dict[str, Any]:
    """Return what `scalewatch fleet --json` prints, as a `FleetAnswer`; lists have `most` runs at most."""
    counts = fleet.counts()
    del counts["silent"]
    bad = counts["states"].get("lost") or counts["states"].get("in trouble")
    looked = {source: datetime.fromtimestamp(when, UTC).replace(tzinfo=None) for source, when in fleet.looked().items()}
    lists = {"worst": fleet.worst(most), "silent": fleet.silent(most), "off_law_runs": fleet.off_law(most)}
    about = {"looked": {source: _plain(when) for source, when in looked.items()}}
    return {"exit_code": 1 if bad else 0, **counts, **about, **{name: plain_rows(rows) for name, rows in lists.items()}}


def plain_rows(table: Table) -> list[dict[str, Any]]:
    """Return rows as JSON can hold them: what is no number, word or truth is a text."""
    return [{name: _plain(value) for name, value in row.items()} for row in table.records]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat() + "Z"
    return value if isinstance(value, float | int | str | bool | None) else str(value)
