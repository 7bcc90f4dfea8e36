"""Runs beside the test: makes findings, sends them to a server, and is killed at a line that is named.

For each seed two processes are forked. The first kills itself with SIGKILL at the n-th line that is run in
`scalewatch/alert` (a trace function counts them), wherever that is: in a decision, in the state file, in the
middle of an HTTP exchange. The second resumes from the state that is left and sees the same findings again, as a
run does that goes on from its checkpoint. A third resumes once more, and must have nothing left to say.

    python kill_driver.py PORT FOLDER SEED...        prints "seed lines" for each
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from scalewatch import Run
from scalewatch.alert import Alerter, Http, Route, Rules, Secret
from scalewatch.alert.webhook import Webhook
from scalewatch.finding import Finding, Kind, Phase, Severity

#: Lines that one whole run of the scene below takes, at least: from there the place of the kill is drawn.
LINES = 3_400
SCENE = [
    (100, Finding(Kind.SPIKE, Severity.WARNING, 100, 100, "spike at 100")),
    (130, Finding(Kind.SPIKE, Severity.INFO, 130, 100, "spike is over", phase=Phase.CLOSED)),
    (200, Finding(Kind.THROUGHPUT, Severity.WARNING, 200, 200, "slow since 200")),
    (300, Finding(Kind.DIVERGENCE, Severity.CRITICAL, 300, 290, "diverges since 290")),
]


class Clock:
    """A second a step: nobody waits."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def play(port: int, folder: Path, seed: int, kill_at: int) -> int:
    """Play the scene; the number of lines it took. With `kill_at` above 0, not to the end."""
    lines = 0

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal lines
        if "scalewatch/alert" not in frame.f_code.co_filename:
            return None
        if event == "line":
            lines += 1
            if lines == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return count

    clock = Clock()
    clock.now += 1000.0 * (kill_at == 0)
    hook = Webhook(Secret("URL", {"URL": f"http://127.0.0.1:{port}/{seed}"}), http=Http(loopback=True))
    rules = Rules(routes=(Route(("w",)),), group_wait=20, group_interval=20, resolve_after=50)
    sys.settrace(count)
    alerter = Alerter(Run("gpt"), "run-1", {"w": hook}, rules, folder=folder, clock=clock)
    for step in range(80, 420, 10):
        clock.now += 10
        alerter.observe(step, 3.0)
        alerter.take([finding for at, finding in SCENE if at == step], [])
        alerter.round()
    sys.settrace(None)
    return lines


def main() -> None:
    port, folder, seeds = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    for seed in map(int, seeds):
        at = random.Random(seed).randrange(1, LINES)
        took = [_forked(port, folder / str(seed), seed, kill_at) for kill_at in (at, 0, 0)]
        sys.stdout.write(" ".join(map(str, (seed, at, *took))) + "\n")
        sys.stdout.flush()


def _forked(port: int, folder: Path, seed: int, kill_at: int) -> int:
    child = os.fork()
    if not child:
        lines = play(port, folder, seed, kill_at)
        (folder / "lines").write_text(str(lines))
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return -1 if os.WIFSIGNALED(status) else int((folder / "lines").read_text())


if __name__ == "__main__":
    main()
