"""Folders of more runs than one process holds: the list, what last rows tell, and the processes that watch the rest."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from scalewatch.finding import Finding, Kind, Severity
from scalewatch.journal import JournalWriter, finding_record, observation_record
from scalewatch.observation import Observation
from scalewatch.run import Run
from scalewatch_tensorboard.runs.glance import glanced
from scalewatch_tensorboard.runs.helpers import Helpers, job_of
from scalewatch_tensorboard.runs.listed import Told
from scalewatch_tensorboard.runs.listing import Listing
from scalewatch_tensorboard.runs.logdirs import Found, Logdirs, found_runs
from scalewatch_tensorboard.runs.many import ManyRuns
from scalewatch_tensorboard.runs.registry import RunRegistry
from scalewatch_tensorboard.runs.tries import Tries
from tests.scalewatch_tensorboard.browser import Board, settled, tensorboard
from tests.scalewatch_tensorboard.http import ask, until
from tests.scalewatch_tensorboard.logs import event_log, losses_of, many

#: More than the tab reads in its own process.
MANY = 36


def names_of(rows: list[bytes]) -> list[str]:
    """The runs of some rows."""
    return [json.loads(row)["name"] for row in rows]


def listing_of(count: int) -> Listing:
    """A list of runs, each with a row."""
    listing = Listing()
    for number in range(count):
        listing.add(Found(f"run_{number}", Path(), None, events=True))
        listing.tell(f"run_{number}", {"name": f"run_{number}", "step": 1}, Told.ALL)
    return listing


def test_a_page_is_told_what_changed_since_it_asked() -> None:
    """New rows, others' rows as they were not sent again, and names of runs that went."""
    listing = listing_of(3)
    known = listing.since("", 0, 10_000)
    listing.tell("run_1", {"name": "run_1", "step": 2}, Told.ALL)
    listing.tell("run_2", {"name": "run_2", "step": 1}, Told.ALL)
    listing.drop("run_0")
    then = listing.since(known.epoch, known.version, 10_000)

    assert (True, ["run_0", "run_1", "run_2"]) == (known.whole, names_of(known.rows))
    assert (False, ["run_1"], ["run_0"]) == (then.whole, names_of(then.rows), then.gone)
    assert [] == listing.since(then.epoch, then.version, 10_000).rows
    assert listing.since("of another start", then.version, 10_000).whole


def test_a_list_of_any_length_comes_in_parts() -> None:
    """Each within its room; together they are all runs, each once."""
    listing = listing_of(500)
    told: list[str] = []
    part = listing.since("", 0, 2_000)
    while part.more:
        assert sum(map(len, part.rows)) <= 2_000
        told += names_of(part.rows)
        part = listing.since(part.epoch, part.version, 2_000)
    told += names_of(part.rows)

    assert [f"run_{number}" for number in range(500)] == told


def test_less_about_the_same_files_does_not_take_the_place_of_more() -> None:
    """What last rows tell is no news of a run that was read in full, until its files grow."""
    listing = Listing()
    found = Found("run", Path(), None, events=True, files=(("a", 1, 1),))
    listing.add(found)
    listing.tell("run", {"name": "run", "all": True}, Told.ALL)
    listing.tell("run", {"name": "run", "all": False}, Told.LAST_ROWS)
    before = json.loads(listing.since("", 0, 10_000).rows[0])
    listing.add(found._replace(files=(("a", 2, 2),)))
    listing.tell("run", {"name": "run", "all": False}, Told.LAST_ROWS)

    assert [True, False] == [before["all"], json.loads(listing.since("", 0, 10_000).rows[0])["all"]]


def ended_in(folder: Path, last: list[float]) -> None:
    """A long event log whose newest losses are these."""
    event_log(folder, np.concatenate([losses_of(3_000, 3_000, 0), last]))


def test_last_rows_tell_what_they_can(tmp_path: Path) -> None:
    """The step, the loss and whether it is lost or has risen, from the last kilobytes; never more than is in them."""
    ended_in(tmp_path / "quiet", [])
    ended_in(tmp_path / "lost", [float("nan")] * 5)
    ended_in(tmp_path / "risen", [9.0] * 12)
    ended_in(tmp_path / "blip", [9.0])
    rows = {one.name: glanced(one) or {} for one in found_runs((("", tmp_path),))}

    assert {"quiet": "healthy", "lost": "lost", "risen": "trouble", "blip": "healthy"} == {
        name: row["level"] for name, row in rows.items()
    }
    assert {"quiet": 3_000, "lost": 3_005, "risen": 3_012, "blip": 3_001} == {n: r["step"] for n, r in rows.items()}
    assert ("glanced", True) == (rows["quiet"]["stage"], "not read in full" in rows["quiet"]["headline"])


def test_the_end_of_a_journal_tells_of_what_is_open_and_of_the_plan(tmp_path: Path) -> None:
    """An incident that its journal opened and did not close, and how far the run is."""
    writer = JournalWriter(tmp_path / "run" / "scalewatch", Run("run", total_steps=4_000))
    for step in range(1, 1_001):
        writer.append(observation_record(Observation(step, 4.0 - step / 2_000)))
    writer.append(finding_record(Finding(Kind.DIVERGENCE, Severity.CRITICAL, 990, 980, "it rises", {})))
    writer.close()
    (found,) = found_runs((("", tmp_path),))
    row = glanced(found) or {}

    assert (1_000, 0.25, "trouble", 1) == (row["step"], row["progress"], row["level"], row["open_incidents"])
    assert "Divergence since step 980" in row["headline"]


def told(helpers: Helpers, count: int) -> list[Any]:
    """Wait for so many answers that end a run."""
    found: list[Any] = []

    def ended() -> bool:
        found.extend(one for one in helpers.answers() if one.said is None or one.said.get("done", True))
        return len(found) >= count

    until(ended)
    return found


def test_helpers_watch_runs_and_one_that_is_killed_costs_one_run(tmp_path: Path) -> None:
    """Rows come from other processes; the death of one is told as the trouble of the run it was at."""
    many(tmp_path, 3)
    (tmp_path / "none").mkdir()
    event_log(tmp_path / "none", losses_of(50, 50, 0), tag="accuracy")
    jobs = [job_of(found, None, None) for found in found_runs((("", tmp_path),))]
    woken = threading.Event()
    helpers = Helpers(woken.set, most=1)
    try:
        for job in jobs:
            helpers.give(job, 1)
        said = {answer.name: answer.said for answer in told(helpers, len(jobs))}
        assert woken.is_set()
        assert [200] * 3 == [said[f"sweep/run_{n:03}"]["row"]["rows"] for n in range(3)]
        assert "no loss can be told" in said["none"]["no_run"]

        (child,) = [one for one in psutil.Process().children() if "scalewatch_tensorboard.runs.helper" in one.cmdline()]
        child.suspend()
        helpers.give(jobs[0], 1)
        helpers.give(jobs[1], 1)
        child.kill()
        killed, waited = told(helpers, 2)
        assert (jobs[0]["name"], True) == (killed.name, "ended, with code -9" in killed.why)
        assert (jobs[1]["name"], "") == (waited.name, waited.why)
    finally:
        helpers.end()


def helpers_of(board: Board) -> list[psutil.Process]:
    """The processes that watch runs for a TensorBoard."""
    children = psutil.Process(board.process.pid).children(recursive=True)
    return [one for one in children if "scalewatch_tensorboard.runs.helper" in " ".join(one.cmdline())]


def finished(answer: Any) -> Any:
    """An answer once all of its runs are read in full and over."""
    return all(row["stage"] == "finished" for row in answer["runs"]) and answer


def test_many_runs_are_watched_beside_tensorboard_once(tmp_path: Path) -> None:
    """Each gets its whole row, opens when it is asked for, and is not watched again by the next TensorBoard."""
    many(tmp_path / "logs", MANY)
    (tmp_path / "logs" / "none").mkdir()
    event_log(tmp_path / "logs" / "none", losses_of(50, 50, 0), tag="accuracy")
    for path in (tmp_path / "logs").rglob("*tfevents*"):
        os.utime(path, (time.time() - 86_400,) * 2)
    with tensorboard(tmp_path / "logs", tmp_path / "cache") as board:
        until(lambda: helpers_of(board))
        settled(board, MANY)
        rows = until(lambda: finished(ask(board.url, "runs").json))
        assert [200] * MANY == [row["rows"] for row in rows["runs"]]
        assert until(lambda: ask(board.url, "runs").json["troubles"])[0].startswith("none: ")
        assert 200 == until(lambda: ask(board.url, "run", run="sweep/run_007").json["rows"])
        until(lambda: list((tmp_path / "cache").rglob("rows-*.json")))
    with tensorboard(tmp_path / "logs", tmp_path / "cache") as board:
        until(lambda: len(ask(board.url, "runs").json["runs"]) == MANY)
        again = ask(board.url, "runs").json["runs"]

        assert {row["name"]: row for row in rows["runs"]} == {row["name"]: row for row in again}


@pytest.mark.parametrize(
    "damage", ["", "[]", '{"schema":1,"runs":{"sweep/run_000":{"files":[],"row":7}}}', '{"schema"']
)
def test_kept_rows_that_are_none_are_passed_over(tmp_path: Path, damage: str) -> None:
    """A file of rubbish, of another version or cut in the middle is as good as none."""
    from scalewatch_tensorboard.runs.kept_rows import KeptRows

    logdirs = Logdirs("", (("", tmp_path),), (), None, tmp_path / "cache")
    listing = listing_of(1)
    listing.tell("run_0", {"name": "run_0", "stage": "finished"}, Told.ALL)
    kept = KeptRows(logdirs)
    kept._last = float("-inf")
    kept.keep(listing, idle=True)
    (path,) = (tmp_path / "cache").iterdir()
    found = Found("run_0", Path(), None, events=True)
    assert {"name": "run_0", "stage": "finished"} == KeptRows(logdirs).row_of(found)

    path.write_text(damage)
    assert KeptRows(logdirs).row_of(found) is None


def test_all_names_stand_in_the_list_before_anything_is_read_and_those_on_the_screen_are_next(tmp_path: Path) -> None:
    """Then come what last rows tell, and what is watched in full is first what the page shows, then the worst."""
    many(tmp_path, MANY)
    ended_in(tmp_path / "lost", [float("nan")] * 5)
    registry = RunRegistry(Logdirs(str(tmp_path), (("", tmp_path),), (), None, None))
    for found in registry.found():
        registry.listing.add(found)
    runs = ManyRuns(registry, Tries(), Helpers(lambda: None, most=0))
    runs.refresh()
    named = [json.loads(row)["stage"] for row in registry.listing.since("", 0, 1 << 20).rows]
    while runs.turn():
        pass
    registry.requests.seen = time.monotonic(), ("sweep/run_020",)
    runs.refresh()
    following = [run.found.name for run in (runs.next(), runs.next(), runs.next()) if run is not None]

    assert ["waiting"] * (MANY + 1) == named
    assert {Told.LAST_ROWS} == {run.told for run in registry.listing.all()}
    assert ["sweep/run_020", "lost", "sweep/run_000"] == following
