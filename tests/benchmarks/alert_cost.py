"""What alerts cost the training thread, and how fast they are: python tests/benchmarks/alert_cost.py

Two runs side by side, one without alerts and one with alerts to a webhook that takes every request and never
answers, which has a NaN at step 101 to tell. CPU time of the training thread, not wall-clock time.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from scalewatch import Observation, Run
from scalewatch.alert import Dispatcher, Http, Rules, Secret
from scalewatch.alert.receivers.webhook import Webhook
from scalewatch.finding import Finding, Kind, Severity
from scalewatch.guard import Guard
from scalewatch_torch.watching.options import Options
from scalewatch_torch.watching.session import Session
from scalewatch_torch.watching.terminal import Terminal
from tests.alert.fake_server import FakeServer

BLOCKS, BLOCK, ALERTS = 120, 500, 200


def session(alerts: Rules | None, folder: Path) -> Session:
    """What the callback sends its observations to."""
    made = Session(
        Run("gpt", total_steps=10**6),
        Options(alerts=alerts),
        guard=Guard(),
        terminal=Terminal(None, quiet=True),
        folder=folder,
        loggers=[],
        resumed=None,
    )
    made.begin()
    return made


def paired_runs() -> None:
    """Two runs side by side, in blocks of 500 steps in turn: on a busy machine, whole runs differ by half."""
    server = FakeServer()
    server.behave = server.hold
    os.environ["SCALEWATCH_WEBHOOK_URL"] = server.url
    rules = Rules(routes=Rules.to("webhook").routes, receivers={"webhook": {"loopback": True}})
    losses = (
        2.5 + 6 * np.arange(1, BLOCKS * BLOCK + 1) ** -0.4 + 0.02 * np.random.default_rng(0).normal(size=BLOCKS * BLOCK)
    )
    losses[100] = np.nan
    with tempfile.TemporaryDirectory() as folder:
        runs = [session(None, Path(folder) / "a"), session(rules, Path(folder) / "b")]
        took: list[list[float]] = [[], []]
        for block in range(BLOCKS):
            rows = [Observation(step + 1, float(losses[step])) for step in range(block * BLOCK, (block + 1) * BLOCK)]
            for which in (0, 1) if block % 2 else (1, 0):
                began = time.thread_time()
                for row in rows:
                    runs[which].observe(row)
                took[which].append(1e6 * (time.thread_time() - began) / BLOCK)
            time.sleep(0.01)
        for made in runs:
            made.close(BLOCKS * BLOCK, "as planned", [])
    server.close()
    more = [b - a for a, b in zip(*took, strict=True)][1:]
    print(
        f"{BLOCKS * BLOCK:,} steps each: {statistics.median(took[0]):.2f} us a step without alerts,"
        f" {statistics.median(took[1]):.2f} us with a dead endpoint; median of the paired blocks"
        f" {statistics.median(more):+.2f} us; {server.connections} requests, none answered"
    )


def observe_cost() -> None:
    server = FakeServer()
    server.behave = server.hold
    hook = Webhook(Secret("URL", {"URL": server.url}), http=Http(loopback=True))
    dispatcher = Dispatcher(Run("gpt"), "1", {"w": hook}, Rules.to("w"))
    dispatcher.begin()
    dispatcher.submit([Finding(Kind.NONFINITE, Severity.CRITICAL, 1, 1, "loss is nan")], [])
    best = 1e9
    for _ in range(7):
        began = time.thread_time()
        for step in range(100_000):
            dispatcher.observe(step, 3.0)
        best = min(best, (time.thread_time() - began) * 10)
    server.close()
    dispatcher.close(0.1)
    print(f"observe, while the endpoint hangs: {best:.3f} us a step")


def latency() -> None:
    server = FakeServer()
    took = []
    for n in range(ALERTS):
        hook = Webhook(Secret("URL", {"URL": server.url}), http=Http(loopback=True))
        dispatcher = Dispatcher(Run("gpt"), str(n), {"w": hook}, Rules.to("w"))
        dispatcher.begin()
        time.sleep(0.01)
        began = time.monotonic()
        dispatcher.submit([Finding(Kind.NONFINITE, Severity.CRITICAL, 1, 1, "loss is nan")], [])
        took.append(1e3 * (server.wait_for(n + 1)[-1].at - began))
        dispatcher.close()
    server.close()
    took.sort()
    print(f"finding to message, {ALERTS} alerts: median {took[ALERTS // 2]:.1f} ms, worst {took[-1]:.1f} ms")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    observe_cost()
    latency()
    paired_runs()
