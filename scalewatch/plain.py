"""What a monitor found, as plain values for JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from scalewatch.advice import Advice
from scalewatch.finding import Finding
from scalewatch.kinds import kind_name

__all__ = ["advice_plain", "finding_plain"]


def finding_plain(finding: Finding) -> dict[str, Any]:
    """Return a finding as plain values; evidence that is not finite is None, which JSON can say."""
    return {
        "kind": str(finding.kind),
        "name": kind_name(finding.kind),
        "severity": str(finding.severity),
        "phase": str(finding.phase),
        "step": finding.step,
        "start_step": finding.start_step,
        "message": finding.message,
        "evidence": {
            name: value if not isinstance(value, float) or math.isfinite(value) else None
            for name, value in finding.evidence.items()
        },
    }


def advice_plain(advised: Iterable[Advice]) -> list[dict[str, Any]]:
    """Return advice as plain values for JSON."""
    return [
        {
            "action": str(each.action),
            "reason": each.reason,
            "evidence_grade": str(each.evidence_grade),
            "expected_gain": each.expected_gain,
            "gain_interval": None if each.gain_interval is None else list(each.gain_interval),
            "would_change": each.would_change,
            "step": each.step,
        }
        for each in advised
    ]
