"""A killed run cannot tell that it is gone: a process beside it does, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scalewatch.alert import Rules
from scalewatch.alert.liveness import LivenessWatcher, heartbeat, run_folders
from scalewatch.errors import ConfigError
from tests.alert.fake_server import FakeServer
from tests.alert.timetable import Collecting

ROOT = Path(__file__).resolve().parents[2]
RUN = Path(__file__).with_name("watched_run.py")
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a run in `tmp_path / "run"` and waits until its steps are on the disk."""
    begun: list[subprocess.Popen[str]] = []

    def new(step: int, *words: str, url: str = "") -> subprocess.Popen[str]:
        env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'integrations'}", **({"URL": url} if url else {})}
        argv = [sys.executable, str(RUN), str(tmp_path / "run"), str(step), *words]
        child = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True)
        begun.append(child)
        assert child.stdout is not None
        assert "ready\n" == child.stdout.readline()
        return child

    yield new
    for child in begun:
        child.kill()
        child.communicate()


class Watch:
    """A watcher with a clock that is turned by hand, from now on."""

    def __init__(self, folder: Path, rules: Rules | None = None) -> None:
        self.folder, self.rules = folder, Rules.to("w") if rules is None else rules
        self.receiver = Collecting()
        self.ahead = 0.0
        self.watcher = self._new()

    def _new(self) -> LivenessWatcher:
        return LivenessWatcher(
            self.folder, self.rules, lambda: {"w": self.receiver}, clock=lambda: time.time() + self.ahead
        )

    def restart(self) -> None:
        self.watcher.release()
        self.watcher = self._new()

    def after(self, seconds: float, looks: int = 3) -> list[str]:
        self.ahead += seconds
        for _ in range(looks):
            self.watcher.check()
            self.ahead += 1.0
        return [notification.title for notification in self.receiver.got]


def kill(child: subprocess.Popen[str]) -> None:
    os.kill(child.pid, signal.SIGKILL)
    child.wait()


GONE = "CRITICAL gpt: the process is gone after step 10"


def test_a_killed_run_is_told_once_and_half_a_minute_later(server: FakeServer, start: Start, tmp_path: Path) -> None:
    """It had alerts of its own, so its lock says that it is dead: also a watcher that starts anew says it no more."""
    child = start(1, url=server.url)
    watch = Watch(tmp_path / "run")
    alive = watch.after(40.0)
    kill(child)
    titles = watch.after(0.0)
    again = watch.after(3600.0)
    watch.restart()
    later = watch.after(6 * 3600.0)
    notification = watch.receiver.got[0]

    assert ([], [GONE], [GONE], [GONE]) == (alive, titles, again, later)
    assert "it did not say that it ends: killed, or its machine is down" in notification.items[0].message
    assert ["start again"] == [advice.action for advice in notification.advice]
    assert "nonfinite" in [item.kind for item in notification.items], "what went on is said beside it"


def test_a_run_that_goes_on_has_its_lock_back_and_knows_what_was_told(
    server: FakeServer, start: Start, tmp_path: Path
) -> None:
    """The resumed run knows itself that steps are made again; killed at once, it is gone still, and nothing is said."""
    kill(start(1, url=server.url))
    watch = Watch(tmp_path / "run")
    watch.after(40.0)
    resumed = start(5, url=server.url)
    state = (tmp_path / "run" / "alerts.json").read_text()
    quiet = watch.after(0.0)
    kill(resumed)
    titles = watch.after(40.0)

    assert "steps go on (step 14)" in state
    assert [GONE] == quiet == titles


def test_a_run_that_ended_as_planned_is_no_news(start: Start, tmp_path: Path) -> None:
    """Its journal is closed: nothing is said, however long ago."""
    start(1, "ends").wait()
    watch = Watch(tmp_path / "run")

    assert [] == watch.after(40.0) + watch.after(4 * 3600.0)


def test_a_run_that_has_told_its_end_is_no_news(server: FakeServer, start: Start, tmp_path: Path) -> None:
    """Also if its journal could not be closed in time."""
    start(1, "says", url=server.url).wait()
    watch = Watch(tmp_path / "run")

    assert [] == watch.after(40.0) + watch.after(4 * 3600.0)
    assert "ENDED gpt: as planned" == server.got[-1].json["data"]["title"]


def test_a_run_without_alerts_of_its_own_is_told_when_it_is_silent(start: Start, tmp_path: Path) -> None:
    """Nothing tells a kill from a pause but time: half an hour; and when it goes on, that is told too."""
    kill(start(1))
    watch = Watch(tmp_path / "run")
    soon = watch.after(1000.0)
    titles = list(watch.after(1000.0))
    watch.restart()
    still = list(watch.after(1000.0))
    watch.ahead = 0.0
    resumed = start(5)
    watch.after(0.0)
    over = watch.after(400.0)
    kill(resumed)

    assert [] == soon
    assert ["CRITICAL gpt: no step is made after step 10"] == titles == still
    assert [*titles, "RESOLVED gpt: stall is over"] == over
    assert "it was killed, or it hangs" in watch.receiver.got[0].items[0].message
    assert not (tmp_path / "run" / "alerts.lock").exists()


def test_a_process_that_is_there_and_says_nothing_is_told_for_it(
    server: FakeServer, start: Start, tmp_path: Path
) -> None:
    """Stopped as a whole, its own alerts stand still too: five minutes after they should have spoken."""
    child = start(1, url=server.url)
    os.kill(child.pid, signal.SIGSTOP)
    watch = Watch(tmp_path / "run")
    before = watch.after(1900.0)
    titles = watch.after(300.0)
    again = watch.after(3600.0)

    assert [] == before
    assert ["CRITICAL gpt: no step is made after step 10"] == titles == again
    assert "its process is there, and says nothing" in watch.receiver.got[0].items[0].message


def test_old_news_is_none(start: Start, tmp_path: Path) -> None:
    """A watcher that is started over a folder of runs that died last year tells nobody of them."""
    kill(start(1))
    watch = Watch(tmp_path / "run")
    watch.ahead = 25 * 3600.0

    assert [] == watch.after(0.0)


def test_what_the_run_was_sending_when_it_died_is_sent(server: FakeServer, start: Start, tmp_path: Path) -> None:
    """It is in the state as pending: the watcher sends it, marked as a possible repeat."""
    server.behave = server.hold
    child = start(1, url=server.url)
    server.wait_for(1)
    kill(child)
    watch = Watch(tmp_path / "run")
    watch.watcher = LivenessWatcher(
        watch.folder, Rules.to("w"), lambda: {"w": watch.receiver}, clock=lambda: time.time() + 40.0
    )
    for _ in range(2):
        watch.watcher.check()
        time.sleep(1.1)
        watch.watcher.check()

    assert ["CRITICAL gpt: loss is NaN or infinite since step 9", GONE] == [n.title for n in watch.receiver.got]
    assert [True, False] == [notification.may_repeat for notification in watch.receiver.got]


def test_the_command_tells_of_a_killed_run(server: FakeServer, start: Start, tmp_path: Path) -> None:
    """`scalewatch alert watch` as somebody types it, over real sockets; a second look says nothing more."""
    kill(start(1, url=server.url))
    os.utime(tmp_path / "run" / "journal-000001.jsonl", (time.time() - 60, time.time() - 60))
    rules = tmp_path / "rules.toml"
    rules.write_text('[[route]]\nreceivers = ["w"]\n[receiver.w]\ntype = "webhook"\nloopback = true\n')
    command = "from scalewatch.cli import main; main()"
    words = [sys.executable, "-c", command, "alert", "watch", str(tmp_path), "--once", "--rules", str(rules)]
    env = {**os.environ, "SCALEWATCH_WEBHOOK_URL": server.url}
    ended = [subprocess.run(words, env=env, capture_output=True, text=True, timeout=600) for _ in range(2)]
    titles = [got.json["data"]["title"] for got in server.got]

    assert [0, 0] == [done.returncode for done in ended], ended[0].stderr
    assert ended[0].stdout.startswith("watching 1 run\ngpt: the process is gone (step 10): its last sign of life came")
    assert "watching 1 run\n" == ended[1].stdout
    assert ["CRITICAL gpt: loss is NaN or infinite since step 9", GONE] == titles


def test_a_folder_without_a_journal_and_one_that_is_damaged_are_waited_for(tmp_path: Path) -> None:
    """Nothing is raised; what is no folder is told at once."""
    (tmp_path / "journal-000001.jsonl").write_bytes(b"\x00\xff" * 1000)

    assert None is heartbeat(tmp_path / "none")
    assert "" == LivenessWatcher(tmp_path, Rules.to("test"), dict, clock=time.time).check()
    assert [tmp_path] == run_folders([tmp_path])
    with pytest.raises(ConfigError, match="must be a folder with runs in it"):
        run_folders([tmp_path / "nowhere"])
