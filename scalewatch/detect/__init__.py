"""Streaming detectors: constant time and memory a row, one level and one scale for all of them.

    level, scale = what the log loss does now, and how much one row scatters about it
    a detector   = a rule about the rows ahead of that level, and the life of one incident

`Watch` feeds them. What a finding claims is always about rows, never about a smoothed curve.
"""

from scalewatch.detect.base import AbstractDetector, Sample
from scalewatch.detect.block import AbstractSlowDetector
from scalewatch.detect.level import Level
from scalewatch.detect.watch import DETECTORS, SLOW_DETECTORS, Watch

__all__ = ["DETECTORS", "SLOW_DETECTORS", "AbstractDetector", "AbstractSlowDetector", "Level", "Sample", "Watch"]
