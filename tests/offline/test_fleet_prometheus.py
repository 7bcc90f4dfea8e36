"""What Prometheus is told of a fleet: over HTTP, as it scrapes it, and the dashboard and rules that are made for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("prometheus_client")
yaml = pytest.importorskip("yaml")

from prometheus_client.parser import text_string_to_metric_families  # noqa: E402

from scalewatch.offline.fleet import exporter  # noqa: E402
from scalewatch.offline.fleet.store import FleetStore  # noqa: E402
from tests.ports import free_port  # noqa: E402

FILES = Path(exporter.__file__).parent / "prometheus"
#: Name of a metric of ours in an expression.
METRIC = re.compile(r"\bscalewatch_[a-z_]+\b")


def fleet(folder: Path) -> FleetStore:
    """A made-up fleet: each state, a silent run, one that is over, one of last year, one that cannot be read."""
    now = datetime.now(UTC).replace(tzinfo=None)
    store = FleetStore(str(folder), "logs", named=True)
    states = {"lost": 3, "in trouble": 2, "recovered": 1, "healthy": 0}

    def row(name: str, state: str, minutes: float = 1.0, **more: Any) -> dict[str, Any]:
        which = {"run": name, "unit": name, "source": "logs", "look": now, "written": now - timedelta(minutes=minutes)}
        told = {"state": state, "rank": states.get(state, 0), "pages": states.get(state, 0), "total_steps": 1_000}
        return {**which, **told, "finished": False, "progress": 0.5, "loss": 1.25, "off_law": False, **more}

    ends = {"forecast": 2.0, "forecast_low": 1.9, "forecast_high": 2.2}
    rows = [
        *(row(state, state) for state in states),
        row("foretold", "healthy", law_gap_sigmas=-4.0, **ends),
        row('odd "name"\n', "healthy"),
        row("silent", "healthy", 60.0),
        row("done", "over", finished=True, final_loss=1.5),
        row("old", "lost", 60.0 * 24 * 300),
        row("broken", "cannot tell", unreadable="no table"),
    ]
    store.add(rows, (), now)
    store.note_look(now - timedelta(seconds=90), len(rows))
    return store


@pytest.fixture
def scraped(tmp_path: Path) -> Iterator[Callable[..., dict[str, dict[tuple[str, ...], float]]]]:
    """Serve the fleet of a folder and scrape it as Prometheus does: metric -> label values -> value."""
    servers = []

    def scrape(place: Path = tmp_path, most: int = 1_000) -> dict[str, dict[tuple[str, ...], float]]:
        port = free_port()
        servers.append(exporter.serve(str(place), "127.0.0.1", port, most))
        answer = build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}/metrics", timeout=60).read()
        families = text_string_to_metric_families(answer.decode())
        return {
            family.name: {
                tuple(sample.labels[label] for label in exporter.METRICS[family.name][1]): sample.value
                for sample in family.samples
            }
            for family in families
        }

    yield scrape
    for server in servers:
        server.shutdown()
        server.server_close()


def test_runs_that_go_on_are_told_with_state_and_forecast(tmp_path: Path, scraped: Callable[..., Any]) -> None:
    """State, silence, the interval of the end, the distance to the law; what has ended is counted, not told."""
    fleet(tmp_path)
    told = scraped()

    assert {
        ("logs", "lost", "lost"),
        ("logs", "in trouble", "in trouble"),
        ("logs", "recovered", "recovered"),
        ("logs", "healthy", "healthy"),
        ("logs", "foretold", "healthy"),
        ("logs", 'odd "name"\n', "healthy"),
        ("logs", "silent", "healthy"),
    } == {(labels[0], labels[1], labels[2]) for labels in told["scalewatch_run_state"]}
    assert 3.0 == told["scalewatch_run_severity"]["logs", "lost"]
    assert {"silent"} == {labels[1] for labels, value in told["scalewatch_run_silent"].items() if value}
    assert {"middle": 2.0, "low": 1.9, "high": 2.2} == {
        labels[2]: value for labels, value in told["scalewatch_run_final_loss_forecast"].items()
    }
    assert (1.0, -4.0) == (
        told["scalewatch_run_off_law"]["logs", "foretold"],
        told["scalewatch_run_law_gap_sigmas"]["logs", "foretold"],
    )
    assert 1.0 == told["scalewatch_fleet_runs"]["over", "over"]
    assert 1.0 == told["scalewatch_fleet_runs"]["lost", "gone"]
    assert 80.0 < told["scalewatch_fleet_look_age_seconds"]["logs",] < 400.0
    assert {(): 1.0} == told["scalewatch_up"] == told["scalewatch_fleet_unreadable_logs"]


def test_no_loss_of_a_run_is_told(tmp_path: Path, scraped: Callable[..., Any]) -> None:
    """Every run stands at 1.25 and one ended at 1.5: neither number is anywhere."""
    fleet(tmp_path)
    values = {value for samples in scraped().values() for value in samples.values()}

    assert not {1.25, 1.5} & values


def test_beyond_the_cap_the_worst_are_told_and_the_rest_is_counted(tmp_path: Path, scraped: Callable[..., Any]) -> None:
    """So that a fleet of any size makes no more series than somebody allowed."""
    fleet(tmp_path)
    told = scraped(most=2)

    assert {"lost", "in trouble"} == {labels[1] for labels in told["scalewatch_run_severity"]}
    assert {(): 5.0} == told["scalewatch_fleet_runs_left_out"]


def test_a_fleet_that_is_gone_is_told_and_one_that_comes_back_too(tmp_path: Path, scraped: Callable[..., Any]) -> None:
    """The endpoint answers in any case."""
    assert {"scalewatch_up": {(): 0.0}} == scraped(tmp_path / "nowhere")

    fleet(tmp_path / "nowhere")
    assert {(): 1.0} == scraped(tmp_path / "nowhere")["scalewatch_up"]


def expressions(part: Any) -> Iterator[str]:
    """Every text of a dashboard or of rules that asks Prometheus something."""
    if isinstance(part, dict):
        yield from (part[name] for name in ("expr", "definition") if isinstance(part.get(name), str))
        yield from (found for value in part.values() for found in expressions(value))
    elif isinstance(part, list):
        yield from (found for value in part for found in expressions(value))


def labels_of(told: dict[str, Any]) -> dict[str, set[str]]:
    """Metric -> names of its labels, as the exporter declares them."""
    return {name: set(exporter.METRICS[name][1]) for name in told}


@pytest.mark.parametrize("name", ["dashboard.json", "rules.yml"])
def test_every_metric_that_dashboard_and_rules_name_is_told(
    name: str, tmp_path: Path, scraped: Callable[..., Any]
) -> None:
    """With every label that they choose by, in what is really scraped."""
    fleet(tmp_path)
    told = scraped()
    text = (FILES / name).read_text("utf-8")
    asked = list(expressions(json.loads(text) if name.endswith("json") else yaml.safe_load(text)))

    assert len(asked) >= 7
    for expression in asked:
        names = set(METRIC.findall(expression))
        assert names, expression
        assert names <= told.keys(), expression
        for metric, chosen in re.findall(r"(scalewatch_[a-z_]+)\{([^}]*)\}", expression):
            assert set(re.findall(r"(\w+)=~?\"", chosen)) <= labels_of(told)[metric], expression
    assert told.keys() == set(exporter.METRICS)


def test_each_rule_fires_for_the_run_that_it_is_for(tmp_path: Path, scraped: Callable[..., Any]) -> None:
    """Each comparison with a number holds for one run at least of a fleet that has everything, and not for all."""
    fleet(tmp_path)
    told = scraped(most=6)
    rules = [
        rule for group in yaml.safe_load((FILES / "rules.yml").read_text("utf-8"))["groups"] for rule in group["rules"]
    ]
    fired = {}
    for rule in rules:
        assert {"alert", "expr", "labels", "annotations"} <= rule.keys()
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        compared = re.fullmatch(r"(scalewatch_\w+) (==|>) (\d+)", rule["expr"])
        if compared is not None:
            metric, sign, bar = compared.groups()
            holds = {"==": float(bar).__eq__, ">": float(bar).__lt__}[sign]
            fired[rule["alert"]] = {
                labels[1] for labels, value in told[metric].items() if len(labels) > 1 and holds(value)
            }

    assert {"lost"} == fired["ScalewatchRunLost"]
    assert {"in trouble"} == fired["ScalewatchRunInTrouble"]
    assert {"silent"} == fired["ScalewatchRunSilent"]
    assert {"foretold"} == fired["ScalewatchRunOffLaw"]


def test_the_dashboard_has_what_grafana_wants_of_one() -> None:
    """Panels of their own number, each in its place without lying over another, and each question with a letter."""
    board = json.loads((FILES / "dashboard.json").read_text("utf-8"))
    places = [panel["gridPos"] for panel in board["panels"]]

    assert {"title", "uid", "schemaVersion", "templating", "panels", "time"} <= board.keys()
    assert len(board["panels"]) == len({panel["id"] for panel in board["panels"]})
    assert all(place["x"] + place["w"] <= 24 for place in places)
    cells = [(p["x"] + x, p["y"] + y) for p in places for x in range(p["w"]) for y in range(p["h"])]
    assert len(cells) == len(set(cells))
    assert all(len({t["refId"] for t in panel["targets"]}) == len(panel["targets"]) for panel in board["panels"])
