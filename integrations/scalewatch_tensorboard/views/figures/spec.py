"""From a chart to an answer: its specification, as wide as was asked for, with a text for who cannot see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scalewatch.charts.captions import WIDTH

if TYPE_CHECKING:
    from scalewatch_tensorboard.runs.run_state import RunState
    from scalewatch_tensorboard.views.request import ChartRequest

__all__ = ["answered", "nothing"]

#: Widths over that of a chart as it is drawn, at which it can still be read.
LEAST_FACTOR, MOST_FACTOR = 0.55, 1.8
#: Width that labels, legends and padding take beside a chart's panels [px].
BESIDE = 110


def answered(chart: Any, sentence: str, request: ChartRequest) -> dict[str, Any]:
    """Return the Vega-Lite specification of a chart of fixed width, made as wide as was asked for.

    Args:
        chart: with `to_dict`. sentence: what it shows; empty for its headline. request: with the width.
    """
    # a test checks each chart against the schema of Vega-Lite; here that would be half of the time
    spec: dict[str, Any] = chart.to_dict(validate=False)
    factor = min(max((request.width - BESIDE) / WIDTH, LEAST_FACTOR), MOST_FACTOR)
    _widen(spec, factor)
    title = spec.get("title", {}).get("text", "")
    words = sentence or (" ".join(title) if isinstance(title, list) else str(title))
    spec["usermeta"] = {"scalewatch": {"domain": None, "zoomed": False, "sentence": words}}
    return spec


def nothing(state: RunState, why: object) -> dict[str, Any]:
    """Return the answer of a chart that cannot be drawn: the sentence that says why, and how far the log was read."""
    return {"empty": str(why), "read": state.read}


def _widen(view: dict[str, Any], factor: float) -> None:
    if isinstance(view.get("width"), int | float):
        view["width"] = round(view["width"] * factor)
    for part in ("layer", "hconcat", "vconcat", "concat"):
        for inner in view.get(part, ()):
            _widen(inner, factor)
