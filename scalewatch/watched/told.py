"""What a monitor found, as plain values for JSON."""

from __future__ import annotations

import math
from typing import Any

from scalewatch.finding import Finding

__all__ = ["finding_told"]


def finding_told(finding: Finding) -> dict[str, Any]:
    """Return a finding as plain values; evidence that is not finite is None, which JSON can say."""
    return {
        "kind": str(finding.kind),
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
