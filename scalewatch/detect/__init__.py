"""Streaming detectors: constant time and memory a row, one level and one scale for all of them.

    level, scale = what the log loss does now, and how much one row scatters about it
    a detector   = a rule about the rows ahead of that level, and the life of one incident

`DetectorSet` feeds them. What a finding claims is always about rows, never about a smoothed curve.
"""

from scalewatch.detect.base import AbstractDetector, Sample
from scalewatch.detect.baseline import RobustBaseline
from scalewatch.detect.block import AbstractBlockDetector, Block
from scalewatch.detect.calm_rows import CalmRows, one_by_one_or_many
from scalewatch.detect.ensemble import BLOCK_DETECTORS, DETECTORS, AnyDetector, DetectorSet
from scalewatch.detect.incident_state import IncidentState
from scalewatch.detect.outside import checked_detectors

__all__ = [
    "BLOCK_DETECTORS",
    "DETECTORS",
    "AbstractBlockDetector",
    "AbstractDetector",
    "AnyDetector",
    "Block",
    "CalmRows",
    "DetectorSet",
    "IncidentState",
    "RobustBaseline",
    "Sample",
    "checked_detectors",
    "one_by_one_or_many",
]
