"""How the commands say what to do about a run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from scalewatch.cli.outputs import print_hanging

if TYPE_CHECKING:
    from rich.console import Console

    from scalewatch.advice import Advice

__all__ = ["advice_cell", "print_advice"]


def print_advice(console: Console, advised: Iterable[Advice]) -> None:
    """Print what to do, what it gains, why, and what would change it."""
    for advice in advised:
        print_hanging(console, f"advice: {advice.headline}: {advice.reason}")
        if advice.would_change:
            print_hanging(console, f"  ignore this if {advice.would_change}", "dim")


def advice_cell(advised: list[Advice]) -> str:
    """Return the most urgent advice as a cell of a table; "" without any."""
    if not advised:
        return ""
    gain = advised[0].expected_gain
    worth = "" if gain is None else f", {gain:+.3f}"
    return f"{advised[0].action.value.replace('_', ' ')} ({advised[0].evidence_grade.value}{worth})"
