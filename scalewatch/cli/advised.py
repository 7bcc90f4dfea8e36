"""What the commands are told of a run's aims, and how they say what to do about it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from scalewatch.errors import ConfigError
from scalewatch.text import no_control

if TYPE_CHECKING:
    from rich.console import Console

    from scalewatch.advice import Advice
    from scalewatch.advising.adviser import Goals

__all__ = ["advice_cell", "aims_of", "print_advice"]


def aims_of(target_loss: float | None, incumbent_loss: float | None, least_gain: float | None = None) -> Goals:
    """Return what command-line options say is wanted of a run.

    Raises:
        ConfigError: if one is not positive and finite.
    """
    from scalewatch.advising.adviser import Goals

    options = {"--target-loss": target_loss, "--incumbent-loss": incumbent_loss, "--least-gain": least_gain}
    for option, value in options.items():
        if value is not None and not 0.0 < value < math.inf:
            raise ConfigError(f"`{option}` must be a positive number of nats a token (got {value:g}).")
    return Goals(target_loss, incumbent_loss, least_gain)


def print_advice(console: Console, advised: Iterable[Advice]) -> None:
    """Print what to do, what it gains, why, and what would change it."""
    for advice in advised:
        console.print(no_control(f"advice: {advice.headline}: {advice.reason}"), markup=False, highlight=False)
        if advice.would_change:
            change = no_control(f"  would change it: {advice.would_change}")
            console.print(change, style="dim", markup=False, highlight=False)


def advice_cell(advised: list[Advice]) -> str:
    """Return the most urgent advice as a cell of a table; "" without any."""
    if not advised:
        return ""
    gain = advised[0].expected_gain
    worth = "" if gain is None else f", {gain:+.3f}"
    return f"{advised[0].action.value.replace('_', ' ')} ({advised[0].evidence_grade.value}{worth})"
