"""Ten million steps through the monitor: what a run of months must not make grow."""

from __future__ import annotations

import gc
import json
import random
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


@pytest.mark.parametrize("steps", [pytest.param(20_000), pytest.param(10_000_000, marks=pytest.mark.soak)])
def test_memory_and_state_stay_flat_however_long_the_run(steps: int) -> None:
    """Memory after the first hundredth stays within a MiB, the state within 64 KiB, and nobody is woken."""
    noise = random.Random(7)
    monitor = Monitor(Run("soak", total_steps=steps))
    settled, pages = max(steps // 100, 5_000), 0
    began = time.process_time()

    for step in range(1, steps + 1):
        loss = 1.8 + 3.2 * step**-0.1 + noise.gauss(0.0, 0.03)
        pages += sum(finding.pages for finding in monitor.observe(Observation(step, loss, 1e-3)))
        if step == settled:
            before = own_memory_bytes()
    grown = own_memory_bytes() - before

    print(f"{steps:,} steps: {1e6 * (time.process_time() - began) / steps:.1f} us each, {grown:,} bytes grown")  # noqa: T201
    assert grown <= MOST_GROWTH_BYTES
    assert len(json.dumps(monitor.state_dict())) <= MOST_STATE_BYTES
    assert pages == 0
