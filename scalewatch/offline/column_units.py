"""Units in the names of columns: `Parameters (M)`, `tokens_B`, `Compute (PF-days)`."""

from __future__ import annotations

import re

from scalewatch.logs.loss_names import kind_of
from scalewatch.objective import words_of
from scalewatch.offline.cells import number_in

__all__ = ["without_unit"]

#: What a unit multiplies a count by.
_TIMES = {
    **{"k": 1e3, "thousand": 1e3, "thousands": 1e3, "m": 1e6, "mio": 1e6, "million": 1e6, "millions": 1e6},
    **{"b": 1e9, "bn": 1e9, "g": 1e9, "billion": 1e9, "billions": 1e9, "t": 1e12, "trillion": 1e12, "trillions": 1e12},
}
#: FLOPs of a unit of compute; a day has 86,400 seconds.
_COMPUTE = {
    **{"gflop": 1e9, "gflops": 1e9, "tflop": 1e12, "tflops": 1e12, "pflop": 1e15, "pflops": 1e15},
    **{"eflop": 1e18, "eflops": 1e18, "zflop": 1e21, "zflops": 1e21},
    **{
        "pf-days": 8.64e19,
        "pfdays": 8.64e19,
        "pf_days": 8.64e19,
        "pf days": 8.64e19,
        "petaflop/s-days": 8.64e19,
        "pflop-days": 8.64e19,
    },
}
#: Least number in brackets that is a unit. By hand.
LEAST_UNIT = 1e3
_IN_BRACKETS = re.compile(r"^(.*\S)\s*[(\[]\s*(?:in\s+)?([^()\[\]]+?)\s*[)\]]$")
#: Letters alone behind a line are a unit where they are a capital, or the name says what is counted.
_BEHIND = re.compile(
    r"^(.*[a-z0-9])_(?:in_)?([KMBT]|[kmb]n?|mio|millions?|billions?|trillions?|[gtpez]flops?|pf_?days)$"
)


def without_unit(name: str) -> tuple[str, float]:
    """Return the name of a column without its unit, and what its numbers are to be multiplied by.

    >>> without_unit("Parameters (M)"), without_unit("tokens_B"), without_unit("loss (nats)"), without_unit("step_b")
    (('Parameters', 1000000.0), ('tokens', 1000000000.0), ('loss', 1.0), ('step', 1000000000.0))
    """
    found = _IN_BRACKETS.match(name.strip()) or _BEHIND.match(name.strip())
    if found is None:
        return name, 1.0
    if kind_of(words_of(found[1])) is not None:  # a loss_b is no loss in billions
        return (name if found.re is _BEHIND else found[1]), 1.0
    unit = found[2].lower()
    number = number_in(unit)  # `1e18 FLOPs`, `10^9`
    if number is not None and number >= LEAST_UNIT:
        return found[1], number
    # `[M params]` says in its first word what it multiplies by
    return found[1], _COMPUTE.get(unit) or _TIMES.get(unit.split()[0]) or 1.0
