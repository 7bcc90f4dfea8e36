"""`scalewatch replay --sarif`: what was found and what was not checked, as code scanning takes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from scalewatch.kinds import KINDS
from scalewatch.logs import open_logs
from scalewatch.offline.replayed import Settings, summary, watch_all
from scalewatch.offline.sarif import sarif_of

model = pytest.importorskip("pydantic_sarif.model")


def table(path: Path, last: str = "3.0", more: str = "") -> None:
    """A run in CSV, whose last ten losses are `last`."""
    head = "step,loss" + (",grad_norm" if more else "")
    rows = [f"{i},{3.0 + 0.01 * (i % 3) if i < 90 else last}{more}" for i in range(1, 100)]
    path.write_text(head + "\n" + "\n".join(rows) + "\n")


@pytest.fixture
def made(tmp_path: Path) -> Callable[[], dict[str, Any]]:
    """What is told of the logs in a folder, read back by the schema of SARIF 2.1.0, which knows no other field."""

    def make(code: int = 1) -> dict[str, Any]:
        opened = open_logs([tmp_path])
        told = sarif_of(watch_all(opened, Settings()), opened, code, tmp_path)
        model.StaticAnalysisResultsFormatSarifVersion210JsonSchema.model_validate(told)
        return json.loads(json.dumps(told, allow_nan=False))  # type: ignore[no-any-return]

    return make


def run_of(told: dict[str, Any]) -> dict[str, Any]:
    """The one run of a SARIF log."""
    (run,) = told["runs"]
    return dict(run)


def test_each_incident_is_one_result_with_its_rule(tmp_path: Path, made: Callable[..., Any]) -> None:
    """At the worst that it came to; one that was seen before has the same fingerprint."""
    table(tmp_path / "broken.csv", "nan")
    table(tmp_path / "fine.csv")
    run = run_of(made())
    (result,) = [each for each in run["results"] if each["level"] == "error"]
    rules = run["tool"]["driver"]["rules"]

    assert "nonfinite" == result["ruleId"] == rules[result["ruleIndex"]]["id"]
    assert "broken.csv" == result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert result["message"]["text"].startswith("broken: step ")
    assert 90 == result["properties"]["startStep"]
    assert (
        result["partialFingerprints"]
        == next(e for e in run_of(made())["results"] if e["level"] == "error")["partialFingerprints"]
    )


def test_its_results_are_the_incidents_that_replay_tells(tmp_path: Path, made: Callable[..., Any]) -> None:
    """No more and no fewer, with their severity as a level."""
    table(tmp_path / "broken.csv", "nan")
    table(tmp_path / "higher.csv", "9.0")
    levels = {"info": "note", "warning": "warning", "critical": "error"}
    told = [
        (finding["kind"], finding["start_step"], levels[finding["severity"]])
        for run in map(summary, watch_all(open_logs([tmp_path]), Settings()))
        for finding in run["findings"]
        if finding["phase"] != "closed"
    ]
    results = [(each["ruleId"], each["properties"]["startStep"], each["level"]) for each in run_of(made())["results"]]

    assert {(kind, start) for kind, start, _ in told} == {(kind, start) for kind, start, _ in results}
    assert len(results) == len({(kind, start) for kind, start, _ in results})
    assert set(results) <= set(told)


def test_what_was_not_checked_is_listed_with_its_reason(tmp_path: Path, made: Callable[..., Any]) -> None:
    """What a log lacks, what no log shows, a law that was not given; and what it has is not on the list."""
    table(tmp_path / "without.csv")
    table(tmp_path / "with.csv", more=",1.0")
    (invocation,) = run_of(made())["invocations"]
    notes = [
        (note.get("associatedRule", {}).get("id"), note["message"]["text"])
        for note in invocation["toolConfigurationNotifications"]
    ]

    def of(name: str) -> set[str]:
        return {rule for rule, text in notes if text.startswith(f"{name}: ") and rule}

    assert {"grad_norm", "validation", "off_law", "better_than_law"} <= of("without")
    assert of("without") - of("with") == {row.kind for row in KINDS.values() if row.needs == "grad_norm"}
    assert "the log has no gradient norm" in next(text for rule, text in notes if rule == "grad_norm")
    assert {"stalled", "gone"} <= {rule for rule, _ in notes}
    assert not {"spike", "divergence", "nonfinite"} & {rule for rule, _ in notes}


def test_a_run_that_cannot_be_judged_and_a_log_that_cannot_be_read_are_told(
    tmp_path: Path, made: Callable[..., Any]
) -> None:
    """They would else look as if nothing had been found."""
    table(tmp_path / "fine.csv")
    (tmp_path / "short one.csv").write_text("step,loss\n1,3.0\n2,2.9\n")
    (tmp_path / "damaged.parquet").write_text("no parquet")
    (invocation,) = run_of(made(0))["invocations"]
    unread, unjudged = (
        [note for note in invocation[f"tool{part}Notifications"] if note["level"] in ("error", "warning")]
        for part in ("Execution", "Configuration")
    )

    assert not invocation["executionSuccessful"]
    assert ["damaged.parquet"] == [n["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for n in unread]
    assert "short one: whether it is healthy cannot tell" in unjudged[0]["message"]["text"]
    assert "short one.csv" == unquote(unjudged[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
