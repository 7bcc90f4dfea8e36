"""Runs beside the test: makes findings, sends them to a server, and is killed at a line that is named.

For each seed two processes are forked. The first kills itself with SIGKILL at the n-th line that is run in
`scalewatch/alert` or `scalewatch_slack` (a trace function counts them), wherever that is: in a decision, in the
state file, in the middle of an HTTP exchange, between a message and its picture.
The second resumes from the state that is left and sees the same findings again, as a
run does that goes on from its checkpoint. A third resumes once more, and must have nothing left to say.

    python kill_driver.py webhook|bot PORT FOLDER SEED...        prints "seed lines" for each
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import scalewatch_slack.receiver
from scalewatch import Run
from scalewatch.alert import Dispatcher, Http, Receiver, Route, Rules, Secret
from scalewatch.alert.receivers.webhook import Webhook
from scalewatch.finding import Finding, Kind, Phase, Severity
from scalewatch_slack import Slack

#: Lines that one whole run of the scene below takes, at least: from there the place of the kill is drawn.
LINES = {"webhook": 7_000, "bot": 15_000}
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


def receiver(kind: str, port: int, seed: int) -> Receiver:
    """What the scene is sent through; a picture takes no time to draw."""
    http = Http(loopback=True)
    if kind == "webhook":
        return Webhook(Secret("URL", {"URL": f"http://127.0.0.1:{port}/{seed}"}), http=http)
    token, api = Secret("TOKEN", {"TOKEN": "xoxb-1"}), f"http://127.0.0.1:{port}/{seed}/api/"
    scalewatch_slack.receiver.png = lambda notification, timeout: b"\x89PNG of the curve"
    return Slack(token=token, channel="#runs", http=http, api=api)


def play(kind: str, port: int, folder: Path, seed: int, kill_at: int) -> int:
    """Play the scene; the number of lines it took. With `kill_at` above 0, not to the end."""
    lines = 0

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal lines
        if not any(room in frame.f_code.co_filename for room in ("scalewatch/alert", "scalewatch_slack")):
            return None
        if event == "line":
            lines += 1
            if lines == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return count

    clock = Clock()
    clock.now += 1000.0 * (kill_at == 0)
    hook = receiver(kind, port, seed)
    rules = Rules(routes=(Route(("w",)),), group_wait=20, group_interval=20, resolve_after=50)
    sys.settrace(count)
    dispatcher = Dispatcher(Run("gpt"), "run-1", {"w": hook}, rules, folder=folder, clock=clock)
    for step in range(80, 420, 10):
        clock.now += 10
        dispatcher.observe(step, 3.0)
        dispatcher.submit([finding for at, finding in SCENE if at == step], [])
        dispatcher.tick()
    sys.settrace(None)
    return lines


def main() -> None:
    kind, port, folder, seeds = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]
    for seed in map(int, seeds):
        at = random.Random(seed).randrange(1, LINES[kind])
        took = [_forked(kind, port, folder / str(seed), seed, kill_at) for kill_at in (at, 0, 0)]
        sys.stdout.write(" ".join(map(str, (seed, at, *took))) + "\n")
        sys.stdout.flush()


def _forked(kind: str, port: int, folder: Path, seed: int, kill_at: int) -> int:
    child = os.fork()
    if not child:
        lines = play(kind, port, folder, seed, kill_at)
        (folder / "lines").write_text(str(lines))
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return -1 if os.WIFSIGNALED(status) else int((folder / "lines").read_text())


if __name__ == "__main__":
    main()
