"""The background thread: it calls drains, outlives their faults, and never holds anybody up."""

from __future__ import annotations

import gc
import logging
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalewatch.errors import ConfigError
from scalewatch.guard import Guard
from scalewatch.worker import Worker

ROOT = Path(__file__).resolve().parent.parent

#: Far longer than anything here takes, and than a test may wait [s].
NEVER_SECONDS = 60.0

#: What a loaded machine may take for something that takes a millisecond [s].
PATIENCE_SECONDS = 50.0


def run_script(script: str, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, from which the project can be imported."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{script}", *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        env={"SCALEWATCH_STRICT": "0"},
    )
    assert expect == done.returncode, done.stderr
    return done


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A worker that only works when it is woken."""
    worker = Worker(NEVER_SECONDS)
    yield worker
    worker.close()


# --- rounds ---------------------------------------------------------------------------------------


def test_nothing_starts_when_a_worker_is_built() -> None:
    """Building it and adding a drain starts no thread."""
    before = threading.active_count()
    worker = Worker()
    worker.add("part", lambda: None)

    assert before == threading.active_count()
    assert worker.close()


def test_drains_are_called_again_and_again() -> None:
    """Each round calls every drain, in the order in which they were added."""
    calls: list[str] = []
    enough = threading.Event()
    worker = Worker(0.001)
    worker.add("first", lambda: calls.append("a"))
    worker.add("second", lambda: (calls.append("b"), len(calls) > 20 and enough.set(), None)[-1])
    worker.start()

    assert enough.wait(PATIENCE_SECONDS)
    assert worker.close()
    assert ["a", "b"] * (len(calls) // 2) == calls


def test_a_wake_is_heard_at_once(worker: Worker) -> None:
    """A round that would come in a minute comes now."""
    drained = threading.Event()
    worker.add("part", drained.set)
    worker.start()
    assert not drained.is_set()

    worker.wake()

    assert drained.wait(PATIENCE_SECONDS)


def test_a_wake_never_waits(worker: Worker) -> None:
    """Waking goes on from a signal handler that interrupts a wake, while a drain hangs."""
    hang = threading.Event()
    worker.add("part", lambda: (hang.wait(NEVER_SECONDS), None)[-1])
    worker.start()
    handled: list[int] = []
    previous = signal.signal(signal.SIGVTALRM, lambda *_: (worker.wake(), handled.append(1))[-1])
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.001, 0.001)
    try:
        while len(handled) < 20:
            worker.wake()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, previous)
        hang.set()

    assert worker.close(PATIENCE_SECONDS)


def test_a_slow_drain_does_not_end_the_loop(worker: Worker) -> None:
    """After a drain that took many intervals the next rounds come."""
    rounds: list[float] = []
    enough = threading.Event()
    worker.interval_seconds = 0.001

    def drain() -> None:
        rounds.append(time.monotonic())
        time.sleep(0.03)
        if len(rounds) == 4:
            enough.set()

    worker.add("part", drain)
    worker.start()

    assert enough.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 3601.0, float("nan"), float("inf")])
def test_an_interval_that_cannot_be_is_refused(seconds: float) -> None:
    """The error names the argument, what it must be and what it was."""
    with pytest.raises(ConfigError, match=r"`interval_seconds` must be above 0 and at most 3600"):
        Worker(seconds)


# --- faults ---------------------------------------------------------------------------------------


def test_a_drain_that_fails_is_switched_off_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning that names the part; the other part is drained on; closing says it went wrong."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    healthy: list[int] = []
    sick: list[int] = []
    enough = threading.Event()

    def fail() -> None:
        sick.append(1)
        raise ValueError("broken")

    worker = Worker(0.001)
    worker.add("sick", fail)
    worker.add("healthy", lambda: (healthy.append(1), len(healthy) > 5 and enough.set(), None)[-1])
    worker.start()

    assert enough.wait(PATIENCE_SECONDS)
    assert not worker.close()
    assert [1] == sick
    assert ["'sick' failed (ValueError: broken)" in record.message for record in caplog.records] == [True]


def test_the_guard_may_be_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails in the background counts for the guard that was passed in."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    guard = Guard()
    worker = Worker(guard=guard)
    worker.add("part", lambda: [][0])

    assert not worker.close()
    assert guard.is_off("part")


def test_a_fault_is_raised_by_close_when_tests_ask_for_it(caplog: pytest.LogCaptureFixture) -> None:
    """With SCALEWATCH_STRICT=1 no bug of a drain is passed over."""
    worker = Worker(0.001)
    worker.add("part", lambda: [][0])
    worker.start()

    with pytest.raises(IndexError):
        worker.close(PATIENCE_SECONDS)
    assert not worker.close()
    assert [logging.ERROR] == [record.levelno for record in caplog.records]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_was_ended_is_not_taken_for_success() -> None:
    """SystemExit passes the guard and ends the thread: closing does not wait and says no."""
    worker = Worker(0.001)
    worker.add("part", sys.exit)
    worker.start()

    assert not worker.close(NEVER_SECONDS)


def test_without_a_thread_the_drains_run_in_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter on its way out refuses a thread with RuntimeError: nothing is lost by it."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    calls: list[str] = []
    worker = Worker()
    worker.add("part", lambda: calls.append("drain"), finish=lambda: calls.append("finish"))

    assert not worker.start()
    assert worker.close()
    assert worker.close()
    assert ["drain", "finish"] == calls


def test_without_a_thread_no_drain_begins_after_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the drains run in the caller, what comes after a slow one is left out."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    calls: list[str] = []
    worker = Worker()
    worker.add("slow", lambda: time.sleep(0.05))
    worker.add("late", lambda: calls.append("late"))

    assert not worker.close(0.01)
    assert [] == calls


# --- closing --------------------------------------------------------------------------------------


def test_close_drains_once_more_and_finishes_in_reverse(worker: Worker) -> None:
    """All drains, then what they finish with; what was added first finishes last."""
    calls: list[str] = []
    worker.add("journal", lambda: calls.append("a"), finish=lambda: calls.append("end of a"))
    worker.add("alerts", lambda: calls.append("b"), finish=lambda: calls.append("end of b"))
    worker.start()

    assert worker.close()
    assert ["a", "b", "end of b", "end of a"] == calls


def test_a_second_close_changes_nothing(worker: Worker) -> None:
    """It drains nothing again, starts nothing again and gives the same answer."""
    calls: list[str] = []
    worker.add("part", lambda: calls.append("drain"), finish=lambda: calls.append("finish"))

    assert worker.close()
    assert worker.close()
    assert not worker.start()
    worker.add("late", lambda: calls.append("late"))
    worker.wake()
    assert ["drain", "finish"] == calls


def test_what_is_queued_before_close_is_drained() -> None:
    """Whatever moment `close` is called in, the last round sees all that was queued before."""
    for _ in range(200):
        queue: list[int] = []
        worker = Worker(0.0001)
        worker.add("part", queue.clear)
        worker.start()
        queue.append(1)

        assert worker.close()
        assert [] == queue


def test_close_does_not_wait_for_a_hung_drain(worker: Worker) -> None:
    """It comes back when its time is up and says no; once the drain is through it says yes."""
    hang = threading.Event()
    worker.add("part", lambda: (hang.wait(NEVER_SECONDS), None)[-1])
    worker.start()
    worker.wake()

    began = time.monotonic()
    assert not worker.close(0.1)
    took_seconds = time.monotonic() - began
    hang.set()

    assert took_seconds < PATIENCE_SECONDS
    assert worker.close(PATIENCE_SECONDS)


def test_a_drain_may_close_its_own_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait for itself; the worker ends after this round and the last one."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    answers: list[bool] = []
    worker = Worker(0.001)
    worker.add("part", lambda: answers.append(worker.close(NEVER_SECONDS)))
    worker.start()

    deadline = time.monotonic() + PATIENCE_SECONDS
    while not worker.close(0.01) and time.monotonic() < deadline:
        pass
    assert worker.close()
    assert not answers[0]


def test_a_closed_worker_is_freed() -> None:
    """No list, hook or thread of ours keeps it."""
    worker = Worker()
    worker.add("part", lambda: None)
    worker.start()
    worker.close()
    gone = weakref.ref(worker)

    del worker
    gc.collect()

    assert gone() is None


# --- processes ------------------------------------------------------------------------------------

ENDS_WITHOUT_CLOSE = """
import signal
from scalewatch.worker import Worker
worker = Worker(60.0)
worker.add("part", lambda: print("drained", flush=True), finish=lambda: print("finished", flush=True))
{start}
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
{end}
"""


@pytest.mark.parametrize("start", ["worker.start()", ""])
@pytest.mark.parametrize(("end", "status"), [("", 0), ("sys.exit(3)", 3), ("signal.raise_signal(signal.SIGINT)", None)])
def test_a_process_that_ends_without_close_drains_on_its_way_out(start: str, end: str, status: int | None) -> None:
    """At its end, at sys.exit and at Ctrl-C; the only traceback is that of the Ctrl-C itself."""
    expect = -signal.SIGINT if status is None else status
    done = run_script(ENDS_WITHOUT_CLOSE.format(start=start, end=end), expect=expect)

    assert "drained\nfinished\n" == done.stdout
    assert ("KeyboardInterrupt" in done.stderr) == (status is None)
    assert "scalewatch" not in done.stderr.replace("scalewatch.worker import", "")


def test_a_hung_drain_does_not_keep_a_process_alive() -> None:
    """It is given two seconds; then the process ends without a word of the daemon thread."""
    done = run_script(
        """
import threading
from scalewatch.worker import Worker
worker = Worker(0.001)
worker.add("part", lambda: threading.Event().wait(50.0))
worker.start()
"""
    )

    assert "" == done.stderr


FORK = """
import os, signal, threading, time
from scalewatch.worker import Worker

signal.alarm(30)
worker = Worker(0.001)
calls = []
worker.add("part", lambda: calls.append(os.getpid()), finish=lambda: calls.append(0))
worker.start()
for held in ("_lock", "_bell", "_done", None):
    lock = {"_lock": worker._lock, "_bell": worker._bell._lock, "_done": worker._done._cond}.get(held)
    if held in ("_lock", "_done"):
        lock.acquire()
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        before = len(calls)
        worker.wake()
        assert not worker.start()
        worker.add("late", lambda: calls.append(-1))
        time.sleep(0.02)
        assert worker.close()
        assert threading.active_count() == 1
        assert len(calls) == before
        mine = Worker(0.001)
        mine.add("part", lambda: calls.append(os.getpid()))
        assert mine.start()
        assert mine.close()
        assert calls[-1] == os.getpid()
        sys.exit(0)  # and with it the hooks that run at the end of a process
    if held in ("_lock", "_done"):
        lock.release()
    assert os.waitpid(child, 0)[1] == 0
assert worker.close()
assert set(calls) == {0, os.getpid()}
"""


def test_a_forked_child_has_no_part_in_the_worker() -> None:
    """Whatever lock was held: no thread, no drain, no hang, no word; a worker of its own works."""
    done = run_script(FORK)

    assert "" == done.stderr
