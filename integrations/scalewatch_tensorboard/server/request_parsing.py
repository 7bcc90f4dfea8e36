"""From the parameters of a request to what is asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from scalewatch.offline.assumed_schedule import SCHEDULES
from scalewatch_tensorboard.server.responses import BadRequestError
from scalewatch_tensorboard.views.request import SMOOTH, AxesRequest, ChartRequest, WhatIfRequest

if TYPE_CHECKING:
    from scalewatch.charts.x_axis import XUnit
    from scalewatch_tensorboard.runs.registry import RunRegistry
    from scalewatch_tensorboard.runs.run_state import RunState

__all__ = ["MOST_VERSIONS", "chart_request", "one_of", "run_of", "whole_number"]

Word = TypeVar("Word", bound=str)

UNITS: tuple[XUnit, ...] = ("steps", "tokens", "flops", "hours")
SCALES = ("linear", "log")
SMOOTHINGS = ("0", "1", "2", "3", "4")
#: Runs beside one run in a chart.
MOST_COMPARED = 8
#: Widths of a chart [px].
LEAST_WIDTH, MOST_WIDTH = 200, 4_000
#: Numbers of a request are no larger: tokens and FLOPs of any run are below.
MOST_NUMBER = 1e30
#: Steps of a plan that is asked about: it is gone through step by step, and a page waits for two million 2 s.
MOST_STEPS = 2_000_000
#: Versions of a list.
MOST_VERSIONS = 10**12


def run_of(registry: RunRegistry, args: Any, parameter: str = "run") -> RunState:
    """Return the run that a parameter names.

    Raises:
        BadRequestError: if there is none of that name.
    """
    name = args.get(parameter, "")
    if not name:
        raise BadRequestError(f"`{parameter}` must be the name of a run.")
    return _known(registry, name)


def _known(registry: RunRegistry, name: str) -> RunState:
    state = registry.find(name)
    if state is None:
        if (why := registry.unreadable().get(name)) is not None:
            raise BadRequestError(f"The run {name!r:.200} cannot be read: {why:.400} It is tried again.", 404)
        raise BadRequestError(f"There is no run of the name {name!r:.200}.", 404)
    return state


def chart_request(registry: RunRegistry, args: Any) -> tuple[RunState, ChartRequest]:
    """Return the run and what is asked of it, all checked.

    Raises:
        BadRequestError: with the parameter, what it must be and what was got.
    """
    state = run_of(registry, args)
    compare = list(dict.fromkeys(name for name in args.getlist("compare") if name and name != state.name))
    if len(compare) > MOST_COMPARED:
        raise BadRequestError(f"`compare` may be given {MOST_COMPARED} times (got {len(compare)}).")
    reference = args.get("reference", "")
    total, schedule = whole_number(args, "total_steps"), one_of(args, "schedule", SCHEDULES, None)
    wanted = ChartRequest(
        AxesRequest(
            one_of(args, "x", UNITS, "steps") or "steps",
            one_of(args, "xscale", SCALES, "linear") == "log",
            None if (scale := one_of(args, "yscale", SCALES, None)) is None else scale == "log",
            _window(args),
            int(one_of(args, "smooth", SMOOTHINGS, None) or SMOOTH),
        ),
        compare=tuple(_known(registry, name) for name in compare),
        reference=_known(registry, reference) if reference else None,
        dark=one_of(args, "dark", ("0", "1"), "0") == "1",
        width=int(min(max(_number(args, "width") or 900, LEAST_WIDTH), MOST_WIDTH)),
        total_steps=total,
        schedule=schedule,
        whatif=WhatIfRequest(
            _number(args, "at"),
            whole_number(args, "extend"),
            whole_number(args, "decay"),
            _number(args, "rate"),
            args.get("alternative", "") or None,
        ),
    )
    return registry.rescheduled(state, total, schedule), wanted


def _window(args: Mapping[str, str]) -> tuple[float, float] | None:
    low, high = _number(args, "from"), _number(args, "to")
    if low is None and high is None:
        return None
    if low is not None and high is not None and not low < high:
        raise BadRequestError(f"`from` must be below `to` (got {low:g} and {high:g}).")
    return -math.inf if low is None else low, math.inf if high is None else high


def one_of(args: Mapping[str, str], name: str, words: tuple[Word, ...], default: Word | None) -> Word | None:
    """Return a parameter that is one of some words; `default` where it is not given.

    Raises:
        BadRequestError: if it is another word.
    """
    value = args.get(name, "")
    if not value:
        return default
    for word in words:
        if word == value:
            return word
    raise BadRequestError(f"`{name}` must be one of {', '.join(words)} (got {value!r:.60}).")


def _number(args: Mapping[str, str], name: str) -> float | None:
    text = args.get(name, "")
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) <= MOST_NUMBER:
        raise BadRequestError(f"`{name}` must be a finite number (got {text!r:.60}).")
    return number


def whole_number(args: Mapping[str, str], name: str, most: int = MOST_STEPS) -> int | None:
    """Return a parameter that is a whole number; None where it is not given.

    Raises:
        BadRequestError: if it is none from 1 to `most`.
    """
    number = _number(args, name)
    if number is None:
        return None
    if not (number.is_integer() and 1 <= number <= most):
        raise BadRequestError(f"`{name}` must be a whole number from 1 to {most:,} (got {number:g}).")
    return int(number)
