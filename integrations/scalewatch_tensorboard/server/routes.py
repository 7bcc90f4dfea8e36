"""The routes that answer with data: each takes a checked request and returns plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request

from scalewatch_tensorboard.server.request_parsing import chart_request, one_of
from scalewatch_tensorboard.server.responses import MAX_ANSWER_BYTES, BadRequestError, Handler, Text, to_json
from scalewatch_tensorboard.server.vega import Vega
from scalewatch_tensorboard.views.overview import page_of
from scalewatch_tensorboard.views.rows import rows_of

if TYPE_CHECKING:
    from scalewatch_tensorboard.runs.registry import RunRegistry

__all__ = ["routes"]

#: Sentences on folders that hold no run that one answer has.
MOST_TROUBLES = 8
#: Part of the largest answer that an overview fills before it leaves out the small pictures.
ROOM_SHARE = 0.9
READING = "This run is being read: its charts come in a moment."
WAITING = "This run has no row with a loss yet. It is looked at again every few seconds."


def routes(library: RunRegistry) -> Mapping[str, Handler]:
    """Return route -> handler; while one of them is at work, the reading in the background waits."""
    vega = Vega(library.cache)
    handlers: dict[str, Handler] = {
        "/runs": lambda request: _runs(library),
        "/run": lambda request: _run(library, request),
        "/chart": lambda request: _chart(library, request),
        "/whatif": lambda request: _whatif(library, request),
        "/rows": lambda request: _rows(library, request),
    }
    return {route: _busy(library, handler) for route, handler in handlers.items()} | {
        "/vega.js": lambda request: vega.answer()
    }


def _busy(library: RunRegistry, handler: Handler) -> Handler:
    def answered(request: Request) -> dict[str, Any] | Text:
        with library.busy:
            return handler(request)

    return answered


def _runs(library: RunRegistry) -> dict[str, Any]:
    rows = [record.summary | {"state": record.state} for record in library.runs() if record.summary]
    answer = {
        "logdir": library.where.shown,
        "law": None if library.where.law is None else library.where.law.name,
        "law_trouble": library.law_trouble or None,
        "generation": library.generation,
        "searched": library.searched,
        "troubles": library.troubles[:MOST_TROUBLES],
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


def _run(library: RunRegistry, request: Request) -> dict[str, Any]:
    record, _ = chart_request(library, request.args)
    library.asked_for(record)
    return page_of(record)


def _chart(library: RunRegistry, request: Request) -> dict[str, Any]:
    from scalewatch_tensorboard.views.figures import FIGURES

    name = request.args.get("chart", "")
    figure = FIGURES.get(name)
    if figure is None:
        raise BadRequestError(f"`chart` must be one of {', '.join(FIGURES)} (got {name!r:.60}).")
    record, wanted = chart_request(library, request.args)
    library.asked_for(record)
    if not len(record.columns().steps):
        return {"empty": WAITING if record.caught_up else READING, "read": record.read}
    return figure(record, wanted, library)


def _whatif(library: RunRegistry, request: Request) -> dict[str, Any]:
    from scalewatch_tensorboard.views.whatif import what_if_of

    record, wanted = chart_request(library, request.args)
    library.asked_for(record)
    return what_if_of(record, wanted)


def _rows(library: RunRegistry, request: Request) -> dict[str, Any] | Text:
    record, wanted = chart_request(library, request.args)
    form = one_of(request.args, "format", ("csv", "json"), "json") or "json"
    return rows_of(record, wanted.from_, wanted.to, form)
