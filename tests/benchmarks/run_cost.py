"""What `scalewatch run` adds to a program that prints: CPU of the watcher, in percent of a core.

    python tests/benchmarks/run_cost.py [SECONDS] [LINES_A_SECOND]

Beside `tee` and a pass-through that does nothing else, each before the same program; from the tenth second on, and what
the start costs. Reads /proc, so on Linux.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

#: Seconds from the start on that count as the start's.
START_SECONDS = 10.0

PROGRAM = """
import random, sys, time
source, lines, until = random.Random(0), float(sys.argv[2]), time.monotonic() + float(sys.argv[1])
due, i = time.monotonic(), 0
while time.monotonic() < until:
    loss = 2 + 3 * (i + 3) ** -0.2 + source.gauss(0, 0.03)
    print(f"iter {i}: loss {loss:.4f}, lr 3.000e-04, time {10 + source.random():.2f}ms", flush=True)
    i, due = i + 1, due + 1 / lines
    time.sleep(max(due - time.monotonic(), 0.0))
"""
#: A line at a time and no more: read, write, write.
PASS = """
import os, sys
copy = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
while chunk := os.read(0, 1 << 16):
    os.write(1, chunk)
    os.write(copy, chunk)
"""


def cpu(pid: int) -> float:
    """CPU seconds of a process, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(process: subprocess.Popen[bytes], seconds: float) -> tuple[float, float]:
    """CPU of the start [s], and of the time after it [% of a core]."""
    time.sleep(START_SECONDS)
    start, began = cpu(process.pid), time.monotonic()
    time.sleep(seconds - START_SECONDS - 2.0)
    steady = 100 * (cpu(process.pid) - start) / (time.monotonic() - began)
    process.wait()
    return start, steady


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", nargs="?", type=float, default=60.0)
    parser.add_argument("lines", nargs="?", type=float, default=100.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, "-c", PROGRAM, str(asked.seconds), str(asked.lines)]
        copy = str(Path(folder, "copy"))
        rivals = {"tee": ["tee", copy], "read, write, write": [sys.executable, "-c", PASS, copy]}
        print(f"{asked.lines:g} lines a second        start [s CPU]   then [% of a core]")
        for name, rival in rivals.items():
            source = subprocess.Popen(program, stdout=subprocess.PIPE)
            process = subprocess.Popen(rival, stdin=source.stdout, stdout=subprocess.DEVNULL)
            print(f"{name:<27}{{:13.2f}} {{:20.2f}}".format(*measured(process, asked.seconds)))
        ours = [sys.executable, "-m", "scalewatch", "run", "--quiet", "--folder", folder, "--", *program]
        process = subprocess.Popen(ours, stdout=subprocess.DEVNULL)
        print(f"{'scalewatch run':<27}{{:13.2f}} {{:20.2f}}".format(*measured(process, asked.seconds)))


if __name__ == "__main__":
    main()
