"""The gradient noise scale, from the gradient of one micro-batch against that of all micro-batches of a step.

Source: McCandlish and others 2018, arXiv 1812.06162, appendix A.1.
"""

from __future__ import annotations

import math
from typing import final

__all__ = ["NoiseScale"]

#: Memory of numerator and denominator [samples], and the least of them: each is noisy, only their means have a ratio,
#: and 100 samples know a signal to 1/5 where the noise of a batch is ten times as large.
MEMORY_SAMPLES, LEAST_SAMPLES = 100, 20


@final
class NoiseScale:
    """Running means of the signal and the noise of gradients, and their ratio."""

    def __init__(self) -> None:
        self._signal = self._noise = 0.0
        self._samples = 0

    def update(self, first: float, whole: float, count: float) -> float | None:
        """Take one sample in; B_simple in batches of a step, None for 20 samples and where noise hides the signal.

        In micro-batches, Bs = 1 and Bb = n: |G|^2 = (n |Gb|^2 - |Gs|^2) / (n - 1), S = (|Gs|^2 - |Gb|^2) / (1 - 1/n),
        B_simple = S / |G|^2. A factor that all gradients have falls out.

        Args:
            first: square of the norm of the gradient of the first micro-batch.
            whole: square of the norm of the sum over the micro-batches, so |Gb|^2 n^2.
            count: micro-batches, at least 2.
        """
        big = whole / count**2
        signal = (count * big - first) / (count - 1.0)
        noise = (first - big) / (1.0 - 1.0 / count)
        if not math.isfinite(noise + signal):
            return None
        self._signal += (signal - self._signal) / MEMORY_SAMPLES
        self._noise += (noise - self._noise) / MEMORY_SAMPLES
        self._samples += 1
        if self._samples < LEAST_SAMPLES or self._signal <= 0.0 or self._noise <= 0.0:
            return None
        return self._noise / self._signal / count
