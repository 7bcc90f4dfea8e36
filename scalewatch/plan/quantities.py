"""Numbers as people type and read them: 7B parameters, 1.4T tokens, 1e21 FLOP, an interval."""

from __future__ import annotations

import math
import re

from scalewatch.errors import ConfigError
from scalewatch.plan.loss_model import Estimate

__all__ = ["count", "interval", "number", "percent", "quantity", "ratio", "span", "with_interval"]

_UNIT = re.compile(r"(?: \D+|e-?\d+)$")
#: Power of ten below which a number is written with one.
SMALLEST = -3
_SUFFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12, "q": 1e15}
_TYPED = re.compile(r"([-+]?(?:\d[\d_,]*\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*([kmbgtq]?)", re.IGNORECASE)


def quantity(option: str, typed: str | None) -> float | None:
    """Return the number that was typed after `option`, such as "7e9", "7B", "1,000" or "350M"; None for None.

    Raises:
        ConfigError: if it is none.
    """
    if typed is None:
        return None
    match = _TYPED.fullmatch(typed.strip())
    if match is None:
        raise ConfigError(f"{option} must be a number such as 7e9, 7B or 1.4T (got {typed!r:.80}).")
    return float(re.sub("[_,]", "", match[1])) * _SUFFIXES[match[2].lower()]


def count(value: float) -> str:
    """Return a count in three digits: 2.78B, 60.0B, 1.40T, 350M."""
    if not math.isfinite(value):
        return "no end"
    for unit, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        # half a unit in the third digit early, so that 999.7 million is 1.00B
        if abs(value) >= unit * 0.9995:
            return f"{_three(value / unit)}{suffix}" if value < 1e15 else number(value)
    return _three(value)


def number(value: float) -> str:
    """Return a number of FLOP: 1.23e21."""
    return f"{value:.2e}".replace("e+", "e") if math.isfinite(value) else "no end"


def percent(share: float) -> str:
    """Return a share in percent, and from 1000 % on as a multiple."""
    if not math.isfinite(share):
        return "no end"
    if share >= 10.0:
        return f"{count(share + 1.0)} times"
    return f"{_three(100.0 * share)} %"


def ratio(value: float) -> str:
    """Return a number in three digits, with the zeros at their end: 20.0."""
    return _three(value) if math.isfinite(value) else "no end"


def span(hours: float) -> str:
    """Return a time: minutes, hours or days."""
    if not math.isfinite(hours):
        return "no end"
    if hours < 1.0:
        return f"{_three(60.0 * hours)} min"
    return f"{_three(hours)} h" if hours < 100.0 else f"{_days(hours / 24.0)} days"


def _days(days: float) -> str:
    return _three(days) if days < 1000 else f"{days:,.0f}"


def interval(told: Estimate, form: object) -> str:
    """Return "low to high" in some form (a function or a format), empty where no interval is known."""
    if told.low is None or told.high is None:
        return ""
    if not math.isfinite(told.high):
        return f"from {_formed(told.low, form)} up" if math.isfinite(told.low) else "unknown"
    low, high = _formed(told.low, form), _formed(told.high, form)
    # a unit once is enough: 24.4 to 27.5 %, 2.81 to 4.05e22
    unit = _UNIT.search(high)
    return f"{low.removesuffix(unit[0]) if unit is not None else low} to {high}"


def with_interval(told: Estimate, form: object) -> str:
    """Return "value (low to high)", without the brackets where no interval is known."""
    value, ends = _formed(told.value, form), interval(told, form)
    if value.endswith(" %"):
        ends = ends.removesuffix(" %")
    return f"{value} ({ends})" if ends else value


def _formed(value: float, form: object) -> str:
    return format(value, form) if isinstance(form, str) else str(form(value))  # type: ignore[operator]


def _three(value: float) -> str:
    """Three digits, with the zeros at their end; a power of ten below a thousandth."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.2e}")
    magnitude = math.floor(math.log10(abs(rounded)))
    if magnitude < SMALLEST:
        return f"{value:.1e}".replace("e-0", "e-")
    return f"{rounded:,.{max(0, 2 - magnitude)}f}"
