"""A hand-written loop that is killed again and again, each time in a process of its own, and goes on each time.

python -m tests.scalewatch_torch.killed FOLDER CYCLES STEPS
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scalewatch.alert import Notification, Receiver, Rules
from scalewatch_torch import Watcher

#: Optimizer steps between two checkpoints [steps].
SAVE_EVERY = 10
#: Parts of the run in which its loss is far too high, so that there is something to find and to tell.
SPIKES = ((0.25, 0.29), (0.6, 0.65))


class Told(Receiver):
    """Writes what is new in each message into a file."""

    name = "told"

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    def send(self, notification: Notification, timeout: float) -> None:
        with self.file.open("a") as file:
            for item in notification.items:
                if item.news:
                    word = "over" if item.over else str(item.severity)
                    file.write(f"{item.kind} since step {item.start_step}: {word}\n")


def loss_at(step: int, steps: int) -> float:
    """The loss of a step: what the watch is given, the same in each process."""
    noise = random.Random(step).gauss(0.0, 0.02)
    high = 3.0 if any(first * steps <= step < last * steps for first, last in SPIKES) else 0.0
    return 2.0 + 3.0 * step**-0.3 + noise + high


def train(folder: Path, steps: int, pause_seconds: float = 0.0) -> dict[str, Any]:
    """Train from the checkpoint that is there to the end; return the state of the watch then."""
    torch.manual_seed(0)
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    alerts = Rules.to(Told(folder / "told"))
    watcher = Watcher(
        model, optimizer, total_steps=steps, directory=folder / "journal", quiet=True, grad_norm_every=0, alerts=alerts
    )
    first, checkpoint = 1, folder / "last.ckpt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        first = saved["step"] + 1
        watcher.load_state_dict(saved["watcher"])
    with watcher:
        for step in range(first, steps + 1):
            optimizer.zero_grad()
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
            watcher.step(torch.tensor(loss_at(step, steps), dtype=torch.float64))
            if step % SAVE_EVERY == 0:
                torch.save({"step": step, "watcher": watcher.state_dict()}, folder / "draft.ckpt")
                (folder / "draft.ckpt").replace(checkpoint)
            time.sleep(pause_seconds)
        state: dict[str, Any] = watcher.state_dict()
    return state


def killed(folder: Path, steps: int, until: int, pause_seconds: float) -> None:
    """Train in a process of its own, which is killed at some time after step `until`, in the middle of something."""
    process = os.fork()
    if process == 0:
        train(folder, steps, pause_seconds)
        os._exit(0)
    while newest(folder) < until:
        time.sleep(0.01)
        if os.waitpid(process, os.WNOHANG)[0]:
            raise RuntimeError("it has ended by itself")
    time.sleep(random.Random(until).random() * SAVE_EVERY * pause_seconds)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def newest(folder: Path) -> int:
    """The step of its checkpoint, 0 for none."""
    try:
        return int(torch.load(folder / "last.ckpt", weights_only=True)["step"])
    except FileNotFoundError:
        return 0


def main(folder: Path, cycles: int, steps: int) -> None:
    """One run without an interruption and one with so many; what the detectors hold at the end, as JSON."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    places = [folder / name for name in ("whole", "parts")]
    for place in places:
        place.mkdir()
    whole, parts = places
    apart = (steps - 2 * SAVE_EVERY) // (cycles + 1)
    for cycle in range(1, cycles + 1):
        killed(parts, steps, cycle * apart, 0.001)
    states = {"parts": train(parts, steps), "whole": train(whole, steps)}
    (folder / "states.json").write_text(json.dumps(states))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
