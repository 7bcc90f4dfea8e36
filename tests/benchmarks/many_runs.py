"""How soon TensorBoard's tab knows thousands of runs, and what that costs.

    python tests/benchmarks/many_runs.py [2000x500 10000x500 10x1000000]

Each folder is RUNSxROWS event files, all finished. Times are from when TensorBoard answers: to the first row, to all
names, to all states that last rows tell, to all runs watched in full; then the same from kept rows, after a second
start. Memory is that of TensorBoard with the tab and of the processes beside it, without TensorBoard's own data
server; CPU is of the same.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "integrations")]

from tests.benchmarks.panel_server import board  # noqa: E402
from tests.scalewatch_tensorboard.http import ask  # noqa: E402
from tests.scalewatch_tensorboard.logs import long_log  # noqa: E402

SHAPES = ("2000x500", "10000x500", "10x1000000")
#: No shape is waited for longer [s].
MOST_SECONDS = 1_800.0
#: What a run is before it is watched in full.
UNREAD = ("waiting", "reading", "glanced")


def folder_of(top: Path, runs: int, rows: int) -> None:
    """Write the same event file so many times."""
    long_log(top / "first", rows, rows // 2, 5.0)
    source = next((top / "first").iterdir())
    data, name = source.read_bytes(), source.name
    shutil.rmtree(top / "first")
    before = (time.time() - 86_400,) * 2
    for number in range(runs):
        folder = top / f"sweep_{number // 100:03}" / f"run_{number:05}"
        folder.mkdir(parents=True)
        (folder / name).write_bytes(data)
        os.utime(folder / name, before)


class Meter:
    """Memory and CPU of TensorBoard and of the processes beside it."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._cpu: dict[int, float] = {}
        self.peak = 0

    def look(self) -> None:
        """Take what there is now."""
        total = 0
        for one in (self._process, *self._process.children(recursive=True)):
            try:
                if "server" in one.name():
                    continue
                total += one.memory_info().rss
                self._cpu[one.pid] = sum(one.cpu_times()[:2])
            except psutil.Error:
                continue
        self.peak = max(self.peak, total)

    @property
    def cpu(self) -> float:
        """So far [s]."""
        return sum(self._cpu.values())


def follow(url: str, meter: Meter, runs: int, title: str) -> None:
    """Ask as a page does until all runs are read, and print when what was there."""
    began = time.perf_counter()
    rows: dict[str, dict[str, object]] = {}
    epoch, version, when = "", 0, dict[str, float]()
    while time.perf_counter() - began < MOST_SECONDS:
        answer = ask(url, "runs", epoch=epoch, **({"since": version} if version else {})).json
        epoch, version = answer["epoch"], answer["version"]
        rows |= {row["name"]: row for row in answer["runs"]}
        meter.look()
        now = time.perf_counter() - began
        if rows:
            when.setdefault("first row", now)
        if len(rows) == runs:
            when.setdefault("all names", now)
        if len(rows) == runs and all(row["step"] for row in rows.values()):
            when.setdefault("all states", now)
            if not any(row["stage"] in UNREAD for row in rows.values()):
                when.setdefault("all in full", now)
                break
        if not answer["more"]:
            time.sleep(0.1)
    told = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in when.items())
    print(f"{title}: {told}; at most {meter.peak / 1e6:.0f} MB; {meter.cpu:.1f} s of CPU with the start", flush=True)


def main() -> None:
    """Print a line for each shape and start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", default=SHAPES, metavar="RUNSxROWS")
    for shape in parser.parse_args().shapes:
        runs, rows = (int(part) for part in shape.split("x"))
        with tempfile.TemporaryDirectory() as made:
            folder_of(Path(made) / "logs", runs, rows)
            for title in ("first start", "second start"):
                with board(Path(made) / "logs", Path(made) / "cache", "with") as (url, process, _):
                    follow(url, Meter(process), runs, f"{runs:,} runs of {rows:,} rows, {title}")
                    time.sleep(4)  # the rows are kept meanwhile


if __name__ == "__main__":
    main()
