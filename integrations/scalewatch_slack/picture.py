"""The curve of a run as a PNG, drawn without a browser and in a process of its own.

Drawing takes two seconds of CPU, most of it Python: on a thread of the training process it would take turns with
the training for the interpreter.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from scalewatch.alert import Notification
from scalewatch.errors import ConfigError
from scalewatch.finding import Finding, Kind, Severity

__all__ = ["draw", "png"]

#: Points of a curve below which there is nothing to see.
LEAST_POINTS = 8
#: Part of the way to an incident from which on it is drawn.
BEFORE = 0.1
#: Variables that the other process gets: no secrets.
_NEEDED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH")


def png(notification: Notification, timeout: float) -> bytes | None:
    """Return the picture for a message within `timeout` [s]; None without points, or without the extra `charts`."""
    if len(notification.curve) < LEAST_POINTS or not sys.executable:
        return None
    data = json.dumps({"notification": notification.to_json(), "curve": notification.curve}).encode("ascii")
    env = {name: os.environ[name] for name in _NEEDED if name in os.environ}
    env |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__], input=data, capture_output=True, timeout=timeout, env=env, check=False
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 and done.stdout.startswith(b"\x89PNG") else None


def draw(notification: Notification, curve: list[tuple[int, float]]) -> bytes:
    """Return the picture.

    Raises:
        ConfigError: if the extra `charts` is not installed, or there is nothing to draw.
    """
    from scalewatch.charts import Frame, loss_against_law, save_chart

    shown = _around([item.start_step for item in notification.items], curve)
    steps, losses = zip(*shown, strict=True)
    marks = [
        Finding(Kind(item.kind), Severity(item.severity), item.start_step, item.start_step, item.message)
        for item in notification.items
        if item.kind in list(Kind)
    ]
    chart = loss_against_law(steps, losses, Frame(notification.run, [notification.what]), findings=marks)
    with tempfile.TemporaryDirectory(prefix="scalewatch-") as folder:
        return save_chart(chart, Path(folder) / "loss.png").read_bytes()


def _around(begins: list[int], curve: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """The part of a curve, for a linear axis, on which an incident can be seen: on a log axis, it is a hair wide."""
    if not begins:
        return curve
    recent = [point for point in curve if point[0] >= BEFORE * min(begins)]
    return recent if len(recent) >= LEAST_POINTS else curve


def main() -> int:
    """Read a notification and a curve as JSON, write a PNG."""
    data = json.load(sys.stdin)
    try:
        image = draw(Notification.from_json(data["notification"]), data["curve"])
    except (ImportError, ConfigError, OSError, ValueError):
        return 1
    sys.stdout.buffer.write(image)
    return 0


if __name__ == "__main__":
    sys.exit(main())
