"""Two processes on one run: one sends, the other says that it does not, and takes over when the first is dead."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalewatch import Run
from scalewatch.alert import Dispatcher, Http, Rules, Secret
from scalewatch.alert.lock import Lock
from scalewatch.alert.receivers.webhook import Webhook
from scalewatch.finding import Finding, Kind, Severity
from tests.alert.fake_server import UNHELD_SECONDS, FakeServer

NAN = Finding(Kind.NONFINITE, Severity.CRITICAL, 700, 700, "loss is nan at step 700")

FIRST = """
import os, sys, time
from scalewatch import Run
from scalewatch.alert import Dispatcher, Http, Rules, Secret
from scalewatch.alert.receivers.webhook import Webhook
from scalewatch.finding import Finding, Kind, Severity
from pathlib import Path
hook = Webhook(Secret("URL"), http=Http(loopback=True))
made = Dispatcher(Run("gpt"), "run-1", {"w": hook}, Rules.to("w"), folder=Path(sys.argv[1]))
made.begin()
made.observe(700, 3.0)
made.submit([Finding(Kind.NONFINITE, Severity.CRITICAL, 700, 700, "loss is nan at step 700")], [])
if len(sys.argv) > 2 and os.fork() == 0:
    time.sleep(20)  # a worker that outlives its parent
    os._exit(0)
time.sleep(60)
"""


@pytest.fixture
def first(server: FakeServer, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has told of a NaN, and goes on."""
    env = {**os.environ, "URL": server.url}
    child = subprocess.Popen([sys.executable, "-c", FIRST, str(tmp_path)], env=env)
    server.wait_for(1, 20.0)
    yield child
    child.kill()
    child.wait()


def second(server: FakeServer, folder: Path) -> Dispatcher:
    hook = Webhook(Secret("URL", {"URL": server.url}), http=Http(loopback=True))
    made = Dispatcher(Run("gpt"), "run-1", {"w": hook}, Rules.to("w"), folder=folder)
    made.begin()
    made.observe(650, 3.0)
    return made


def wait_until_it_sends(dispatcher: Dispatcher, seconds: float = UNHELD_SECONDS) -> float:
    began = time.monotonic()
    while not dispatcher.sends and time.monotonic() - began < seconds:
        time.sleep(0.01)
    return time.monotonic() - began


def test_the_second_process_says_that_it_does_not_send(
    server: FakeServer, first: subprocess.Popen[bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning that names the other, nothing sent, not the end of the run either, and a row at the end."""
    made = second(server, tmp_path)
    made.submit([NAN], [])
    time.sleep(1.2)
    made.end("as planned", Severity.INFO, [])
    made.close()

    assert 1 == len(server.got)
    assert 1 == sum(f"process {first.pid} on " in record.getMessage() for record in caplog.records)
    assert made.rows()[0][1].startswith(f"none sent from here: process {first.pid} on ")


def test_the_second_takes_over_when_the_first_is_killed(
    server: FakeServer, first: subprocess.Popen[bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Within a second or so; it repeats nothing that the first has told, and tells what comes then."""
    made = second(server, tmp_path)
    made.submit([NAN], [])
    time.sleep(0.6)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    took = wait_until_it_sends(made)
    made.submit([Finding(Kind.NONFINITE, Severity.CRITICAL, 700, 700, "loss is nan at step 700")], [])
    made.observe(800, 3.0)
    made.submit([Finding(Kind.OFF_PLAN, Severity.CRITICAL, 800, 800, "learning rate is 3 times its plan")], [])
    server.wait_for(2)
    made.close()

    assert took < UNHELD_SECONDS
    assert any("sent from here now" in record.getMessage() for record in caplog.records)
    assert ["CRITICAL gpt: loss is NaN or infinite since step 700", "CRITICAL gpt: learning rate off its schedule"] == [
        got.json["data"]["title"].split(" since step 8")[0] for got in server.got
    ]


def test_a_worker_that_outlives_a_killed_run_does_not_keep_the_lock(server: FakeServer, tmp_path: Path) -> None:
    """Forked children have a copy of everything that the parent had open; not of this."""
    env = {**os.environ, "URL": server.url}
    child = subprocess.Popen([sys.executable, "-c", FIRST, str(tmp_path), "fork"], env=env, start_new_session=True)
    server.wait_for(1, 20.0)
    time.sleep(0.3)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    free = Lock(tmp_path / "alerts.lock").acquire()
    os.killpg(child.pid, signal.SIGKILL)

    assert free


def test_a_run_that_has_ended_gives_the_lock_back(server: FakeServer, tmp_path: Path) -> None:
    """The next fit in the same process sends too."""
    first = second(server, tmp_path)
    first.close()
    after = second(server, tmp_path)
    after.close()

    assert after.sends


def test_where_nothing_can_be_locked_the_alerts_go_out_all_the_same(
    server: FakeServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that cannot be written has no lock: better twice than not at all."""
    caplog.set_level(logging.WARNING)
    (tmp_path / "file").write_text("")
    made = second(server, tmp_path / "file" / "folder")
    made.submit([NAN], [])
    server.wait_for(1)
    made.close()

    assert (True, 1) == (made.sends, len(server.got))


NO_LOCKS = """
import sys
sys.modules["fcntl"] = None
from pathlib import Path
from scalewatch.alert.lock import Lock
first, second = Lock(Path(sys.argv[1])), Lock(Path(sys.argv[1]))
print(first.acquire(), second.acquire(), second.holder())
first.release()
"""


def test_a_system_without_locks_sends_all_the_same(tmp_path: Path) -> None:
    """Nothing is locked and nothing is raised; no file is left that would look like a lock after a kill."""
    argv = [sys.executable, "-W", "error", "-c", NO_LOCKS, str(tmp_path / "alerts.lock")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)

    assert ("True True another process\n", "") == (done.stdout, done.stderr)
    assert [] == list(tmp_path.iterdir())
