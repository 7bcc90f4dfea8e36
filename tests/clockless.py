"""A monitor's state without what a clock gave: how long steps took is of each process, and differs from run to run."""

from __future__ import annotations

from typing import Any

__all__ = ["without_clock"]


def without_clock(monitor: dict[str, Any]) -> dict[str, Any]:
    """What a monitor holds, but for how long steps took."""
    watch = monitor["watch"]
    blocks = {name: value for name, value in watch["blocks"].items() if name not in ("clock", "lasted", "paces")}
    detectors = {name: state for name, state in watch["detectors"].items() if name != "throughput"}
    return {**monitor, "watch": {**watch, "blocks": blocks, "detectors": detectors}}
