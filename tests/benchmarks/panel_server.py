"""What the TensorBoard plugin costs its server: start, memory, latency, and how soon a long run is there.

    python tests/benchmarks/panel_server.py [ROWS]

Each TensorBoard is a process of its own over an event file of ROWS steps (a million if not said), with the plugin and
without, in turn. Latencies are of HTTP requests from this process, idle and while the run is watched in the background.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "integrations")]

from tests.scalewatch_tensorboard.http import ask  # noqa: E402
from tests.scalewatch_tensorboard.logs import long_log  # noqa: E402

STARTS = 9
#: Starts a TensorBoard with or without our plugin, the same way.
PROGRAM = """
import sys
from tensorboard import default, main, program
wanted = sys.argv.pop(1) == "with"
plugins = [p for p in default.get_plugins() if wanted or p.__module__.partition(".")[0] != "scalewatch_tensorboard"]
board = program.TensorBoard(plugins)
board.configure(sys.argv)
sys.exit(board.main())
"""
ROUTES = (
    ("runs", {}),
    ("run", {"run": "long"}),
    ("chart", {"run": "long", "chart": "run", "width": 1200}),
    ("chart", {"run": "long", "chart": "run", "from": 400_000, "to": 420_000}),
    ("chart", {"run": "long", "chart": "health"}),
    ("rows", {"run": "long", "format": "csv"}),
    ("index.js", {}),
)


@contextmanager
def board(logdir: Path, cache: Path, plugin: str) -> Iterator[tuple[str, psutil.Process, float]]:
    """A TensorBoard: its address, its process, and how long it took to answer [s]."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.perf_counter()
    flags = ["--logdir", str(logdir), "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, plugin, *flags],
        env=os.environ | {"XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        while True:
            try:
                urllib.request.urlopen(url + "data/environment", timeout=30).read()
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None
                assert time.perf_counter() - began < 120
                time.sleep(0.005)
        yield url, psutil.Process(process.pid), time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(30)


def starts(logdir: Path, cache: Path) -> None:
    """Start time with and without the plugin, in turn; also in CPU seconds, which other work disturbs less."""
    seconds: dict[str, list[float]] = {"without": [], "with": []}
    cpu: dict[str, list[float]] = {"without": [], "with": []}
    for _ in range(STARTS):
        for plugin in seconds:
            with board(logdir, cache, plugin) as (_, process, took):
                seconds[plugin].append(took)
                cpu[plugin].append(sum(process.cpu_times()[:2]))
    best = {plugin: min(took) for plugin, took in seconds.items()}
    middle = {plugin: statistics.median(took) for plugin, took in seconds.items()}
    print(f"start, best of {STARTS}: {best['without']:.2f} s without, {best['with']:.2f} s with the plugin")
    ratios = [seconds["with"] / seconds["without"] for seconds in (best, middle)]
    least = min(cpu["with"]) / min(cpu["without"])
    print(f"  with over without: best {ratios[0]:.3f}, median {ratios[1]:.3f}, least CPU {least:.3f}")


def latencies(url: str, title: str, count: int) -> None:
    """How long each route takes."""
    print(f"{title}: ms, median and worst of {count}; bytes before gzip")
    for route, parameters in ROUTES:
        taken, size, status = [], 0, 0
        for _ in range(count):
            began = time.perf_counter()
            reply = ask(url, route, **parameters)
            taken.append(1e3 * (time.perf_counter() - began))
            size, status = len(reply.body), reply.status
        said = " ".join(f"{name}={value}" for name, value in parameters.items() if name != "run")
        print(f"  /{route} {said:<36} {statistics.median(taken):7.1f} {max(taken):7.1f} {size:>9,} ({status})")


def row_of(url: str) -> dict[str, Any]:
    rows = ask(url, "runs").json["runs"]
    return dict(rows[0]) if rows else {"rows": 0, "read": 0.0, "stage": "waiting"}


def long_run(logdir: Path, cache: Path, count: int, title: str) -> None:
    """How soon a long run is there, and what it costs."""
    with board(logdir, cache, "with") as (url, process, _):
        began = time.perf_counter()
        while not ask(url, "runs").json["runs"]:
            time.sleep(0.02)
        first = None
        while first is None:
            reply = ask(url, "chart", run="long", chart="run")
            first = time.perf_counter() - began if reply.json.get("$schema") else None
        print(f"{title}: first chart {first:.2f} s after the server answered, from {row_of(url)['rows']:,} rows")
        while row_of(url)["rows"] < count:
            time.sleep(0.05)
        print(f"  the whole curve after {time.perf_counter() - began:.1f} s")
        if row_of(url)["read"] < 1:
            latencies(url, "while it is watched", 12)
        most = 0
        while row_of(url)["read"] < 1:
            most = max(most, process.memory_info().rss)
            time.sleep(0.25)
        cpu = sum(process.cpu_times()[:2])
        print(f"  watched to its end after {time.perf_counter() - began:.1f} s, {cpu:.1f} s of CPU")
        time.sleep(3)
        now = process.memory_info().rss
        print(f"  memory {now / 1e6:.0f} MB, at most {max(most, now) / 1e6:.0f} MB")
        latencies(url, "idle", 25)
        print(f"  memory after all charts {process.memory_info().rss / 1e6:.0f} MB")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="?", type=int, default=1_000_000)
    count = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as made:
        logdir, cache = Path(made) / "logs", Path(made) / "cache"
        long_log(logdir / "long", count, count // 2, 5.0)
        os.utime(next((logdir / "long").iterdir()), (time.time() - 86_400,) * 2)
        starts(logdir, cache)
        with board(logdir, cache, "without") as (url, process, _):
            urllib.request.urlopen(url + "data/plugins_listing", timeout=30).read()
            time.sleep(5)
            print(f"memory without the plugin: {process.memory_info().rss / 1e6:.0f} MB")
        long_run(logdir, cache, count, "without a cache")
        long_run(logdir, cache, count, "with a cache")


if __name__ == "__main__":
    main()
