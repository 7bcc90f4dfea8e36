"""What one row costs with every detector on, beside two rules that others ship, in one run on one machine.

    python tests/benchmarks/step_cost.py [ROWS] [--rounds N] [--json]

Machines differ, so read the ratios: each round times all of them on the same 5,000 rows, one after another, by the CPU
time of the thread, and each is told by its best round. `ours` are the detectors alone, with a gradient norm; `monitor`
adds forecast, order and law. OLMo-core's rule computes its mean and deviation anew for each row, as there: of the loss
alone, or of the gradient norm too. Then ROWS rows (a million; try 10000000 once) go through the monitor: whether a
late row is as fast as an early one, by what the memory has grown, and how much of it the process has had at most.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import random
import resource
import time
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator

from scalewatch import Monitor
from scalewatch.detect import DetectorSet
from scalewatch.guard import Guard
from scalewatch.observation import Observation
from scalewatch.run import Run

#: Rows that are timed at once, and rows before the first that is: a log is long from 1,024 rows on [rows].
TIMED_ROWS, EARLY_ROWS = 5_000, 10_000

Observe = Callable[[Observation], object]


def rows(first: int, count: int) -> Iterator[Observation]:
    """A falling loss with white noise, a constant rate and a noisy gradient norm."""
    noise = random.Random(first)
    for step in range(first, first + count):
        loss = 3.2 * step**-0.1 + 1.8 + noise.gauss(0.0, 0.03)
        yield Observation(step, loss, 1e-3, 0.5 + 0.05 * noise.random())


def olmo_stability(series: int) -> Observe:
    """OLMo-core's stability rule: more than six deviations above the mean of the last 128 values, of so many series."""
    pasts: list[deque[float]] = [deque(maxlen=128) for _ in range(series)]

    def observe(row: Observation) -> bool:
        high = False
        for past, value in zip(pasts, (row.loss, row.grad_norm or 0.0), strict=False):
            count = len(past)
            if count >= 64:
                mean = sum(past) / count
                deviation = math.sqrt(sum((each - mean) ** 2 for each in past) / (count - 1))
                high = high or value > mean + 6.0 * deviation
            past.append(value)
        return high

    return observe


def megatron_spiky_loss() -> Observe:
    """Megatron's rule of its rerun machine: more than ten times the largest loss of the first hundred rows."""
    largest, seen = 0.0, 0

    def observe(row: Observation) -> bool:
        nonlocal largest, seen
        seen += 1
        if seen <= 100:
            largest = max(largest, row.loss)
            return False
        return row.loss > 10.0 * largest

    return observe


def microseconds(observe: Observe, batch: list[Observation]) -> float:
    """CPU time of a row [us]."""
    began = time.thread_time()
    for row in batch:
        observe(row)
    return 1e6 * (time.thread_time() - began) / len(batch)


def beside_others(rounds: int) -> dict[str, float]:
    """The best round of each [us a row]."""
    run = Run("cost", total_steps=10_000_000)
    watched: dict[str, Observe] = {
        "ours": DetectorSet(run, Guard()).observe,
        "monitor": Monitor(run).observe,
        "olmo_stability": olmo_stability(1),
        "olmo_stability_of_both": olmo_stability(2),
        "megatron_spiky_loss": megatron_spiky_loss(),
    }
    best = dict.fromkeys(watched, math.inf)
    for observe in watched.values():
        microseconds(observe, list(rows(1, EARLY_ROWS)))
    for number in range(rounds):
        batch = list(rows(EARLY_ROWS + 1 + number * TIMED_ROWS, TIMED_ROWS))
        for name, observe in watched.items():
            best[name] = min(best[name], microseconds(observe, batch))
    return best


def over_a_long_run(last: int, rounds: int) -> dict[str, float]:
    """An early and a late row [us], what the memory grows by from the middle on [bytes], and the most of it [MiB]."""
    observe = Monitor(Run("long", total_steps=2 * last)).observe

    def best_from(first: int) -> float:
        return min(microseconds(observe, list(rows(first + n * TIMED_ROWS, TIMED_ROWS))) for n in range(rounds))

    microseconds(observe, list(rows(1, EARLY_ROWS)))
    early = best_from(EARLY_ROWS + 1)
    step, middle = EARLY_ROWS + 1 + rounds * TIMED_ROWS, last // 2
    for row in rows(step, max(0, middle - step)):
        observe(row)
    gc.collect()
    tracemalloc.start()
    observe_all = rows(middle, 50_000)
    for row in observe_all:
        observe(row)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    for row in rows(middle + 50_000, 50_000):
        observe(row)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    for row in rows(middle + 100_000, max(0, last - middle - 100_000)):
        observe(row)
    late = best_from(last)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    return {"early_us": early, "late_us": late, "grown_bytes": float(grown), "most_mib": most}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    cost = beside_others(args.rounds)
    told = {**cost, "ours_over_olmo": cost["ours"] / cost["olmo_stability"]}
    if args.rows:
        told |= over_a_long_run(args.rows, args.rounds)
    if args.json:
        print(json.dumps(told))
        return
    for name, each in cost.items():
        print(f"{name:>22} {each:7.2f} us a row, {each / cost['olmo_stability']:5.2f} times OLMo-core's stability rule")
    if args.rows:
        print(f"{'monitor, early':>22} {told['early_us']:7.2f} us a row")
        grown = f"50,000 rows more take {told['grown_bytes']:.0f} bytes"
        print(f"{f'monitor, {args.rows:,}':>22} {told['late_us']:7.2f} us a row; {grown}")
        print(f"{'the process at most':>22} {told['most_mib']:7.1f} MiB")


if __name__ == "__main__":
    main()
