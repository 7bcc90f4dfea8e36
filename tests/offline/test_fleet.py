"""Very many runs as one row each: what the row says, what is read again, and where the rows lie."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scalewatch.errors import ConfigError
from scalewatch.logs import open_logs
from scalewatch.offline.fleet import collect as collecting
from scalewatch.offline.fleet import store as storing
from scalewatch.offline.fleet.collect import Collected, Engine, collect
from scalewatch.offline.fleet.query import Fleet
from scalewatch.offline.fleet.store import FleetStore
from scalewatch.offline.fleet.tree import tree_of, units_of
from scalewatch.offline.replayed import Settings, summary, watch_all
from scalewatch.run import Run
from tests.scalewatch_tensorboard.logs import event_log, grow, journal_log, losses_of

fsspec = pytest.importorskip("fsspec")
#: In this process: what other processes say is for a test of its own.
ALONE = Engine(jobs=1)


def table(path: Path, last: float = 3.0, rows: int = 100) -> None:
    """A run in CSV, whose last ten losses are `last`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{i},{3.0 + 0.01 * (i % 3) if i < rows - 10 else last}" for i in range(1, rows)]
    path.write_text("step,loss\n" + "\n".join(lines) + "\n")


def some_logs(folder: Path) -> None:
    """A journal, event files and two tables, one of them of a run that is lost."""
    table(folder / "tables/fine.csv")
    table(folder / "tables/broken.csv", float("nan"))
    event_log(folder / "events", losses_of(400, 200, 0))
    losses = losses_of(300, 300, 1)
    journal_log(folder / "planned/scalewatch", Run("planned", 300), losses, losses)


def look(logs: Path | str, fleet: Path | str, engine: Engine = ALONE, **options: Any) -> Collected:
    """Collect once."""
    tree = tree_of(str(logs))
    store = FleetStore(str(fleet), options.pop("source", tree.name), named=options.pop("named", False))
    settings = options.pop("settings", Settings())
    return collect(tree, store, settings, engine, **{"keep_days": 90, **options})


def rows_of(fleet: Path | str) -> dict[str, dict[str, Any]]:
    """The newest rows, by run."""
    return {row["run"]: row for row in Fleet(str(fleet)).ask("select * from runs order by run").records}


def test_a_row_says_of_a_run_what_replay_says(tmp_path: Path) -> None:
    """State, pages, losses and forecast, of each format; a run is called by its path below the folder."""
    some_logs(tmp_path / "logs")
    found = look(tmp_path / "logs", tmp_path / "fleet")
    rows = rows_of(tmp_path / "fleet")
    told = {run["path"]: run for run in map(summary, watch_all(open_logs([tmp_path / "logs"]), Settings()))}

    assert (4, 4, 0) == found[:3]
    assert ["events", "planned", "tables/broken.csv", "tables/fine.csv"] == list(rows)
    for name, row in rows.items():
        run = told[str(tmp_path / "logs" / name) + ("/scalewatch" if name == "planned" else "")]
        end = run["forecast"] or {}
        assert (run["verdict"], run["state"], run["since"], run["pages"]) == (
            row["sentence"],
            row["state"],
            row["since"],
            row["pages"],
        )
        assert (run["loss"], run["final_loss"], run["rows"], run["step"], run["finished"]) == (
            row["loss"],
            row["final_loss"],
            row["rows"],
            row["step"],
            row["finished"],
        )
        assert (end.get("final_loss"), end.get("low"), end.get("high")) == (
            row["forecast"],
            row["forecast_low"],
            row["forecast_high"],
        )


def test_only_what_has_changed_is_read_again(tmp_path: Path) -> None:
    """What grew and what is new; what is gone leaves its place, and nothing else is touched."""
    some_logs(tmp_path / "logs")
    look(tmp_path / "logs", tmp_path / "fleet")
    assert 0 == look(tmp_path / "logs", tmp_path / "fleet").read
    before = rows_of(tmp_path / "fleet")

    grow(tmp_path / "logs/events", losses_of(400, 300, 0)[200:], 201)
    table(tmp_path / "logs/tables/new.csv")
    (tmp_path / "logs/tables/fine.csv").unlink()
    found = look(tmp_path / "logs", tmp_path / "fleet")
    after = rows_of(tmp_path / "fleet")

    assert (4, 2, 0, 1) == found[:4]
    assert (200, 300) == (before["events"]["rows"], after["events"]["rows"])
    assert ["events", "planned", "tables/broken.csv", "tables/new.csv"] == list(after)
    assert before["planned"] | {"silent_seconds": 0} == after["planned"] | {"silent_seconds": 0}


def test_older_looks_are_kept(tmp_path: Path) -> None:
    """A row for each look at which a run had changed, so that how it went can be asked."""
    event_log(tmp_path / "logs/run", losses_of(400, 200, 0))
    look(tmp_path / "logs", tmp_path / "fleet")
    grow(tmp_path / "logs/run", losses_of(400, 300, 0)[200:], 201)
    look(tmp_path / "logs", tmp_path / "fleet")

    assert [("run", 200), ("run", 300)] == Fleet(str(tmp_path / "fleet")).ask(
        "select run, rows from looks order by 2"
    ).rows


def test_files_of_one_run_are_one_unit_and_tables_are_apart(tmp_path: Path) -> None:
    """So that a run is read whole, and ten thousand tables of one folder on all cores."""
    some_logs(tmp_path)
    (tmp_path / "planned/events.out.tfevents.1.host").write_bytes(b"")
    for step in (10, 20):
        folder = tmp_path / f"hf/checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / "trainer_state.json").write_text("{}")
    (tmp_path / "tables/.hidden").write_text("")
    units = {unit.name: sorted(file.path for file in unit.files) for unit in units_of(tree_of(str(tmp_path)), "")}

    assert {"events/", "hf/", "planned/", "tables/broken", "tables/fine"} == set(units)
    assert ["hf/checkpoint-10/trainer_state.json", "hf/checkpoint-20/trainer_state.json"] == units["hf/"]
    assert ["planned/events.out.tfevents.1.host", "planned/scalewatch"] == [
        path.rpartition("/journal-")[0] or path for path in units["planned/"]
    ]


def test_a_run_in_the_store_of_mlflow_is_one_unit(tmp_path: Path) -> None:
    """Whatever folders its metrics lie in."""
    run = tmp_path / "logs/0/abc"
    (run / "metrics").mkdir(parents=True)
    (run / "meta.yaml").write_text("run_id: abc\nrun_name: tidy\nlifecycle_stage: active\n")
    lines = [f"{1_700_000_000_000 + 1000 * step} {3.0 - 0.01 * step} {step}" for step in range(1, 100)]
    (run / "metrics/loss").write_text("\n".join(lines) + "\n")
    found = look(tmp_path / "logs", tmp_path / "fleet")

    assert (1, 1, 0) == found[:3]
    assert [("mlflow", 99)] == Fleet(str(tmp_path / "fleet")).ask("select format, rows from runs").rows


def test_another_way_of_reading_reads_all_again(tmp_path: Path) -> None:
    """A law or a planned length that is given changes every verdict."""
    some_logs(tmp_path / "logs")
    look(tmp_path / "logs", tmp_path / "fleet")
    found = look(tmp_path / "logs", tmp_path / "fleet", settings=Settings(total_steps=900))

    assert 4 == found.read
    assert [(900,)] == Fleet(str(tmp_path / "fleet")).ask("select distinct total_steps from runs").rows


def test_a_log_that_cannot_be_read_costs_its_own_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage, or a fault of ours: the row says why, the others are there, and what is no log at all is passed over."""
    some_logs(tmp_path / "logs")
    (tmp_path / "logs/readme.md").write_text("nothing")
    (tmp_path / "logs/broken.parquet").write_text("no parquet")
    monkeypatch.delenv("SCALEWATCH_STRICT", raising=False)
    right = collecting.verdict_row

    def wrong(watched: Any) -> Any:
        return 1 / 0 if watched.log.name == "fine.csv" or watched.log.name == "fine" else right(watched)

    monkeypatch.setattr(collecting, "verdict_row", wrong)
    found = look(tmp_path / "logs", tmp_path / "fleet")
    unread = {name: row["unreadable"] for name, row in rows_of(tmp_path / "fleet").items() if row["unreadable"]}

    assert (5, 5, 2) == found[:3]
    assert "is no parquet file" in unread["broken.parquet"]
    assert "ZeroDivisionError" in unread["tables/fine"]
    assert 0 == look(tmp_path / "logs", tmp_path / "fleet").read


def test_two_folders_are_one_fleet(tmp_path: Path) -> None:
    """Each has its own files there, which others may read, and a run of one name in both is two."""
    table(tmp_path / "here/run.csv")
    table(tmp_path / "there/run.csv", float("nan"))
    look(tmp_path / "here", tmp_path / "fleet")
    look(tmp_path / "there", tmp_path / "fleet")
    found = Fleet(str(tmp_path / "fleet")).ask("select source, run, state from runs order by state").rows

    assert (tmp_path / "fleet").stat().st_mode & 0o077 == tmp_path.joinpath("here").stat().st_mode & 0o077
    assert [(str(tmp_path / "here"), "run.csv", "healthy"), (str(tmp_path / "there"), "run.csv", "lost")] == found


def test_a_folder_of_the_same_path_on_another_machine_is_not_taken_for_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows would be lost: a name of its own for each is asked for, and then both are there."""
    table(tmp_path / "logs/run.csv")
    look(tmp_path / "logs", tmp_path / "fleet")
    monkeypatch.setattr(storing.socket, "gethostname", lambda: "elsewhere")
    with pytest.raises(ConfigError, match="--source"):
        look(tmp_path / "logs", tmp_path / "fleet")

    look(tmp_path / "logs", tmp_path / "fleet", source="elsewhere", named=True)
    assert 2 == Fleet(str(tmp_path / "fleet")).counts()["sources"]


def test_two_collectors_of_one_folder_do_not_write_over_each_other(tmp_path: Path) -> None:
    """The second says that there is a first."""
    table(tmp_path / "logs/run.csv")
    store = FleetStore(str(tmp_path / "fleet"), str(tmp_path / "logs"), named=False)
    give_back = store.lock()
    with pytest.raises(ConfigError, match="being collected"):
        look(tmp_path / "logs", tmp_path / "fleet")

    give_back()
    assert 1 == look(tmp_path / "logs", tmp_path / "fleet").read


def test_logs_and_fleet_may_lie_where_fsspec_reaches(tmp_path: Path) -> None:
    """Read and asked there, and only what changed is fetched again."""
    some_logs(tmp_path / "logs")
    files = fsspec.filesystem("memory")
    files.put(str(tmp_path / "logs"), "/fleet-test/logs", recursive=True)
    try:
        found = look("memory://fleet-test/logs", "memory://fleet-test/fleet", named=True)
        again = look("memory://fleet-test/logs", "memory://fleet-test/fleet", named=True)
        local = look(tmp_path / "logs", tmp_path / "fleet")
        here, there = rows_of(tmp_path / "fleet"), rows_of("memory://fleet-test/fleet")
    finally:
        files.rm("/fleet-test", recursive=True)

    assert (4, 4, 0) == found[:3] == local[:3]
    assert 0 == again.read
    assert {name: row["sentence"] for name, row in here.items()} == {n: r["sentence"] for n, r in there.items()}


def test_looks_of_a_day_become_one_file_and_old_ones_go(tmp_path: Path) -> None:
    """No row is lost but those older than the days that are kept, and these are counted."""
    event_log(tmp_path / "logs/run", losses_of(400, 200, 0))
    day = datetime(2026, 11, 2, tzinfo=UTC)
    for number, when in enumerate((day, day + timedelta(hours=3), day + timedelta(days=1), day + timedelta(days=2))):
        grow(tmp_path / "logs/run", losses_of(400, 210 + 10 * number, 0)[200 + 10 * number :], 201 + 10 * number)
        look(tmp_path / "logs", tmp_path / "fleet", now=when.timestamp)
    files = sorted(re.findall(r"-(2026\d+)", str(list((tmp_path / "fleet/looks").iterdir()))))
    kept = Fleet(str(tmp_path / "fleet")).ask("select rows from looks order by rows").rows
    last = look(tmp_path / "logs", tmp_path / "fleet", now=(day + timedelta(days=9)).timestamp, keep_days=7)

    assert ["20261102", "20261103", "20261104"] == files
    assert [(210,), (220,), (230,), (240,)] == kept
    assert 2 == last.dropped


def test_a_damaged_fleet_is_made_anew(tmp_path: Path) -> None:
    """The logs are the truth; nothing has to be mended by hand."""
    some_logs(tmp_path / "logs")
    look(tmp_path / "logs", tmp_path / "fleet")
    (file,) = (tmp_path / "fleet/latest").iterdir()
    file.write_bytes(file.read_bytes()[:100])

    assert 4 == look(tmp_path / "logs", tmp_path / "fleet").read


@pytest.fixture(params=["cores", "dask"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Processes of this machine; a cluster of dask, in threads of this process."""
    monkeypatch.setattr(collecting, "LEAST_BYTES", 1)
    if request.param == "cores":
        yield Engine("loky", 2)
        return
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, processes=False, dashboard_address=None) as cluster:
        yield Engine("dask", -1, cluster.scheduler_address)


def test_other_engines_say_what_one_process_says(tmp_path: Path, engine: Engine) -> None:
    """The cores of this machine, and a cluster: the same rows."""
    some_logs(tmp_path / "logs")
    look(tmp_path / "logs", tmp_path / "one")
    look(tmp_path / "logs", tmp_path / "other", engine)
    left_out = {"look": 0, "silent_seconds": 0}

    assert [row | left_out for row in rows_of(tmp_path / "one").values()] == [
        row | left_out for row in rows_of(tmp_path / "other").values()
    ]


def test_an_engine_that_there_is_not_is_named(tmp_path: Path) -> None:
    """With those that there are."""
    some_logs(tmp_path / "logs")

    with pytest.raises(ConfigError, match="loky, threading, dask, ray"):
        look(tmp_path / "logs", tmp_path / "fleet", Engine("spark"))


def test_a_run_that_is_written_no_more_is_silent_and_then_gone(tmp_path: Path) -> None:
    """After twenty times the time between two of its rows, ten minutes at least, and after a week.

    Of one whose planned end nobody knows nobody knows either that it has not ended: it is no more than gone.
    """
    event_log(tmp_path / "logs/quick", losses_of(400, 200, 0))
    slow = [f"{step},{3.0 - 0.001 * step},{1e9 + 3600 * step}" for step in range(1, 100)]
    (tmp_path / "logs/slow.csv").write_text("step,loss,timestamp\n" + "\n".join(slow) + "\n")
    now = 1.7e9
    for path in (tmp_path / "logs/slow.csv", *(tmp_path / "logs/quick").iterdir()):
        os.utime(path, (now, now))
    look(tmp_path / "logs", tmp_path / "planned", settings=Settings(total_steps=400))
    look(tmp_path / "logs", tmp_path / "fleet")

    def standings(later: float, fleet: str = "planned") -> list[Any]:
        return Fleet(str(tmp_path / fleet), now + later).ask("select standing from runs order by run").rows

    assert [[("running",), ("running",)], [("silent",), ("running",)]] == [standings(500.0), standings(1_000.0)]
    assert [[("silent",), ("silent",)], [("gone",), ("gone",)]] == [standings(90_000.0), standings(30 * 86_400.0)]
    assert [("gone",), ("running",)] == standings(1_000.0, "fleet")


def test_the_lists_have_the_worst_first_and_those_that_go_on_before_others(tmp_path: Path) -> None:
    """Lost before in trouble, silent ones by when they fell silent, and off their law the farthest first."""
    now = datetime(2026, 11, 29, 12)
    store = FleetStore(str(tmp_path), "made up", named=True)

    def row(name: str, state: str, rank: int, minutes: float, **more: Any) -> dict[str, Any]:
        which = {
            "run": name,
            "unit": name,
            "source": "made up",
            "look": now,
            "written": now - timedelta(minutes=minutes),
        }
        told = {"finished": False, "off_law": False, "total_steps": 1_000}
        return {**which, **told, "state": state, "rank": rank, "pages": rank, **more}

    rows = [
        row("trouble", "in trouble", 2, 1),
        row("lost, silent", "lost", 3, 60),
        row("lost", "lost", 3, 1),
        row("fine", "healthy", 0, 1, law_gap_sigmas=1.0),
        row("silent", "healthy", 0, 30, law_gap_sigmas=-5.0),
        row("off", "healthy", 0, 1, off_law=True, law_gap_sigmas=4.0),
    ]
    store.add(rows, (), now)
    fleet = Fleet(str(tmp_path), now.replace(tzinfo=UTC).timestamp())

    assert [("lost",), ("lost, silent",), ("trouble",)] == fleet.worst(9, ["run"]).rows
    assert [("silent",), ("lost, silent",)] == fleet.silent(9, ["run"]).rows
    assert [("off",), ("silent",)] == fleet.off_law(9, ["run"]).rows
    assert {"lost": 2, "in trouble": 1, "healthy": 3} == fleet.counts()["states"]
