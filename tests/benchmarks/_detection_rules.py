"""Spike and divergence rules that others ship, restated in a few lines each, and ours, behind one signature.

Each is made anew for each run and is given one row after another: (step, loss, learning rate, gradient norm), NaN where
unknown. It says nothing, "info" (worth a note) or "warning" (worth waking someone).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from scalewatch import Monitor, Observation, Run

Rule = Callable[[int, float, float, float], str | None]
MakeRule = Callable[[int], Rule]


def ours(total_steps: int) -> Rule:
    """The whole monitor at its defaults."""
    monitor = Monitor(Run("run", total_steps=total_steps))

    def rule(step: int, loss: float, rate: float, norm: float) -> str | None:
        row = Observation(step, loss, None if math.isnan(rate) else rate, None if math.isnan(norm) else norm)
        found = monitor.observe(row)
        if not found:
            return None
        return "warning" if any(finding.pages for finding in found) else "info"

    return rule


def olmo_stability(_: int, *, sigmas: float = 6.0) -> Rule:
    """OLMo-core: loss or gradient norm above mean + 6 sd of the 128 rows before, from 64 rows on."""
    series = (_Window(128), _Window(128))

    def rule(step: int, loss: float, rate: float, norm: float) -> str | None:
        high = False
        for window, value in zip(series, (loss, norm), strict=True):
            if window is series[1] and math.isnan(value):
                continue
            high |= len(window) >= 64 and value > window.mean() + sigmas * window.sd()
            window.push(value)
        return "warning" if high else None

    return rule


def rolling_z(_: int, *, sigmas: float = 3.5) -> Rule:
    """trainscope's z-score: further than 3.5 sd from the mean of the 50 rows before, on either side."""
    window = _Window(50)

    def rule(step: int, loss: float, rate: float, norm: float) -> str | None:
        far = len(window) == 50 and abs(loss - window.mean()) > sigmas * window.sd() > 0
        window.push(loss)
        return "warning" if far or not math.isfinite(loss) else None

    return rule


def lightning_spike(_: int, *, ratio: float = 2.0) -> Rule:
    """Lightning's SpikeDetection: above the last loss, and off the mean of the last ten by twice that mean."""
    window = _Window(10)
    last = math.inf

    def rule(step: int, loss: float, rate: float, norm: float) -> str | None:
        nonlocal last
        if not math.isfinite(loss):
            return "warning"
        mean = window.mean() if len(window) else math.inf
        high = loss > last and abs(loss - mean) >= ratio * mean
        window.push(loss)
        last = loss
        return "warning" if high else None

    return rule


def kill_loss_spike(_: int, *, ratio: float = 2.0) -> Rule:
    """llm-foundry's KillLossSpike: five rows running at twice the mean of the 100 before."""
    window, run = _Window(100), 0

    def rule(step: int, loss: float, rate: float, norm: float) -> str | None:
        nonlocal run
        run = run + 1 if len(window) == 100 and loss >= ratio * window.mean() else 0
        window.push(loss)
        return "warning" if run >= 5 else None

    return rule


def megatron(_: int, *, ratio: float = 10.0) -> Rule:
    """Megatron-LM: ten times the largest of the first hundred rows."""
    rows, top = 0, 0.0

    def rule(step: int, loss: float, rate: float, norm: float) -> str | None:
        nonlocal rows, top
        if not math.isfinite(loss):
            return "warning"
        rows += 1
        if rows <= 100:
            top = max(top, loss)
            return None
        return "warning" if loss >= ratio * top else None

    return rule


def early_stopping(_: int, *, patience: float = 3) -> Rule:
    """Lightning's EarlyStopping at its defaults, checked on the mean of each hundred rows."""
    total, rows, best, bad = 0.0, 0, math.inf, 0

    def rule(step: int, loss: float, rate: float, norm: float) -> str | None:
        nonlocal total, rows, best, bad
        if not math.isfinite(loss):
            return "warning"
        total, rows = total + loss, rows + 1
        if rows < 100:
            return None
        mean, total, rows = total / rows, 0.0, 0
        best, bad = (mean, 0) if mean < best else (best, bad + 1)
        return "warning" if bad >= patience else None

    return rule


class _Window:
    """Sums over the last rows; a NaN blinds it for as long as it does in the originals, which add up anew."""

    def __init__(self, rows: int) -> None:
        self._values: deque[float] = deque(maxlen=rows)
        self._blind = 0
        self._sum = self._squares = 0.0

    def __len__(self) -> int:
        return len(self._values)

    def push(self, value: float) -> None:
        if len(self._values) == self._values.maxlen:
            self._count(self._values[0], -1)
        self._values.append(value)
        self._count(value, 1)

    def _count(self, value: float, sign: int) -> None:
        if abs(value) < 1e6:
            self._sum += sign * value
            self._squares += sign * value * value
        else:
            self._blind += sign

    def mean(self) -> float:
        return math.nan if self._blind else self._sum / len(self._values)

    def sd(self) -> float:
        rows = len(self._values)
        return math.sqrt(max(self._squares - rows * self.mean() ** 2, 0.0) / max(rows - 1, 1))


RULES: dict[str, MakeRule] = {
    "scalewatch": ours,
    "OLMo-core stability": olmo_stability,
    "rolling z 3.5": rolling_z,
    "Lightning SpikeDetection": lightning_spike,
    "llm-foundry KillLossSpike": kill_loss_spike,
    "Megatron spiky loss": megatron,
    "Lightning EarlyStopping": early_stopping,
}
