"""The routes that answer with data: each takes a checked request and returns plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request

from scalewatch_tensorboard.server.request_parsing import chart_request, one_of
from scalewatch_tensorboard.server.responses import MAX_ANSWER_BYTES, BadRequestError, Handler, Text, to_json
from scalewatch_tensorboard.server.vega import Vega
from scalewatch_tensorboard.views.overview import page_of, unreadable_row
from scalewatch_tensorboard.views.rows import csv_of, file_name, rows_of

if TYPE_CHECKING:
    from scalewatch_tensorboard.runs.registry import RunRegistry

__all__ = ["routes"]

#: Sentences on folders that hold no run that one answer has.
MOST_TROUBLES = 8
#: Part of the largest answer that an overview fills before it leaves out the small pictures.
ROOM_SHARE = 0.9
READING = "This run is being read: its charts come in a moment."
WAITING = "This run has no row with a loss yet. It is looked at again every few seconds."


def routes(registry: RunRegistry) -> Mapping[str, Handler]:
    """Return route -> handler; while one of them is at work, the reading in the background waits."""
    vega = Vega(registry.cache)
    handlers: dict[str, Handler] = {
        "/runs": lambda request: _runs(registry),
        "/run": lambda request: _run(registry, request),
        "/chart": lambda request: _chart(registry, request),
        "/whatif": lambda request: _whatif(registry, request),
        "/rows": lambda request: _rows(registry, request),
    }
    return {route: _busy(registry, handler) for route, handler in handlers.items()} | {
        "/vega.js": lambda request: vega.answer()
    }


def _busy(registry: RunRegistry, handler: Handler) -> Handler:
    def answered(request: Request) -> dict[str, Any] | Text:
        with registry.busy:
            return handler(request)

    return answered


def _runs(registry: RunRegistry) -> dict[str, Any]:
    rows = [state.upkeep.summary | {"stage": state.stage} for state in registry.runs() if state.upkeep.summary]
    rows += [unreadable_row(name, why) for name, why in sorted(registry.unreadable().items())]
    answer = {
        "logdir": registry.logdirs.shown,
        "law": None if registry.logdirs.law is None else registry.logdirs.law.name,
        "law_trouble": registry.law_trouble or None,
        "generation": registry.generation,
        "searched": registry.searched,
        "troubles": registry.troubles[:MOST_TROUBLES],
        "runs": rows,
        "left_out": 0,
    }
    room = ROOM_SHARE * MAX_ANSWER_BYTES
    if len(rows) > 100 and len(to_json(answer)) > room:
        answer["runs"] = rows = [row | {"spark": row["spark"][::4]} for row in rows]
        each = len(to_json(answer)) / len(rows)
        if each * len(rows) > room:
            most = int(room / each)
            answer |= {"runs": rows[:most], "left_out": len(rows) - most}
    return answer


def _run(registry: RunRegistry, request: Request) -> dict[str, Any]:
    state, _ = chart_request(registry, request.args)
    registry.prefer(state)
    return page_of(state)


def _chart(registry: RunRegistry, request: Request) -> dict[str, Any]:
    from scalewatch_tensorboard.views.figures import FIGURES

    name = request.args.get("chart", "")
    figure = FIGURES.get(name)
    if figure is None:
        raise BadRequestError(f"`chart` must be one of {', '.join(FIGURES)} (got {name!r:.60}).")
    state, wanted = chart_request(registry, request.args)
    registry.prefer(state)
    if not len(state.columns().steps):
        return {"empty": WAITING if state.reading.caught_up else READING, "read": state.read}
    return figure(state, wanted, registry)


def _whatif(registry: RunRegistry, request: Request) -> dict[str, Any]:
    from scalewatch_tensorboard.views.whatif import what_if_of

    state, wanted = chart_request(registry, request.args)
    registry.prefer(state)
    return what_if_of(state, wanted)


def _rows(registry: RunRegistry, request: Request) -> dict[str, Any] | Text:
    state, wanted = chart_request(registry, request.args)
    rows = rows_of(state, wanted.axes.window)
    if one_of(request.args, "format", ("csv", "json"), "json") == "json":
        return rows
    return Text(csv_of(rows), "text/csv", name=f"{file_name(state.name)}.csv")
