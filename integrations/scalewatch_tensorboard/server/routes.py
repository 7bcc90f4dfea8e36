"""The routes that answer with data: each takes a checked request and returns plain values."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request

from scalewatch_tensorboard.server.request_parsing import (
    MOST_VERSIONS,
    chart_request,
    one_of,
    whole_number,
)
from scalewatch_tensorboard.server.responses import MAX_ANSWER_BYTES, BadRequestError, Handler, Text, to_json
from scalewatch_tensorboard.server.vega import Vega
from scalewatch_tensorboard.views.overview import page_of
from scalewatch_tensorboard.views.rows import csv_of, file_name, rows_of

if TYPE_CHECKING:
    from scalewatch_tensorboard.runs.registry import RunRegistry

__all__ = ["routes"]

#: Sentences on folders that hold no run that one answer has.
MOST_TROUBLES = 8
#: Part of the largest answer that the rows of one list fill.
ROOM_SHARE = 0.9
READING = "This run is being read: its charts come in a moment."
WAITING = "This run has no row with a loss yet. It is looked at again every few seconds."


def routes(registry: RunRegistry) -> Mapping[str, Handler]:
    """Return route -> handler; while one of them is at work, the reading in the background waits."""
    vega = Vega(registry.cache)
    handlers: dict[str, Handler] = {
        "/runs": lambda request: _runs(registry, request),
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
        with registry.requests:
            return handler(request)

    return answered


def _runs(registry: RunRegistry, request: Request) -> Text:
    """The list of runs: all that there is room for, or what changed `since` a version of the list of an `epoch`.

    A page says by `visible` which rows it shows: these are read before the others.
    """
    seen = tuple(request.args.getlist("visible"))
    if seen:
        registry.requests.seen = time.monotonic(), seen
        registry.wake()
    since = whole_number(request.args, "since", MOST_VERSIONS) or 0
    part = registry.listing.since(request.args.get("epoch", ""), since, int(ROOM_SHARE * MAX_ANSWER_BYTES))
    told = {
        "logdir": registry.logdirs.shown,
        "law": None if registry.logdirs.law is None else registry.logdirs.law.name,
        "law_trouble": registry.law_trouble or None,
        "searched": registry.search.done,
        "troubles": registry.troubles[:MOST_TROUBLES],
        "epoch": part.epoch,
        "version": part.version,
        "whole": part.whole,
        "more": part.more,
        "gone": part.gone,
        "left_out": part.left_out,
        "total": part.total,
    }
    # the rows are JSON already: those of thousands of runs are not made anew for each request
    rows = b",".join(part.rows).decode("ascii")
    return Text(f'{to_json(told)[:-1]},"runs":[{rows}]}}', "application/json")


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
