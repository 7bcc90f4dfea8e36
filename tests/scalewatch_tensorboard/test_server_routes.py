"""What the server half answers over HTTP, and what it refuses: a real `tensorboard`, no browser."""

from __future__ import annotations

import csv
import io
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalewatch_tensorboard.server.plugin import DATA_ROUTES
from scalewatch_tensorboard.server.responses import MAX_ANSWER_BYTES
from scalewatch_tensorboard.server.static_files import static_table
from scalewatch_tensorboard.views.figures import FIGURES
from tests.scalewatch_tensorboard.browser import Board, settled, tensorboard
from tests.scalewatch_tensorboard.http import ask
from tests.scalewatch_tensorboard.logs import DONE, HOSTILE, SPIKE_STEP, TOTAL, event_log, losses_of, zoo


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A TensorBoard over one run of each kind, and one whose losses are not finite."""
    folder = tmp_path_factory.mktemp("zoo")
    law = zoo(folder)
    broken = losses_of(300, 300, 5)
    broken[[10, 20, 30]] = float("nan"), float("inf"), float("-inf")
    broken[200:] = float("nan")
    event_log(folder / "nan", broken)
    cache = tmp_path_factory.mktemp("cache")
    with tensorboard(folder, cache, "--scalewatch_law", str(law), bundled=False) as board:
        settled(board, 9)
        yield board.url


def test_every_run_is_told_with_its_state(url: str) -> None:
    """The overview holds each run under TensorBoard's own name, with progress, forecast and what is wrong."""
    answer = ask(url, "runs").json
    rows = {row["name"]: row for row in answer["runs"]}

    assert {"live", "old", "cut", "nan", HOSTILE, "ladder/2M"} <= set(rows)
    live, old = rows["live"], rows["old"]
    assert (live["source"], live["step"], live["total_steps"], live["progress"]) == ("journal", DONE, TOTAL, 0.5)
    assert live["forecast"]["low"] < live["forecast"]["final_loss"] < live["forecast"]["high"]
    assert (live["level"], live["incidents"]) == ("past", 1)
    assert (old["source"], old["step"], old["total_steps"], old["forecast"]) == ("event files", DONE, None, None)
    assert rows["nan"]["level"] == "lost"
    assert all(row["read"] == 1 and 0 < len(row["spark"]) <= 60 for row in rows.values())
    assert answer["law"] == "ladder.law.json"


def test_a_run_is_told_in_full(url: str) -> None:
    """Its plan, its findings, its detectors, what it was promised, and which axes it has."""
    live = ask(url, "run", run="live").json

    spike = next(f for f in live["findings"] if f["kind"] == "spike")
    assert abs(spike["start_step"] - SPIKE_STEP) <= 3
    assert live["planned"]["total_steps"] == TOTAL
    assert live["axes"] == ["steps", "tokens", "flops"]
    assert set(live["forecast"]["intervals"]) == {"50", "80", "95"}
    assert {"spike", "divergence", "nonfinite"} <= {d["name"] for d in live["detectors"]}
    assert all(d["looks_at"] and d["state"] in ("quiet", "open", "not measured") for d in live["detectors"])


def test_what_a_log_does_not_say_can_be_guessed(url: str) -> None:
    """An old log without a plan has no forecast; with the planned steps and the schedule it has one."""
    bare = ask(url, "run", run="old").json
    guessed = ask(url, "run", run="old", total_steps=TOTAL, schedule="cosine").json

    assert bare["forecast"] is None
    assert (guessed["planned"]["total_steps"], guessed["step"]) == (TOTAL, DONE)
    assert guessed["forecast"]["final_loss"] == pytest.approx(losses_of(TOTAL, TOTAL, 1)[-60:].mean(), rel=0.03)


@pytest.mark.parametrize("chart", sorted(FIGURES))
def test_every_chart_is_small_strict_json(url: str, chart: str) -> None:
    """A Vega-Lite specification, or a sentence that helps, for a run of each kind: finite numbers or null."""
    for run in ("live", "old", "nan", HOSTILE):
        reply = ask(url, "chart", chart=chart, run=run, total_steps=TOTAL)
        assert reply.status == 200, (run, reply.body[:300])
        assert reply.json.get("empty") or reply.json.get("$schema")
        assert len(reply.body) <= MAX_ANSWER_BYTES


def test_losses_that_are_no_numbers_stay_out_of_json(url: str) -> None:
    """NaN and infinity are null, in rows as in the page."""
    assert ask(url, "run", run="nan").json["level"] == "lost"
    rows = ask(url, "rows", run="nan").json["rows"]
    assert [row[1] for row in rows[10:31:10]] == [None, None, None]


def test_rows_can_be_taken_away(url: str) -> None:
    """As CSV of a window, with the numbers that were logged."""
    reply = ask(url, "rows", run="old", from_=101, to=200, format="csv")
    rows = list(csv.DictReader(io.StringIO(reply.body.decode())))

    assert reply.headers["content-type"].startswith("text/csv")
    assert reply.headers["content-disposition"] == 'attachment; filename="old.csv"'
    assert [int(row["step"]) for row in rows] == list(range(101, 201))
    assert float(rows[0]["loss"]) == pytest.approx(losses_of(TOTAL, DONE, 1)[100], rel=1e-6)


def test_a_file_name_is_made_of_letters(url: str) -> None:
    """Whatever a run is called, the name that a browser saves its rows under is harmless."""
    reply = ask(url, "rows", run=HOSTILE, format="csv")

    assert reply.headers["content-disposition"] == 'attachment; filename="img_src_x_onerror_alert_1.csv"'


def test_other_schedules_are_compared(url: str) -> None:
    """`whatif` tells where the run stands and where each schedule would end."""
    answer = ask(url, "whatif", run="live", decay=100).json

    assert answer["now"]["step"] == DONE
    assert all(each["low"] <= each["final_loss"] <= each["high"] for each in answer["outcomes"])


def test_the_front_end_is_served_by_exact_names(url: str) -> None:
    """Each module and the style sheet, and the Vega bundle, with a type that a browser runs and nosniff."""
    for route in (*static_table(), "/vega.js"):
        reply = ask(url, route[1:])
        kind = "text/css" if route.endswith(".css") else "text/javascript"
        assert (reply.status, reply.headers["x-content-type-options"]) == (200, "nosniff")
        assert reply.headers["content-type"].startswith(kind)
        assert len(reply.body) > 0


OUTSIDE = (
    *("..%2fplugin.py", "..%2f..%2f..%2fpyproject.toml", "%2e%2e/plugin.py", "..\\plugin.py", "../plugin.py"),
    *("static/../plugin.py", "static/../../plugin.py", "static2/", "static/index.js", "index.js/../plugin.py"),
    *("plugin.py", "index.js%00", "index.js%00.css", "/etc/passwd", "%2fetc%2fpasswd", "....//plugin.py"),
    *("index.js%2f..", "INDEX.JS", "index.js.", "__init__.py", "runs/..%2fplugin.py", "", "%5c..%5cplugin.py"),
)


@pytest.mark.parametrize("route", OUTSIDE)
def test_no_other_path_is_served(url: str, route: str) -> None:
    """TensorBoard's own list of ways out of a folder (#3134, #7115), and ours: none leads anywhere."""
    reply = ask(url, route)

    assert reply.status == 404
    assert b"TBPlugin" not in reply.body
    assert b"root:" not in reply.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("route", DATA_ROUTES)
def test_only_get_is_answered(url: str, route: str, method: str) -> None:
    """Nothing here changes anything, so no other method is known."""
    reply = ask(url, route[1:], method)

    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
    assert reply.json["error"].startswith("Only GET")


NAMES = ("nobody", "../old", "/etc", "old/", "old\0", "./old", "OLD", "old/../old", "é" * 100)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("route", ["run", "chart", "rows", "whatif"])
def test_a_run_is_looked_up_and_never_joined_to_a_path(url: str, route: str, name: str) -> None:
    """A name that is not in the list is not found, whatever it would be as a path."""
    reply = ask(url, route, run=name, chart="run")

    assert reply.status == 404
    assert "There is no run" in reply.json["error"]


@pytest.mark.parametrize(
    ("route", "parameters", "says"),
    [
        ("run", {}, "`run` must be the name of a run."),
        ("run", {"run": "x" * 513}, "512 characters"),
        ("run", {"run": "old", "y" * 513: "1"}, "512 characters"),
        ("run", {"run": ["old"] * 65}, "64 parameters"),
        ("chart", {"run": "old", "chart": "pie"}, "`chart` must be one of"),
        ("chart", {"run": "old", "chart": "run", "x": "miles"}, "`x` must be one of steps"),
        ("chart", {"run": "old", "chart": "run", "from": "nan"}, "`from` must be a finite number"),
        ("chart", {"run": "old", "chart": "run", "from": "5", "to": "5"}, "`from` must be below `to`"),
        ("chart", {"run": "old", "chart": "run", "to": "1e999"}, "`to` must be a finite number"),
        ("chart", {"run": "old", "chart": "run", "compare": [f"r{n}" for n in range(9)]}, "8 times"),
        ("chart", {"run": "old", "chart": "run", "total_steps": "-3"}, "`total_steps` must be a whole number"),
        ("chart", {"run": "old", "chart": "run", "total_steps": "2000001"}, "`total_steps` must be a whole number"),
        ("whatif", {"run": "live", "extend": "1e12"}, "`extend` must be a whole number from 1 to 2,000,000"),
        ("whatif", {"run": "live", "decay": "1e9"}, "`decay` must be a whole number from 1 to 2,000,000"),
        ("rows", {"run": "live", "from": "1e31"}, "`from` must be a finite number"),
        ("chart", {"run": "old", "chart": "run", "schedule": "zigzag"}, "`schedule` must be one of"),
        ("rows", {"run": "old", "format": "xml"}, "`format` must be one of csv, json"),
    ],
)
def test_a_wrong_parameter_is_refused_with_a_sentence(
    url: str, route: str, parameters: dict[str, object], says: str
) -> None:
    """It names the parameter, what it must be and what was got; the answer stays JSON."""
    reply = ask(url, route, **parameters)

    assert reply.status == 400
    assert says in reply.json["error"]
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_nothing_of_all_this_troubled_the_server(url: str) -> None:
    """After the whole list above it answers as before."""
    assert ask(url, "runs").status == 200


def test_the_tab_is_listed(url: str) -> None:
    """TensorBoard shows it, by our name and with our module."""
    with urllib.request.urlopen(f"{url}data/plugins_listing", timeout=30) as answer:
        listed = json.load(answer)["scalewatch"]

    assert (listed["enabled"], listed["tab_name"]) == (True, "ScaleWatch")
    assert listed["loading_mechanism"] == {"type": "IFRAME", "module_path": "/data/plugin/scalewatch/index.js"}


def test_two_hundred_runs_are_one_small_answer(tmp_path: Path) -> None:
    """And each has its row."""
    from tests.scalewatch_tensorboard.logs import many

    many(tmp_path / "logs", 200)
    with tensorboard(tmp_path / "logs", tmp_path / "cache") as board:
        settled(board, 200)
        reply = ask(board.url, "runs")

    assert len(reply.json["runs"]) == 200
    assert len(reply.body) <= MAX_ANSWER_BYTES


def test_a_law_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """The tab works without it, and says why there is none."""
    (tmp_path / "bad.json").write_text("{}")
    event_log(tmp_path / "logs" / "run", losses_of(100, 100, 0))
    board: Board
    with tensorboard(tmp_path / "logs", tmp_path / "cache", "--scalewatch_law", str(tmp_path / "bad.json")) as board:
        settled(board, 1)
        answer = ask(board.url, "runs").json

    assert "bad.json" in answer["law_trouble"]
    assert [row["name"] for row in answer["runs"]] == ["run"]
