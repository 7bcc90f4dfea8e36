"""Ten million steps through the monitor: what a run of months must not make grow."""

from __future__ import annotations

import gc
import json
import random
import subprocess
import sys
import time

import psutil
import pytest

from scalewatch.monitor import Monitor
from scalewatch.observation import Observation
from scalewatch.run import Run

#: The most that memory grows after the first part, and that the state takes, whatever the length of the run [bytes].
MOST_GROWTH_BYTES = 1 << 20
MOST_STATE_BYTES = 64 << 10


def own_memory_bytes() -> int:
    """What this process alone holds: measured from outside, for a tracer of allocations makes a step take seven times
    as long."""
    gc.collect()
    return int(psutil.Process().memory_full_info().uss)


def watched(steps: int) -> dict[str, float]:
    """What watching a run of so many steps costs: bytes grown and of the state, pages, seconds."""
    noise = random.Random(7)
    monitor = Monitor(Run("soak", total_steps=steps))
    settled, pages = max(steps // 100, 5_000), 0
    began = time.process_time()
    before = 0

    for step in range(1, steps + 1):
        loss = 1.8 + 3.2 * step**-0.1 + noise.gauss(0.0, 0.03)
        pages += sum(finding.pages for finding in monitor.observe(Observation(step, loss, 1e-3)))
        if step == settled:
            before = own_memory_bytes()
    grown = own_memory_bytes() - before

    state = len(json.dumps(monitor.state_dict()))
    return {"grown": grown, "state": state, "pages": pages, "seconds": time.process_time() - began}


@pytest.mark.parametrize("steps", [pytest.param(20_000), pytest.param(10_000_000, marks=pytest.mark.soak)])
def test_memory_and_state_stay_flat_however_long_the_run(steps: int) -> None:
    """Memory after the first hundredth stays within a MiB, the state within 64 KiB, and nobody is woken.

    In a process that does nothing else: threads of a browser or of torch hold and give back memory as they like.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.test_soak", str(steps)], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)

    print(f"{steps:,} steps: {1e6 * told['seconds'] / steps:.1f} us each, {told['grown']:,} bytes grown")  # noqa: T201
    assert told["grown"] <= MOST_GROWTH_BYTES
    assert told["state"] <= MOST_STATE_BYTES
    assert told["pages"] == 0


if __name__ == "__main__":
    print(json.dumps(watched(int(sys.argv[1]))))  # noqa: T201
