"""Findings as SARIF 2.1.0, for code scanning: what was found in logs, and what was not checked there and why.

A kind of finding is a rule, an incident a result; what was not checked is a notification on the configuration of the
tool, with the rule that it is about, and a log that cannot be read one on its execution. A log has no lines by which
a step could be told: each location is the beginning of the file, and the step stands in message and properties.

Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0, 2020.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scalewatch import __version__
from scalewatch.finding import Finding, Kind, Phase, Severity
from scalewatch.kinds import KINDS, EventKind, KindRow, kind_row
from scalewatch.logs import Opened
from scalewatch.offline.replayed import ReplayedRun
from scalewatch.plain import to_plain
from scalewatch.status import State

__all__ = ["sarif_of"]

#: Where the schema of this form lies. By definition.
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.INFO: "note", Severity.WARNING: "warning", Severity.CRITICAL: "error"}
#: What a log of rows cannot show, and what is asked of a law alone.
_NOT_IN_ROWS = tuple(map(str, EventKind))
_OF_A_LAW = (Kind.OFF_LAW, Kind.BETTER_THAN_LAW)


def sarif_of(watched: Sequence[ReplayedRun], opened: Opened, code: int, base: Path) -> dict[str, Any]:
    """Return what was found as one SARIF log.

    Args:
        watched: runs that were read. opened: with what could not be read or was passed over. code: exit code.
        base: folder that the paths of logs below it are told from; others are whole addresses.
    """
    met = dict.fromkeys(str(finding.kind) for run in watched for finding in run.tracker.findings)
    rows = list({**KINDS, **{kind: kind_row(kind) for kind in met}}.values())
    places = {row.kind: place for place, row in enumerate(rows)}
    invocation = {
        "executionSuccessful": not opened.unreadable,
        "exitCode": code,
        "toolExecutionNotifications": list(_troubles(opened, base)),
        "toolConfigurationNotifications": [
            *_never_checked(rows, places),
            *(told for run in watched for told in _not_checked(run, rows, places, base)),
        ],
    }
    driver = {
        "name": "scalewatch",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [_rule(row) for row in rows],
    }
    results = [result for run in watched for result in _results(run, places, base)]
    run = {"tool": {"driver": driver}, "invocations": [invocation], "results": results, "columnKind": "utf16CodeUnits"}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(row: KindRow) -> dict[str, Any]:
    return {
        "id": row.kind,
        "name": "".join(part.capitalize() for part in row.kind.split("_")),
        "shortDescription": {"text": f"{row.firing[:1].upper()}{row.firing[1:]}"},
        "fullDescription": {"text": row.looks_at},
    }


def _results(run: ReplayedRun, places: Mapping[str, int], base: Path) -> Iterator[dict[str, Any]]:
    """One result an incident, at the worst that it came to."""
    incidents: dict[tuple[str, int], Finding] = {}
    for finding in run.tracker.findings:
        if finding.phase is Phase.CLOSED:
            continue
        key = str(finding.kind), finding.start_step
        before = incidents.get(key)
        if before is None or finding.severity.rank >= before.severity.rank:
            incidents[key] = finding
    for (kind, start), finding in incidents.items():
        known = f"{run.log.name}\n{kind}\n{start}".encode()
        yield {
            "ruleId": kind,
            "ruleIndex": places[kind],
            "kind": "fail",
            "level": _LEVELS[finding.severity],
            "message": {"text": f"{run.log.name}: step {finding.step:,}: {finding.message}"},
            "locations": [_location(run.log.path, base, run.log.name)],
            "partialFingerprints": {"incident/v1": hashlib.sha256(known).hexdigest()[:32]},
            "properties": {
                "step": finding.step,
                "startStep": start,
                "severity": str(finding.severity),
                "evidence": {name: _plain(value) for name, value in finding.evidence.items()},
            },
        }


def _never_checked(rows: Sequence[KindRow], places: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for row in rows:
        if row.kind in _NOT_IN_ROWS:
            why = "is no matter of the rows of a log: scalewatch alert watch, or alerts of the run itself, tell of it"
            yield _note(f"{row.name} was not checked: it {why}.", places[row.kind], row)


def _not_checked(
    run: ReplayedRun, rows: Sequence[KindRow], places: Mapping[str, int], base: Path
) -> Iterator[dict[str, Any]]:
    """What was not looked for in a run, and why."""
    name, tracker, where = run.log.name, run.tracker, _location(run.log.path, base, run.log.name)
    status = tracker.status
    if status.state is State.CANNOT_TELL:
        yield _note(f"{name}: whether it is healthy {status.sentence}.", None, None, where, "warning")
    for row in rows:
        if row.inputs in status.not_measured:
            yield _note(
                f"{name}: {row.name} was not checked: the log has no {row.inputs}.", places[row.kind], row, where
            )
        elif row.kind in _OF_A_LAW and tracker.monitor.law is None:
            why = "no law was given (--law)"
            yield _note(f"{name}: {row.name} was not checked: {why}.", places[row.kind], row, where)
    if tracker.no_forecast:
        yield _note(f"{name}: where it ends was not foretold: {tracker.no_forecast}.", None, None, where)
    if tracker.dropped:
        yield _note(f"{name}: {tracker.dropped:,} findings are left out here.", None, None, where, "warning")


def _troubles(opened: Opened, base: Path) -> Iterator[dict[str, Any]]:
    for no in opened.unreadable:
        yield _note(f"Not checked: {no.reason}", None, None, _location(no.path, base), "error")
    for line in opened.passed_over:
        yield _note(f"Not checked: {line}", None, None)


def _note(
    text: str, place: int | None, row: KindRow | None, where: Mapping[str, Any] | None = None, level: str = "note"
) -> dict[str, Any]:
    note: dict[str, Any] = {"level": level, "message": {"text": text}}
    if row is not None:
        note["associatedRule"] = {"id": row.kind, "index": place}
    return note if where is None else {**note, "locations": [where]}


def _location(path: Path, base: Path, run: str | None = None) -> dict[str, Any]:
    whole = _file_of(path.absolute())
    below = whole.relative_to(base.absolute()).as_posix() if whole.is_relative_to(base.absolute()) else None
    artifact = {"uri": whole.as_uri()} if below is None else {"uri": quote(below), "uriBaseId": "%SRCROOT%"}
    place: dict[str, Any] = {"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": 1}}}
    return place if run is None else {**place, "logicalLocations": [{"name": run, "kind": "run"}]}


def _file_of(path: Path) -> Path:
    """The file of a run: of one that is a folder, the first in it."""
    try:
        return next((file for file in sorted(path.iterdir()) if file.is_file()), path) if path.is_dir() else path
    except OSError:
        return path


def _plain(value: Any) -> Any:
    return to_plain(value) if not isinstance(value, float) or math.isfinite(value) else str(value)
