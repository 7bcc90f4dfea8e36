"""Places that a run is logged to: which are known, and that one takes nothing from another."""

from __future__ import annotations

import csv
import json
import logging
import sys
import threading
import time
import types
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.loggers import CSVLogger
from torch.utils.tensorboard import SummaryWriter

from scalewatch.finding import Finding, Kind, Severity
from scalewatch.forecast import Forecast, Forecaster
from scalewatch.observation import Observation
from scalewatch_torch import Watcher
from scalewatch_torch.loggers.base import FINAL, AbstractLogger, Incident
from scalewatch_torch.loggers.board import MAX_INCIDENTS, Board
from scalewatch_torch.loggers.table import LOGGERS, loggers_of


class Place(AbstractLogger):
    """Keeps what it is given; one that is broken raises."""

    def __init__(self, name: str = "place", *, broken: bool = False) -> None:
        self.name = name  # type: ignore[misc]
        self.broken = broken
        self.given: list[Any] = []

    @classmethod
    def of(cls, thing: Any) -> None:
        return None

    def _take(self, what: Any) -> None:
        if self.broken:
            raise ConnectionError("no server")
        self.given.append(what)

    def point(self, step: int, values: Mapping[str, float]) -> None:
        self._take((step, dict(values)))

    def incident(self, incident: Incident) -> None:
        self._take(incident)

    def text(self, tag: str, step: int, markdown: str) -> None:
        self._take((tag, step, markdown))

    def summary(self, step: int, values: Mapping[str, str | float]) -> None:
        self._take((step, dict(values)))

    def end(self, step: int, incidents: Sequence[Incident]) -> None:
        self._take(list(incidents))


def finding(step: int) -> Finding:
    """One that a monitor could make."""
    return Finding(Kind.SPIKE, Severity.WARNING, step, f"found at {step}", {})


def test_a_place_that_fails_takes_nothing_from_another(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, by its name, and is asked no more."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    broken, whole = Place("broken", broken=True), Place("whole")
    board = Board([broken, whole], 10)
    for step in (1, 2, 3):
        board.point(Observation(step, 1.0), None)
    board.drain()

    told = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert 3 == len(whole.given)
    assert 1 == len(told)
    assert "'broken' failed (ConnectionError: no server)" in told[0]
    assert {"broken"} == set(board.failed)


def test_the_table_of_the_end_is_bounded() -> None:
    """The newest findings of a run that flaps for days."""
    place = Place()
    board = Board([place], 10)
    for step in range(1, MAX_INCIDENTS + 3):
        board.finding(finding(step))
    board.end(1000)
    board.drain()

    table = place.given[-1]
    assert MAX_INCIDENTS == len(table)
    assert (MAX_INCIDENTS + 2, "warning", "spike") == table[-1][:3]


def test_a_place_that_hangs_holds_neither_the_loop_nor_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends while the place still hangs, and its table says so; the journal is whole."""
    let_go = threading.Event()

    class Hangs(Place):
        def point(self, step: int, values: Mapping[str, float]) -> None:
            let_go.wait()

    monkeypatch.setattr("scalewatch_torch.watching.loop.loggers_of", lambda things: [Hangs()])
    monkeypatch.setattr("scalewatch_torch.watching.session.CLOSE_SECONDS", 0.5)
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    try:
        with Watcher(model, optimizer, total_steps=5, directory=tmp_path, loggers=["any"], quiet=True) as watcher:
            for _ in range(5):
                loss = model(torch.ones(3, 2)).square().mean()
                loss.backward()
                optimizer.step()
                watcher.step(loss)
        journal = "".join(file.read_text() for file in tmp_path.glob("journal-*.jsonl"))
    finally:
        let_go.set()

    assert '"verdict"' in journal


def test_forecasts_that_are_drawn_take_their_share_of_the_time_and_no_more() -> None:
    """Where each takes long, most are not made; the last is, and stands in the summary."""
    place, made = Place(), []

    def make(step: int) -> dict[str, float]:
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            pass
        made.append(step)
        return {FINAL: float(step)}

    board = Board([place], 24)
    for step in range(1, 25):
        board.point(Observation(step, 1.0), None, partial(make, step))
        board.drain()
    board.summary(24, {"steps": "24 of 24"}, with_forecast=True)
    board.drain()

    points = [values for _, values in place.given if FINAL in values]
    assert 1 == made[0]
    assert 24 == made[-1]
    assert len(made) <= 4
    assert 25 == len(points)
    assert (24, {"steps": "24 of 24", "forecast_final_loss": 24.0}) == place.given[-1]


def test_the_loop_makes_no_forecast_itself_and_each_place_has_one_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are drawn and told on the way are made in other threads, from the curve as it stood then."""
    real, makers = Forecaster.forecast, []

    def noted(forecaster: Forecaster) -> Forecast | None:
        makers.append((threading.current_thread(), forecaster.blocks.last_step))
        return real(forecaster)

    monkeypatch.setattr(Forecaster, "forecast", noted)
    place = Place()
    monkeypatch.setattr("scalewatch_torch.watching.loop.loggers_of", lambda things: [place])
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watcher(model, optimizer, total_steps=200, directory=tmp_path, loggers=["any"], quiet=True) as watcher:
        for step in range(1, 201):
            model.weight.grad = torch.zeros(1, 1)
            optimizer.step()
            watcher.step(torch.tensor(2.0 + 3.0 * step**-0.4))
        in_loop = [step for thread, step in makers if thread is threading.main_thread() and step > 0]
    journal = "".join(file.read_text() for file in tmp_path.glob("journal-*.jsonl"))
    told = [json.loads(line[line.index("{") :])["step"] for line in journal.splitlines() if '"type":"forecast"' in line]
    numbers = [given[1] for given in place.given if isinstance(given, tuple) and isinstance(given[1], dict)]
    drawn = [values[FINAL] for values in numbers if FINAL in values]
    summary = next(values for values in numbers if "forecast_final_loss" in values)

    assert [] == in_loop
    assert {100, 140, 180} <= {*told}
    assert drawn[-1] == summary["forecast_final_loss"]
    assert 200 - 200 // 24 <= max(step for _, step in makers)


def test_what_a_loop_logs_to_is_known_by_its_class(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A writer of torch and a logger of Fabric are; a string and a dictionary are none, and no matter."""
    known = [SummaryWriter(tmp_path / "events"), CSVLogger(tmp_path, name="csv")]

    found = loggers_of([known[0], "events", {}, known[1], None])

    assert ["TensorBoard", "CSV"] == [logger.name for logger in found]
    assert [] == caplog.records
    known[0].close()


def test_a_loop_in_fabric_logs_into_a_file(tmp_path: Path) -> None:
    """Its numbers, and how the run ended, beside the file of its logger."""
    logger = CSVLogger(tmp_path, name="csv", version="run")
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watcher(model, optimizer, total_steps=5, directory=tmp_path, loggers=[logger], quiet=True) as watcher:
        for step in range(5):
            loss = model(torch.ones(3, 2)).square().mean()
            loss.backward()
            optimizer.step()
            watcher.step(loss)
            logger.log_metrics({"mine": loss.item()}, step)
    logger.save()

    with (tmp_path / "csv" / "run" / "scalewatch.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert ["1", "2", "3", "4", "5"] == [row["step"] for row in rows if row["name"] == "loss"]
    assert ["as planned"] == [row["text"] for row in rows if row["name"] == "ended"]


@pytest.mark.parametrize("place", LOGGERS)
def test_a_place_says_nothing_of_what_is_not_its_own(place: type[AbstractLogger]) -> None:
    """Whatever a trainer may hold among its loggers."""
    assert [None] * 5 == [place.of(thing) for thing in (None, 7, "runs", object(), torch.nn.Linear(1, 1))]


def test_each_place_has_a_name_of_its_own() -> None:
    """By which its faults are told."""
    assert len(LOGGERS) == len({place.name for place in LOGGERS})


def test_a_run_that_counts_rows_as_steps_gets_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """At its end; by a stand-in, for trackio's package does not go with what is pinned here."""

    class Run:
        def __init__(self) -> None:
            self.rows: list[dict[str, Any]] = []

        def log(self, row: dict[str, Any]) -> None:
            self.rows.append(row)

    Run.__module__ = "trackio.run"
    monkeypatch.setitem(sys.modules, "trackio", types.SimpleNamespace(Markdown=str))
    run = Run()
    board = Board(loggers_of([run]), 10)
    for step in (1, 2):
        board.point(Observation(step, 1.0), None, lambda: {"scalewatch/forecast_final_loss": 0.5})
    board.text("verdict", 2, "| a |")
    board.summary(2, {"status": "over", "steps": "2 of 2"})
    board.drain()
    before = list(run.rows)
    board.end(2)
    board.drain()

    assert [] == before
    assert [
        {
            "scalewatch/loss": 1.0,
            "scalewatch/forecast_final_loss": 0.5,
            "scalewatch/step": 2,
            "scalewatch/verdict": "| a |",
            "scalewatch/status": "over",
        }
    ] == run.rows
