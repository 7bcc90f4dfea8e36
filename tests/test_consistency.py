"""One run on every screen: the callback's table, replay, forecast, report, watch, the tab and the alert at its end."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from scalewatch.alert import Notification, Receiver, Rules, Status
from scalewatch.cli import main
from scalewatch.guard import Guard
from scalewatch.journal import read_journal
from scalewatch.observation import Observation
from scalewatch.run import Run
from scalewatch_tensorboard.views.overview import page_of
from scalewatch_torch.watching.options import Options
from scalewatch_torch.watching.session import Session
from scalewatch_torch.watching.terminal import Terminal
from tests.scalewatch_tensorboard.registries import registry_of
from tests.synthetic import TOKENS_PER_STEP, TrueLaw, cosine, fitted, noisy

TOTAL, SIZE = 600, 8_000_000
#: As wide as no table needs, so that no line is broken.
WIDE = "400"
LAW = fitted()

T = TypeVar("T")


class Pager(Receiver):
    """Keeps what it is sent."""

    name = "pager"

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Notification] = []

    def send(self, notification: Notification, timeout: float) -> None:
        del timeout
        self.sent.append(notification)


@dataclass(frozen=True)
class Watched:
    """A run as the callback left it: its journal, the rows of its table, what was paged at its end."""

    journal: Path
    rows: dict[str, str]
    advice: list[str]
    end: Notification

    @property
    def loss(self) -> str:
        """The loss that the table shows, its final one or the one now, with three decimals."""
        return (self.rows.get("final loss") or self.rows["loss now"]).split()[0]


def spoiled(losses: np.ndarray) -> np.ndarray:
    """The loss is a third higher from two thirds on."""
    return np.where(np.arange(len(losses)) >= 2 * TOTAL // 3, losses * 1.35, losses)


def watched(folder: Path, name: str) -> Watched:
    rates = cosine(TOTAL)
    losses = noisy(TrueLaw().losses(rates, SIZE), 0.01, 3)
    if name == "sabotaged":
        losses = spoiled(losses)
    steps = 2 * TOTAL // 3 if name == "cut_off" else TOTAL
    planned = None if name == "unplanned" else rates
    run = Run(name, TOTAL, planned, parameters=SIZE, tokens_per_step=TOKENS_PER_STEP)
    pager = Pager()
    session = Session(
        run,
        Options(None if name == "unplanned" else LAW, alerts=Rules.to(pager)),
        guard=Guard(),
        terminal=Terminal(None, quiet=True),
        folder=folder / name / "scalewatch",
        loggers=[],
        resumed=None,
    )
    session.begin()
    for step in range(1, steps + 1):
        session.observe(Observation(step, float(losses[step - 1]), float(rates[step - 1])))
    with pytest.MonkeyPatch.context() as patient:
        # a busy machine may take longer than training waits for it
        patient.setattr("scalewatch_torch.watching.session.ALERT_SECONDS", 60.0)
        patient.setattr("scalewatch_torch.watching.session.CLOSE_SECONDS", 60.0)
        session.close(steps, "as planned", [])
    journal = read_journal(folder / name / "scalewatch")
    (verdict,) = (record for record in journal.others if record.get("type") == "verdict")
    rows = [(str(label), str(text)) for label, text in verdict["rows"]]
    advice = [text for label, text in rows if label == "advice"]
    end = next(sent for sent in reversed(pager.sent) if sent.status is Status.ENDED)
    return Watched(folder / name / "scalewatch", dict(rows), advice, end)


NAMES = ("healthy", "sabotaged", "cut_off", "unplanned")


class Made(dict[str, T]):
    """What is made of each run when it is first asked for."""

    def __init__(self, make: Callable[[str], T]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, name: str) -> T:
        self[name] = made = self._make(name)
        return made


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Watched]:
    folder = tmp_path_factory.mktemp("logs")
    return Made(lambda name: watched(folder, name))


@dataclass(frozen=True)
class Screens:
    """What each screen says of one run."""

    replay: dict[str, Any]
    replay_text: str
    forecast: dict[str, Any]
    report: str
    watch: str
    page: dict[str, Any]


def said(*arguments: object) -> str:
    """Run a command in this process; what it printed."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setenv("COLUMNS", WIDE)
        patch.setattr(sys, "argv", ["scalewatch", *map(str, arguments)])
        with pytest.raises(SystemExit):
            main()
    return printed.getvalue()


@pytest.fixture(scope="module")
def screens(runs: dict[str, Watched], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Screens]:
    folder = tmp_path_factory.mktemp("reports")
    return Made(lambda name: screens_of(runs[name], folder / f"{name}.html"))


def screens_of(run: Watched, report: Path) -> Screens:
    said("report", run.journal, "-o", report)
    (replayed,) = json.loads(said("replay", run.journal, "--json"))["runs"]
    (state,) = registry_of(run.journal.parent).runs()
    return Screens(
        replay=replayed,
        replay_text=squeezed(said("replay", run.journal)),
        forecast=json.loads(said("forecast", run.journal, "--json")),
        report=unescape(report.read_text()),
        watch=squeezed(said("watch", run.journal, "--once")),
        page=page_of(state),
    )


def squeezed(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", NAMES)
def test_every_screen_shows_the_same_status(runs: dict[str, Watched], screens: dict[str, Screens], name: str) -> None:
    """In the same words."""
    run, shown = runs[name], screens[name]
    health = run.rows["health"]

    assert health == shown.replay["verdict"]
    assert health == shown.page["headline"]
    assert health in run.end.headline
    assert health in shown.report
    assert health in shown.watch
    assert health in shown.replay_text


@pytest.mark.parametrize("name", NAMES)
def test_every_screen_shows_the_same_loss(runs: dict[str, Watched], screens: dict[str, Screens], name: str) -> None:
    """The mean of the last fiftieth of a run that has ended, and of the newest stretch of one that has not."""
    run, shown = runs[name], screens[name]
    ended = shown.forecast["final_loss"]

    assert run.loss == f"{shown.replay['loss']:.3f}"
    assert run.loss == f"{shown.page['last_loss']:.3f}"
    assert run.loss in dict(run.end.rows)["final loss" if "final loss" in run.rows else "loss now"]
    assert run.loss in shown.report
    assert run.loss in shown.replay_text
    assert (name == "cut_off") == (ended is None)
    assert ended == shown.replay["final_loss"] == shown.page["final_loss"]


@pytest.mark.parametrize("name", NAMES)
def test_every_screen_shows_the_same_findings_and_advice(
    runs: dict[str, Watched], screens: dict[str, Screens], name: str
) -> None:
    """Those that the journal holds, found anew from its rows."""
    run, told, page = runs[name], screens[name].replay, screens[name].page
    kept = [(str(f.kind), f.step, f.message) for f in read_journal(run.journal).findings]

    assert kept == [(f["kind"], f["step"], f["message"]) for f in told["findings"]]
    assert kept == [(f["kind"], f["step"], f["message"]) for f in page["findings"]]
    assert [a["reason"] for a in told["advice"]] == [a["reason"] for a in page["advice"] if a["current"]]
    assert len(run.advice) == len(told["advice"])
    assert all(a["reason"] in text for a, text in zip(told["advice"], run.advice, strict=True))
    assert (name == "sabotaged") == bool([f for f in told["findings"] if f["severity"] != "info"])


@pytest.mark.parametrize("name", NAMES)
def test_every_screen_shows_the_same_forecasts(
    runs: dict[str, Watched], screens: dict[str, Screens], name: str
) -> None:
    """What `forecast` says of a part of the run is what the run itself registered there, by the same law."""
    run, shown = runs[name], screens[name]
    of = {row["step"]: row for row in shown.forecast["forecasts"] if "final_loss" in row}
    records = [r for r in read_journal(run.journal).others if r.get("type") == "forecast" and r["step"] in of]
    third = re.search(r"([\d.]+) 80 % interval ([\d.]+) to ([\d.]+)", squeezed(run.rows.get("predicted at 30 %", "")))
    page, told = shown.page["forecast"], shown.replay["forecast"]

    assert len(records) >= 2
    for record in records:
        row = of[record["step"]]
        assert pytest.approx([record["final_loss"], record["low"], record["high"]]) == [
            row["final_loss"],
            *row["intervals"]["0.8"],
        ]
    assert third is not None
    low, high = of[180]["intervals"]["0.8"]
    assert third.groups() == (f"{of[180]['final_loss']:.3f}", f"{low:.3f}", f"{high:.3f}")
    assert (page is None) == (told is None) == (name != "cut_off")
    if page is not None:
        assert (page["final_loss"], page["low"], page["high"]) == (told["final_loss"], told["low"], told["high"])


@pytest.mark.parametrize("name", ["healthy", "sabotaged", "cut_off"])
def test_every_screen_shows_the_same_distance_to_the_law(
    runs: dict[str, Watched], screens: dict[str, Screens], name: str
) -> None:
    """By the law of the journal, without naming it again."""
    run, page = runs[name], screens[name].page["gap"]
    (gap,) = (text for label, text in run.rows.items() if label.startswith("against its law"))
    said_of = re.match(r"([\d.]+) nats \([^)]*\) (above|below)", gap)

    assert gap in screens[name].replay_text
    assert page["sentence"].endswith(gap)
    assert said_of is not None
    assert (f"{abs(page['nats']):.3f}", "above" if page["nats"] > 0 else "below") == said_of.groups()
