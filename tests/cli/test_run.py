"""`scalewatch run -- CMD`: the output of a program passes through, and its training is watched."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scalewatch.logs import open_logs

#: Longest time that a busy machine may take [s].
PATIENCE_SECONDS = 60.0
RUN = (sys.executable, "-c", "from scalewatch.cli import main; main()", "run", "--every", "0.2", "--folder")
#: Prints a training that is lost at its end, in colours, bytes that are no text, and words on stderr; ends with code 3.
PROGRAM = r"""
import sys
out = sys.stdout.buffer
out.write(b"\x1b[32mbegin\x1b[0m \xff\xfe\r\n")
for i in range(300):
    loss = 2.0 + 2.0 * 0.98**i + 0.01 * (i * 7 % 5) if i < 250 else float("nan")
    out.write(f"step {i}/1000 | loss {loss:.4f} | lr 1e-4\n".encode())
out.write(b" 10%|#   | 30/300 [00:01<00:09]\r 20%|##  | 60/300 [00:02<00:08]\rno end")
print("a warning", file=sys.stderr)
sys.exit(3)
"""


def program(folder: Path, text: str = PROGRAM) -> list[str]:
    (folder / "train.py").write_text(text)
    return [*RUN, str(folder / "run"), "--", sys.executable, str(folder / "train.py")]


def test_the_output_of_a_program_passes_through_to_the_byte_with_its_exit_code(tmp_path: Path) -> None:
    """stdout is what it would be, stderr has our lines beside the program's, and code 3 is code 3."""
    command = program(tmp_path)
    alone = subprocess.run(command[command.index("--") + 1 :], capture_output=True, timeout=PATIENCE_SECONDS)
    ours = subprocess.run(command, capture_output=True, timeout=PATIENCE_SECONDS)
    quiet = subprocess.run([*command[:4], "--quiet", *command[4:]], capture_output=True, timeout=PATIENCE_SECONDS)

    assert (alone.returncode, alone.stdout) == (ours.returncode, ours.stdout)
    assert b"a warning\n" in ours.stderr
    assert (alone.stdout, alone.stderr) == (quiet.stdout, quiet.stderr)


def test_output_and_errors_that_go_to_one_place_keep_their_order(tmp_path: Path) -> None:
    """After `2>&1` a bar on stderr and the rows on stdout stand as they were printed, however fast that was."""
    text = """
import os
for i in range(400):
    os.write(1 + i % 2, b"step %d | loss %.3f\\n" % (i, 4 - 0.001 * i))
"""
    ours = subprocess.run(
        [*program(tmp_path, text)[:4], "--quiet", *program(tmp_path, text)[4:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE_SECONDS,
    )

    assert [f"step {i}" for i in range(400)] == [line.partition(" |")[0] for line in ours.stdout.decode().splitlines()]


def test_what_is_found_is_said_and_stands_in_a_journal(tmp_path: Path) -> None:
    """The loss that is no number is told while the program runs, and `replay` reads the run from the journal, once."""
    ours = subprocess.run(program(tmp_path), capture_output=True, timeout=PATIENCE_SECONDS)
    opened = open_logs([tmp_path / "run"])
    (log,) = opened.logs
    rows = list(log.rows())

    assert b"scalewatch: step 252: critical" in ours.stderr
    assert b"LOST" in ours.stderr
    assert (300, 1000) == (len(rows), log.run.total_steps)
    assert any("console.log" in line for line in opened.passed_over)


def test_a_program_without_a_loss_is_left_alone(tmp_path: Path) -> None:
    """It is said that nothing was watched, and the exit code is the program's."""
    ours = subprocess.run(program(tmp_path, "print('hello')"), capture_output=True, timeout=PATIENCE_SECONDS)

    assert (0, b"hello\n") == (ours.returncode, ours.stdout)
    assert b"nothing was watched" in ours.stderr


def test_a_program_has_the_environment_that_it_would_have_without_us(tmp_path: Path) -> None:
    """Also of the threads of numpy, of which we take one; what the run itself is told is told beside."""
    shown = "import json, os\nprint(json.dumps(dict(os.environ)))\n"
    told = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    command = program(tmp_path, shown)

    ours = subprocess.run(command, capture_output=True, env=told, timeout=PATIENCE_SECONDS)
    alone = subprocess.run(command[command.index("--") + 1 :], capture_output=True, env=told, timeout=PATIENCE_SECONDS)
    added = json.loads(ours.stdout).keys() - json.loads(alone.stdout).keys()

    assert [] == [name for name in added if not name.startswith(("SCALEWATCH_", "PYTHONUNBUFFERED"))]


def test_a_program_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """Exit code 2, as for every mistake in a command."""
    ours = subprocess.run(
        [*RUN, str(tmp_path), "--", "/no/such/program"], capture_output=True, timeout=PATIENCE_SECONDS
    )

    assert 2 == ours.returncode
    assert ours.stderr.startswith(b"scalewatch: /no/such/program cannot be started")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_signal_reaches_the_program_and_how_it_ended_is_how_we_end(tmp_path: Path) -> None:
    """One that catches SIGTERM ends as it wants; one that does not is ended by it, and so are we."""
    catches = (
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True)\ntime.sleep(60)\n"
    )
    plain = "import time\nprint('ready', flush=True)\ntime.sleep(60)\n"
    ends = []
    for name, text in (("catches", catches), ("plain", plain)):
        (tmp_path / name).mkdir()
        ours = subprocess.Popen(program(tmp_path / name, text), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert ours.stdout is not None
        assert b"ready\n" == ours.stdout.readline()
        ours.send_signal(signal.SIGTERM)
        ends.append(ours.wait(PATIENCE_SECONDS))
        ours.stdout.close()

    assert [7, -signal.SIGTERM] == ends


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_on_a_terminal_the_program_has_a_terminal_of_the_same_size(tmp_path: Path) -> None:
    """So its colours and bars are what they were; nothing is added to the ends of its lines."""
    pty = pytest.importorskip("pty")
    text = "import os, sys\nprint(sys.stdout.isatty(), os.get_terminal_size())\n"
    command = program(tmp_path, text)
    child, terminal = pty.fork()
    if child == 0:
        os.execv(command[0], [*command[:4], "--quiet", *command[4:]])
    seen, ends = b"", time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 1 << 16)
            except OSError:
                break
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert 0 == code
    assert seen.startswith(b"True os.terminal_size(columns=")
    assert seen.endswith(b")\r\n")
