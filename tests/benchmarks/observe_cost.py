"""What one observation costs with every detector on: time at the start and after a million rows, and memory.

    python tests/benchmarks/observe_cost.py [ROWS] [--monitor]

Each row is timed alone by the wall clock, whose own cost is taken off. `--monitor` times `Monitor.observe` (detectors,
forecast, order) instead of the detectors alone.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator

from scalewatch.detect import DetectorSet
from scalewatch.finding import Finding
from scalewatch.guard import Guard
from scalewatch.observation import Observation
from scalewatch.run import Run

#: Rows that are timed at each place [rows].
TIMED_ROWS = 20_000

Observe = Callable[[Observation], list[Finding]]


def rows(first: int, count: int) -> Iterator[Observation]:
    """A falling loss with white noise, a constant rate and a noisy gradient norm."""
    noise = random.Random(first)
    for step in range(first, first + count):
        loss = 3.2 * step**-0.1 + 1.8 + noise.gauss(0.0, 0.03)
        yield Observation(step, loss, 1e-3, 0.5 + 0.05 * noise.random())


def timed(observe: Observe, first: int) -> tuple[float, float]:
    """Median and 99th percentile of one observation [microseconds]."""
    clock = time.perf_counter_ns
    empty = statistics.median(-clock() + clock() for _ in range(10_000))
    spent = []
    for row in list(rows(first, TIMED_ROWS)):
        began = clock()
        observe(row)
        spent.append(clock() - began - empty)
    spent.sort()
    return spent[len(spent) // 2] / 1e3, spent[int(0.99 * len(spent))] / 1e3


def feed(observe: Observe, first: int, last: int) -> None:
    for row in rows(first, last - first):
        observe(row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--monitor", action="store_true")
    args = parser.parse_args()
    run = Run("cost", total_steps=args.rows + 2 * TIMED_ROWS)
    if args.monitor:
        from scalewatch import Monitor

        observe: Observe = Monitor(run).observe
    else:
        observe = DetectorSet(run, Guard()).observe
    feed(observe, 1, 1000)
    median, late = timed(observe, 1000)
    print(f"from step {1000:>10,}: median {median:6.2f} us, p99 {late:6.2f} us")

    feed(observe, 1000 + TIMED_ROWS, args.rows // 2)
    gc.collect()
    tracemalloc.start()
    feed(observe, args.rows // 2, args.rows // 2 + 50_000)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    feed(observe, args.rows // 2 + 50_000, args.rows // 2 + 100_000)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    feed(observe, args.rows // 2 + 100_000, args.rows)

    median, late = timed(observe, args.rows)
    print(f"from step {args.rows:>10,}: median {median:6.2f} us, p99 {late:6.2f} us")
    print(f"memory grown by {grown} bytes over 50,000 rows")


if __name__ == "__main__":
    main()
