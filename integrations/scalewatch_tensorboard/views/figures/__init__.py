"""The charts of the panel by name: each takes a run and what was asked, and returns a Vega-Lite specification."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scalewatch_tensorboard.runs.registry import RunRegistry
    from scalewatch_tensorboard.runs.run_state import RunState
    from scalewatch_tensorboard.views.request import ChartRequest

__all__ = ["FIGURES", "Figure", "import_charts"]

_log = logging.getLogger("scalewatch")

Figure = Callable[["RunState", "ChartRequest", "RunRegistry"], dict[str, Any]]


def _in(module: str, name: str) -> Figure:
    """A figure whose file is imported when it is drawn first: most of them are never asked for."""

    def figure(state: RunState, request: ChartRequest, registry: RunRegistry) -> dict[str, Any]:
        draw: Figure = getattr(import_module(f"{__name__}.{module}"), name)
        return draw(state, request, registry)

    return figure


FIGURES: dict[str, Figure] = {
    "run": _in("run", "run_figure"),
    "health": _in("health", "health_figure"),
    "forecast": _in("forecast", "forecast_figure"),
    "whatif": _in("whatif", "whatif"),
    "isoflop": _in("scaling", "isoflop"),
    "isoloss": _in("scaling", "isoloss"),
    "frontier": _in("scaling", "frontier"),
    "ladder": _in("scaling", "ladder"),
    "collapse": _in("scaling", "collapse"),
}


def import_charts() -> None:
    """Have at hand what the first chart needs, which takes half a second to import."""
    try:
        import_module("altair")
        import_module("scalewatch.charts")
    except ImportError as fault:
        _log.warning("scalewatch: no charts in TensorBoard: %s (pip install 'scalewatch[tensorboard]').", fault)
