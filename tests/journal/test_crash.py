"""Processes that are killed, that fork, and that end as processes do: real ones, every time."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scalewatch.journal import read_journal

ROOT = Path(__file__).resolve().parent.parent.parent

PREAMBLE = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
sys.path.insert(0, sys.argv[1])
from scalewatch.finding import Finding, Kind, Severity
from scalewatch.journal import JournalLimits, JournalWriter, finding_record, observation_record, read_journal
from scalewatch.observation import Observation
from scalewatch.run import Run
from scalewatch.worker import Worker

def row(step):
    return observation_record(Observation(step, 3.0, 1e-3, 1.5))

def finding(step):
    return finding_record(Finding(Kind.SPIKE, Severity.WARNING, step, step, "a spike"))
"""


def start(script: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + script, str(ROOT), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"SCALEWATCH_STRICT": "0"},
    )


def end(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    """Status, output and errors of a process that comes to its end by itself."""
    try:
        out, err = process.communicate(timeout=600)
    finally:
        process.kill()
    return process.returncode, out.decode(), err.decode()


# --- kill -9 --------------------------------------------------------------------------------------

#: A thousand a second, one in so many a finding. What was appended is told in a pipe, with its time and with how late a
#: thread that does nothing but wait has been woken: so late the one that writes may be too.
STEPS_BY_THE_THOUSAND = """
PAUSE = 0.05
late, due = 0.0, time.monotonic() + PAUSE

def wait():
    global late, due
    while True:
        due = time.monotonic() + PAUSE
        time.sleep(PAUSE)
        late = max(late, time.monotonic() - due)

threading.Thread(target=wait, daemon=True).start()
worker = Worker()
writer = JournalWriter(sys.argv[2], Run("killed"), worker=worker)
worker.start()
began = time.monotonic()
for step in range(1, 100_000):
    if step % int(sys.argv[3]) == 0:
        writer.append_through(finding(step))
    else:
        writer.append(row(step))
    now = time.monotonic()
    os.write(1, b"%d %.6f %.6f\\n" % (step, now, max(late, now - due)))
    time.sleep(max(0.0, began + step / 1e3 - time.monotonic()))
"""

KILLS = 12
AT_ONCE = 12

FINDING_EVERY = 100

#: What a kill may cost [s], beyond how late a busy machine comes to another thread, twice: once to the writer's pause,
#: once to its write.
LOST_SECONDS, LATE_TIMES = 0.5, 2.0


def kill_at(seconds: list[float], folders: list[Path]) -> list[list[tuple[int, float, float]]]:
    """Kill runs so long after their first step; step, time and lateness of all that each had appended."""
    # A finding has everything written; so half of the runs have none.
    every = (FINDING_EVERY, 10**9)
    processes = [start(STEPS_BY_THE_THOUSAND, folder, every[i % 2]) for i, folder in enumerate(folders)]
    told = [b""] * len(processes)
    deadlines = []
    for i, process in enumerate(processes):
        assert process.stdout is not None
        told[i] = process.stdout.readline()
        deadlines.append((time.monotonic() + seconds[i], i))
    for deadline, i in sorted(deadlines):
        time.sleep(max(0.0, deadline - time.monotonic()))
        processes[i].send_signal(signal.SIGKILL)
    for i, process in enumerate(processes):
        told[i] += process.communicate(timeout=600)[0]
    lines = [[line.split() for line in output.splitlines() if line.count(b" ") == 2] for output in told]
    return [[(int(step), float(at), float(late)) for step, at, late in run] for run in lines]


def lost_by(folder: Path, run: list[tuple[int, float, float]], *, with_findings: bool) -> float:
    """How long before its end the first row that is lost was appended [s], less how late its threads were.

    The journal is whole up to there. A finding that another row has followed is never lost.
    """
    journal = read_journal(folder)
    through = {finding.step for finding in journal.findings}
    kept = {row.step for row in journal.observations} | through
    last_step, last_at, late = run[-1]
    lost = [(step, last_at - at - LATE_TIMES * late) for step, at, _ in run if step not in kept]
    findings = [step for step, _ in lost if with_findings and step % FINDING_EVERY == 0 and step != last_step]

    assert [] == findings
    assert set(range(1, len(kept) + 1)) == kept
    assert {"the file ends within this record"} >= {damage.reason for damage in journal.damage}
    return max((seconds for _, seconds in lost), default=0.0)


def losses_of(kills: int, folder: Path) -> list[float]:
    """Kill so many runs, each at a random moment of its first second and a half; what each has lost [s]."""
    chance = random.Random(7)
    losses = []
    for first in range(0, kills, AT_ONCE):
        folders = [folder / str(first + i) for i in range(min(AT_ONCE, kills - first))]
        runs = kill_at([chance.uniform(0.0, 1.6) for _ in folders], folders)
        pairs = zip(folders, runs, strict=True)
        losses += [lost_by(folder, run, with_findings=i % 2 == 0) for i, (folder, run) in enumerate(pairs)]
    return losses


def test_a_killed_run_loses_half_a_second_at_most_and_no_finding(tmp_path: Path) -> None:
    """At a dozen random moments: readable, in order, without a hole, and so much of it."""
    losses = losses_of(KILLS, tmp_path)

    assert max(losses) <= LOST_SECONDS


@pytest.mark.soak
def test_of_five_hundred_killed_runs_none_loses_a_finding(tmp_path: Path) -> None:
    """The same, long enough to meet what is rare."""
    losses = losses_of(500, tmp_path)
    assert max(losses) <= LOST_SECONDS


SLOW = """
worker = Worker()
writer = JournalWriter(sys.argv[2], Run("slow"), worker=worker)
worker.start()
write = os.write
os.write = lambda descriptor, data: (time.sleep(0.3), write(descriptor, data))[1]
took = []
for step in range(1, 60):
    began = time.monotonic()
    if step % 5 == 0:
        writer.append_through(finding(step))
    else:
        writer.append(row(step))
    took.append(time.monotonic() - began)
    time.sleep(0.01)
os.write = write
print(sum(seconds > 0.04 for seconds in took), max(took) < 0.3, worker.close())
"""


def test_a_disk_that_hangs_is_waited_for_once_and_not_each_time(tmp_path: Path) -> None:
    """A write of .3 s: the row behind a finding waits a twentieth of a second, and until the disk is back no other."""
    _, out, err = end(start(SLOW, tmp_path))

    assert "" == err
    waits, short, closed = out.split()
    assert (True, "True", "True") == (int(waits) <= 3, short, closed)
    assert 59 == len(read_journal(tmp_path).observations) + len(read_journal(tmp_path).findings)


# --- how a process ends ---------------------------------------------------------------------------

A_RUN = """
worker = Worker(60.0)
writer = JournalWriter(sys.argv[2], Run("ends"), worker=worker)
worker.start()
for step in range(1, 101):
    writer.append(row(step))
"""


@pytest.mark.parametrize(
    ("ending", "status", "said"),
    [
        ("", 0, ""),
        ("worker.close()", 0, ""),
        ("worker.close(); worker.close(); writer.close()", 0, ""),
        ("import atexit; atexit.register(worker.close)", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("raise ValueError('in training')", 1, "ValueError"),
        ("signal.raise_signal(signal.SIGINT)", -signal.SIGINT, "KeyboardInterrupt"),
        ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(5)); signal.raise_signal(signal.SIGTERM)", 5, ""),
        ("threading.Thread(target=time.sleep, args=(0.2,)).start()", 0, ""),
        ("os.fork() or sys.exit(0); os.wait()", 0, ""),
    ],
)
def test_however_a_process_ends_its_last_record_is_written(tmp_path: Path, ending: str, status: int, said: str) -> None:
    """Closed or not: all rows, the closing record, and no word of ours on the terminal."""
    code, _, err = end(start(A_RUN + ending, tmp_path))

    assert status == code
    assert (said in err) if said else err == ""
    assert "scalewatch" not in err
    journal = read_journal(tmp_path)
    assert list(range(1, 101)) == [row.step for row in journal.observations]
    assert (1, []) == (len(journal.segments), journal.damage)
    assert journal.segments[0].closing is not None


def test_a_process_that_does_not_end_properly_is_at_least_silent(tmp_path: Path) -> None:
    """os._exit, or a worker that nobody started and nobody closed: readable, and nothing is printed."""
    code, _, err = end(start(A_RUN + "os._exit(0)", tmp_path))
    assert (0, "") == (code, err)
    assert 1 == len(read_journal(tmp_path).segments)

    code, _, err = end(start("writer = JournalWriter(sys.argv[2], Run('x')); writer.append(row(1))", tmp_path))
    assert (0, "") == (code, err)


def test_a_hung_disk_does_not_keep_a_process_alive(tmp_path: Path) -> None:
    """It gets two seconds, then the process ends, silently."""
    began = time.monotonic()
    code, _, err = end(start(A_RUN + "os.write = lambda fd, data: time.sleep(50)", tmp_path))

    assert (0, "") == (code, err)
    assert time.monotonic() - began < 30


# --- forks ----------------------------------------------------------------------------------------

FORKS = """
signal.alarm(40)
worker = Worker(0.001)
writer = JournalWriter(sys.argv[2], Run("forks"), worker=worker, limits=JournalLimits(capacity=1_000_000))
worker.start()
step = 0
for fork in range(12):
    for _ in range(200):
        step += 1
        writer.append(row(step))
    locks = [lock for i, lock in enumerate([worker._lock, writer._io, worker._done._cond]) if fork >> i & 1]
    for lock in locks:
        lock.acquire()
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        assert writer.waiting == 0
        for i in range(2_000):
            writer.append(row(1_000_000 + i))
            writer.append_through(finding(1_000_000 + i))
        assert writer.waiting == 0
        writer.drain()
        assert not worker.start()
        assert worker.close()
        writer.close()
        mine = JournalWriter(sys.argv[3] + str(fork), Run("child"))
        mine.append(row(1))
        assert mine.close()
        if fork % 2:
            sys.exit(0)  # and with it the hooks at the end of a process
        os._exit(0)
    for lock in reversed(locks):
        lock.release()
    assert os.waitpid(child, 0)[1] == 0
assert worker.close(20.0)
"""


def test_a_forked_child_neither_writes_nor_hangs(tmp_path: Path) -> None:
    """While the worker writes and locks are held: the parent's journal is the parent's alone."""
    code, _, err = end(start(FORKS, tmp_path / "parent", tmp_path / "child"))

    assert (0, "") == (code, err)
    journal = read_journal(tmp_path / "parent")
    assert list(range(1, 2_401)) == [row.step for row in journal.observations]
    assert (1, [], []) == (len(journal.segments), journal.findings, journal.damage)
    assert 13 == len(os.listdir(tmp_path))


POOL = """
import multiprocessing

worker = Worker(0.001)
writer = JournalWriter(sys.argv[2], Run("pool"), worker=worker)
worker.start()

def observe(step):
    writer.append(row(step))
    writer.append_through(finding(step))
    writer.drain()
    return writer.waiting

if __name__ == "__main__":
    for step in range(1, 11):
        writer.append(row(step))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(observe, range(100, 120)) == [0] * 20
    assert worker.close(20.0)
"""


def test_the_processes_of_a_data_loader_have_no_part_in_it(tmp_path: Path) -> None:
    """A pool of forked processes that are handed the writer: they leave the file alone, and end."""
    code, _, err = end(start(POOL, tmp_path))

    assert (0, "") == (code, err)
    assert list(range(1, 11)) == [row.step for row in read_journal(tmp_path).observations]
