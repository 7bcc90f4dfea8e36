"""TensorBoard's start with our plugin: light, and never taken down by it."""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from scalewatch_tensorboard import ScaleWatchLoader
from scalewatch_tensorboard.runs.logdirs import Logdirs, cache_folder, found_runs
from scalewatch_tensorboard.server.plugin import DATA_ROUTES, ScaleWatchPlugin
from scalewatch_tensorboard.server.routes import routes
from scalewatch_tensorboard.server.static_files import static_table
from tests.scalewatch_tensorboard.browser import settled, tensorboard
from tests.scalewatch_tensorboard.http import ask, until
from tests.scalewatch_tensorboard.logs import event_log, losses_of

LIGHT = """
import json, sys
from tensorboard.plugins import base_plugin
before = set(sys.modules)
import scalewatch_tensorboard
loaded = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
plugin = scalewatch_tensorboard.ScaleWatchLoader().load(base_plugin.TBContext(logdir="nowhere"))
made = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
print(json.dumps([loaded, made, plugin.frontend_metadata().tab_name]))
"""
HEAVY = ("numpy", "scipy", "torch", "altair", "rich", "typer", "vl_convert", "werkzeug")


def context(logdir: str = "", **flags: object) -> SimpleNamespace:
    """What TensorBoard hands to a loader."""
    return SimpleNamespace(logdir=logdir, flags=SimpleNamespace(**flags))


def test_the_start_imports_nothing_heavy() -> None:
    """What every start of TensorBoard imports is the standard library, and of ours no more than the tab's routes."""
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, timeout=600, check=True)
    loaded, made, tab = json.loads(done.stdout)

    assert "scalewatch" not in made
    assert [] == sorted(set(HEAVY) & {*loaded, *made})
    assert tab == "ScaleWatch"


def test_a_missing_import_costs_the_tab_and_not_tensorboard(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The loader returns None, which TensorBoard passes over, and says why in one line."""
    monkeypatch.setitem(sys.modules, "scalewatch_tensorboard.server.plugin", None)
    with caplog.at_level(logging.WARNING, "scalewatch"):
        made = ScaleWatchLoader().load(context("runs"))

    assert made is None
    assert ["its tab in TensorBoard is off" in record.message for record in caplog.records] == [True]


def test_a_logdir_that_is_none_costs_nothing() -> None:
    """Flags that lack what we look for, and odd ones, still make a plugin."""
    for odd in (SimpleNamespace(logdir=None, flags=None), context("a\0b"), context("s3://bucket/runs")):
        plugin = ScaleWatchLoader().load(odd)
        assert isinstance(plugin, ScaleWatchPlugin)
        assert plugin.is_active() is False


def test_flags_can_be_left_out() -> None:
    """`parse_args([])` works, as TensorBoard asks of a plugin; our summaries are kept whole unless the user says."""
    parser = argparse.ArgumentParser()
    loader = ScaleWatchLoader()
    loader.define_flags(parser)
    flags = parser.parse_args([])
    flags.samples_per_plugin = {"scalars": 5}
    loader.fix_flags(flags)
    chosen = argparse.Namespace(samples_per_plugin={"scalewatch": 50})
    loader.fix_flags(chosen)

    assert (flags.scalewatch_law, flags.scalewatch_cache) == ("", "")
    assert flags.samples_per_plugin == {"scalars": 5, "scalewatch": 0}
    assert chosen.samples_per_plugin == {"scalewatch": 50}


def test_routes_are_exact_and_all_there() -> None:
    """Those that TensorBoard is told are those that can be answered, and none has a wildcard."""
    plugin = ScaleWatchLoader().load(context("nowhere"))
    assert isinstance(plugin, ScaleWatchPlugin)

    assert set(routes(plugin.registry)) == set(DATA_ROUTES)
    assert all("*" not in route for route in (*static_table(), *DATA_ROUTES))
    assert "/index.js" in static_table()


def test_a_link_among_the_static_files_is_no_route(tmp_path: Path) -> None:
    """Only what lies in the folder itself, with a suffix that is known."""
    (tmp_path / "a.js").write_text("1")
    (tmp_path / "b.py").write_text("1")
    (tmp_path / "c.js").symlink_to("/etc/passwd")
    (tmp_path / "d.js").mkdir()

    assert list(static_table(tmp_path)) == ["/a.js"]


def test_the_flags_say_where_runs_are(tmp_path: Path) -> None:
    """A logdir, a list of named ones, an address of another machine, a law and a cache."""
    flags = SimpleNamespace(logdir=str(tmp_path), scalewatch_law="~/l.json", scalewatch_cache="off")
    one = Logdirs.of(str(tmp_path), flags)
    many = Logdirs.of("", SimpleNamespace(logdir="", logdir_spec=f"a:{tmp_path},{tmp_path}/b:c,gs://bucket/x"))

    assert (one.roots, one.law, one.cache) == ((("", tmp_path),), Path.home() / "l.json", None)
    assert many.roots == (("a", tmp_path), ("", tmp_path / "b:c"))
    assert (many.remote, many.cache) == (("gs://bucket/x",), cache_folder())


def test_the_cache_is_where_the_system_keeps_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of our own there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert cache_folder().name == "scalewatch"
    assert sys.platform != "linux" or cache_folder() == tmp_path / "scalewatch"


def test_runs_are_called_what_tensorboard_calls_them(tmp_path: Path) -> None:
    """The path below the logdir; `.` for the logdir itself; a journal's folder is its parent's; links are followed."""
    event_log(tmp_path / "a", losses_of(30, 30, 0))
    event_log(tmp_path / "b" / "c", losses_of(30, 30, 0))
    (tmp_path / "d" / "scalewatch").mkdir(parents=True)
    (tmp_path / "d" / "scalewatch" / "journal-000001.jsonl").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "journal-000001.jsonl").write_text("")
    found = {one.name: one for one in found_runs((("", tmp_path),))}

    assert sorted(found) == [".", "a", "b/c", "d"]
    assert found["d"].journal == tmp_path / "d" / "scalewatch"
    assert [one.name for one in found_runs((("x", tmp_path / "b"),))] == ["x/c"]


@pytest.mark.parametrize("fast", ["true", "false"])
def test_it_works_with_both_loaders_and_below_a_prefix(tmp_path: Path, fast: str) -> None:
    """The fast data server and the slow one, and an address that begins with a path."""
    event_log(tmp_path / "logs" / "run", losses_of(200, 200, 0))
    with tensorboard(tmp_path / "logs", tmp_path / "cache", f"--load_fast={fast}", "--path_prefix=/tb/x") as board:
        settled(board, 1)
        listed = json.load(urllib.request.urlopen(f"{board.url}data/plugins_listing", timeout=30))
        assert listed["scalewatch"]["enabled"] is True
        assert ask(board.url, "run", run="run").json["rows"] == 200
        assert ask(board.url, "index.js").status == 200


def test_named_logdirs_are_followed(tmp_path: Path) -> None:
    """`--logdir_spec`: each run under the name of its folder of logs."""
    event_log(tmp_path / "one" / "run", losses_of(200, 200, 0))
    event_log(tmp_path / "two", losses_of(200, 200, 0))
    spec = f"--logdir_spec=first:{tmp_path / 'one'},second:{tmp_path / 'two'}"
    with tensorboard(None, tmp_path / "cache", spec) as board:
        settled(board, 2)
        names = [row["name"] for row in ask(board.url, "runs").json["runs"]]

    assert names == ["first/run", "second/."]


def test_a_logdir_may_come_later(tmp_path: Path) -> None:
    """A folder that does not exist yet is no trouble; its first run is found within seconds."""
    logs = tmp_path / "logs"
    with tensorboard(logs, tmp_path / "cache") as board:
        until(lambda: ask(board.url, "runs").json["searched"])
        assert ask(board.url, "runs").json["runs"] == []
        event_log(logs / "late", losses_of(100, 100, 0))
        until(lambda: any(row["rows"] == 100 for row in ask(board.url, "runs").json["runs"]))


def test_a_folder_of_other_things_says_why_there_is_no_run(tmp_path: Path) -> None:
    """An event file without a loss is no run, and the answer says so."""
    event_log(tmp_path / "logs" / "images", losses_of(50, 50, 0), tag="accuracy")
    with tensorboard(tmp_path / "logs", tmp_path / "cache") as board:
        answer = until(lambda: (found := ask(board.url, "runs").json)["troubles"] and found)

    assert answer["runs"] == []
    assert "no loss can be told" in answer["troubles"][0]
