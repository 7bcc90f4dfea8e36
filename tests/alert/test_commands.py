"""`scalewatch alert`, as somebody types it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from scalewatch import Observation, Run
from scalewatch.alert import SilenceFile
from scalewatch.cli import main
from scalewatch.journal import JournalWriter, observation_record
from tests.alert.fake_server import FakeServer, answers

RULES = '[[route]]\nreceivers = ["x"]\n[receiver.x]\ntype = "webhook"\nloopback = true\n'


Alert = Callable[..., "Said"]


class Said(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def alert(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs `scalewatch alert` with these words."""

    def run(*words: object, **environment: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["scalewatch", "alert", *map(str, words)])
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        try:
            main()
            code: object = 0
        except SystemExit as end:
            code = end.code or 0
        return Said(int(str(code)), *capsys.readouterr())

    return run


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """The journal of a short run."""
    folder = tmp_path / "runs" / "gpt"
    writer = JournalWriter(folder, Run("gpt", total_steps=100))
    for step in range(1, 101):
        writer.append(observation_record(Observation(step, 3.0 + 2.0 * step**-0.5)))
    writer.close()
    return folder


def test_a_test_message_is_sent_and_said_to_be(alert: Alert, server: FakeServer, tmp_path: Path) -> None:
    """It shows what an alert looks like; then one line."""
    (tmp_path / "rules.toml").write_text(RULES)
    done = alert("test", "x", "--rules", tmp_path / "rules.toml", SCALEWATCH_WEBHOOK_URL=server.url)

    assert (0, "scalewatch: x has taken the test message.\n", "") == (done.returncode, done.stdout, done.stderr)
    assert "nothing is wrong" in server.got[0].json["data"]["title"]


def test_a_test_message_that_is_refused_says_why(alert: Alert, server: FakeServer, tmp_path: Path) -> None:
    """Exit code 1, one line, no address."""
    server.behave = answers(404)
    (tmp_path / "rules.toml").write_text(RULES)
    done = alert("test", "x", "--rules", tmp_path / "rules.toml", SCALEWATCH_WEBHOOK_URL=server.url)

    assert (1, "scalewatch: x did not take the message: HTTP 404.\n") == (done.returncode, done.stderr)


def test_a_test_message_through_apprise(alert: Alert, server: FakeServer) -> None:
    """No rules file: the address in the environment is enough."""
    pytest.importorskip("apprise")
    done = alert("test", "apprise", SCALEWATCH_APPRISE_URL=f"json://127.0.0.1:{server.port}/x")

    assert (0, "scalewatch: apprise has taken the test message.\n", "") == (done.returncode, done.stdout, done.stderr)
    assert "TEST test run: this is how an alert looks; nothing is wrong" == server.got[0].json["title"]


def test_a_silence_is_written_where_the_run_looks_for_it(alert: Alert, run_folder: Path) -> None:
    """Its end, what it is about, and that it can be taken back."""
    done = alert("silence", run_folder, "--for", "2h", "--kind", "spike", "--comment", "known")
    (found,) = SilenceFile(run_folder / "silences.json").read()

    assert done.stdout.startswith("scalewatch: spike is silent until "), done.stderr
    assert (("spike",), "known") == (found.kinds, found.comment)
    assert 7100 < found.until_unix_s - time.time() <= 7200
    assert 0 == alert("silence", run_folder, "--clear").returncode
    assert () == SilenceFile(run_folder / "silences.json").read()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["silence", "{}/..", "--for", "2h"], "must be the folder of a run's journal"),
        (["silence", "{}", "--for", "soon"], '`--for` must be a time such as "30s"'),
        (["silence", "{}", "--kind", "spikes"], "`--kind` must be one of"),
        (["test", "slak"], "no receiver 'slak'"),
        (["watch", "{}/nowhere"], "must be a folder with runs in it"),
        (["watch", "{}", "--every", "0"], "`--every` must lie between 0.1 and 600 seconds"),
        (["watch", "{}", "--rules", "nowhere.toml"], "cannot be read"),
    ],
)
def test_wrong_words_are_one_line_and_exit_2(alert: Alert, run_folder: Path, words: list[str], says: str) -> None:
    """No traceback."""
    done = alert(*(word.format(run_folder) for word in words))

    assert 2 == done.returncode
    assert says in done.stderr
    assert 1 == done.stderr.count("\n")


def test_a_digest_tells_the_state_of_all_runs(
    alert: Alert, server: FakeServer, run_folder: Path, tmp_path: Path
) -> None:
    """One message, a row a run."""
    (tmp_path / "rules.toml").write_text(RULES)
    words = ("digest", run_folder.parent, "--to", "x", "--rules", tmp_path / "rules.toml")
    done = alert(*words, SCALEWATCH_WEBHOOK_URL=server.url)
    data = server.got[0].json["data"]

    assert "scalewatch: x has taken the digest of 1 run, 0 with findings.\n" == done.stdout, done.stderr
    assert "DIGEST all runs: 1 run, 0 with findings" == data["title"]
    assert "healthy to its end (step 100, loss" in json.dumps(data["rows"])
