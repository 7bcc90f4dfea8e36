"""`scalewatch watch` beside a real process that writes a log."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalewatch.cli.braille import layer, plot
from scalewatch.text import duration

COMMAND = [sys.executable, "-c", "from scalewatch.cli import main; main()", "watch"]
PATIENCE_SECONDS = 240.0
#: Writes 400 rows at once, then a row each 10 ms; the loss turns into NaN at step 450.
WRITER = """
import math, sys, time
with open(sys.argv[1], "w") as log:
    log.write("step,loss,lr,time\\n")
    for step in range(1, 5000):
        loss = float("nan") if step >= 450 else 2 + 4 * step**-0.4 + 0.01 * math.sin(7 * step)
        log.write(f"{step},{loss},0.001,{1e9 + 0.25 * step}\\n")
        log.flush()
        if step > 400:
            time.sleep(0.01)
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Begin to write logs in processes of their own, which end with the test."""
    begun: list[subprocess.Popen[bytes]] = []

    def write(name: str) -> Path:
        (tmp_path / "runs").mkdir(exist_ok=True)
        begun.append(subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "runs" / name)]))
        return tmp_path / "runs" / name

    yield write
    for process in begun:
        process.kill()
        process.wait()


def until(process: subprocess.Popen[bytes], words: str) -> str:
    """Read what a process says until `words` are in it."""
    assert process.stdout is not None
    said, ends = "", time.monotonic() + PATIENCE_SECONDS
    while words not in said and time.monotonic() < ends:
        if select.select([process.stdout], [], [], 0.2)[0]:
            # not readline: what it reads too much of, select does not see
            said += os.read(process.stdout.fileno(), 1 << 16).decode()
    assert words in said, said
    return said


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Watch a folder in which nothing is yet, without a terminal."""
    (tmp_path / "runs").mkdir()
    process = subprocess.Popen(
        [*COMMAND, str(tmp_path / "runs"), "--every", "0.2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    yield process
    process.kill()
    process.communicate()


def test_without_a_terminal_each_finding_is_a_line_and_ctrl_c_ends_it(
    watching: subprocess.Popen[bytes], writer: Callable[[str], Path]
) -> None:
    """It waits for a log that is not there yet, follows it, says NaN when it comes, and ends with 0."""
    until(watching, "waiting for a log")
    writer("live.csv")
    until(watching, "loss is nan at step 450")

    watching.send_signal(signal.SIGINT)
    _, complaints = watching.communicate(timeout=PATIENCE_SECONDS)

    assert 0 == watching.returncode
    assert b"Traceback" not in complaints
    assert b"live: LOST" in complaints


def test_in_a_terminal_a_frame_is_drawn_until_ctrl_c(tmp_path: Path, writer: Callable[[str], Path]) -> None:
    """The whole picture, in a pseudo-terminal: verdict, step, curve; the screen is given back at the end."""
    pty = pytest.importorskip("pty")
    writer("live.csv")
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS="100", LINES="30")
        os.environ.pop("NO_COLOR", None)
        os.execv(sys.executable, [*COMMAND, str(tmp_path / "runs"), "--every", "0.2", "--total-steps", "5000"])
    seen, ends, asked = b"", time.monotonic() + PATIENCE_SECONDS, False
    while time.monotonic() < ends:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 1 << 16)
            except OSError:  # the other side is closed: it has ended
                break
        if not asked and b"LOST" in seen and b"of 5,000" in seen:
            asked = True
            os.write(terminal, b"\x03")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert 0 == status
    assert any("⠀" < letter <= "⣿" for letter in seen.decode(errors="replace"))
    assert seen.rindex(b"\x1b[?1049l") > seen.rindex(b"\x1b[?1049h")
    assert b"Traceback" not in seen


def test_once_prints_one_frame_with_speed_and_time_left(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """Four steps a second by the log's own clock, whatever the time of the file says."""
    log = tmp_path / "run.csv"
    rows = [f"{i},{2 + 4 * i**-0.4 + 0.01 * (i % 3)},0.001,{1e9 + 0.25 * i}" for i in range(1, 1001)]
    log.write_text("step,loss,lr,time\n" + "\n".join(rows) + "\n")

    said = scalewatch("watch", log, "--once", "--total-steps", 5000)

    assert 0 == said.code, said.err
    for words in ("healthy", "1,000 of 5,000", "16:40 min left", "steps/s 4 ", "rate 0.001", "forecast", "⠉"):
        assert words in said.out


def test_several_runs_are_a_table_with_the_worst_first(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """And the newest findings below, with the name of their run."""
    for name, end in (("fine", 3.0), ("broken", float("nan"))):
        rows = [f"{i},{3.0 + 0.01 * (i % 3) if i < 90 else end}" for i in range(1, 100)]
        (tmp_path / f"{name}.csv").write_text("step,loss\n" + "\n".join(rows) + "\n")

    said = scalewatch("watch", tmp_path, "--once")

    assert said.out.index("broken") < said.out.index("fine")
    assert "loss is nan at step 90" in said.out


def test_a_log_that_begins_without_a_loss_is_taken_when_it_has_one(tmp_path: Path) -> None:
    """Lightning's metrics.csv may begin with the rate alone."""
    from scalewatch.cli.watch_folder import Folder
    from scalewatch.offline.replayed import Settings

    (tmp_path / "metrics.csv").write_text("epoch,step,lr-AdamW\n0,1,0.1\n")
    folder = Folder([tmp_path], Settings())
    folder.look(0.0)
    assert [] == folder.runs

    (tmp_path / "metrics.csv").write_text("epoch,step,lr-AdamW,train_loss\n0,1,0.1,\n0,1,,3.0\n0,2,,2.9\n")
    folder.look(1000.0)

    assert [2] == [run.step for run in folder.runs]


@pytest.mark.parametrize("option", [("--every", 0), ("--total-steps", 0), ("--format", "excel")])
def test_options_out_of_range_are_one_line(
    option: tuple[str, Any], tmp_path: Path, scalewatch: Callable[..., Any]
) -> None:
    """Exit 2 and the name of the option."""
    said = scalewatch("watch", tmp_path, *option)

    assert 2 == said.code
    assert option[0] in said.err


def test_a_curve_is_drawn_where_it_is() -> None:
    """A line that falls goes from the upper left to the lower right; a spike of one row is in it."""
    steps = np.arange(1.0, 1001)
    falling = 3.0 - steps / 1000
    drawn = [line.plain[8:] for line in plot([layer(steps, falling, "white")], 48, 11, 1000.0)][:-1]

    ink = [[ord(letter) > 0x2800 for letter in line] for line in drawn]
    assert ink[0].index(True) < ink[5].index(True) < ink[-1].index(True)
    falling[500] = 3.5
    spiked = [line.plain[8:] for line in plot([layer(steps, falling, "white")], 48, 11, 1000.0)][:-1]
    assert all(ord(line[20]) > 0x2800 for line in spiked[:3])


@pytest.mark.parametrize("values", [[], [np.nan], [1.0], [2.0, 2.0], [0.0, 1e300], [-1.0, 5.0]])
def test_any_curve_can_be_drawn(values: list[float]) -> None:
    """Of any size and value, and each line has the width that was asked for."""
    lines = plot([layer(np.arange(1.0, len(values) + 1), values, "white")], 40, 8, 10.0)

    assert 8 == len(lines)
    assert {40} >= {line.cell_len for line in lines}


def test_times_read_well() -> None:
    """Minutes, hours, days."""
    assert ["0:59 min", "2:00 h", "3.0 days"] == [duration(59), duration(7200), duration(259_200)]
