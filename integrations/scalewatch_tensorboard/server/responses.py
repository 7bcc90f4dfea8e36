"""HTTP answers: GET only, strict JSON, bounded, and a sentence where something is wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np
from tensorboard.backend import http_util
from werkzeug.wrappers import Request, Response

from scalewatch.errors import ScalewatchError
from scalewatch.guard import Guard

__all__ = ["MAX_ANSWER_BYTES", "BadRequestError", "Text", "application", "to_json"]

#: Longest parameter, its name or its value [characters], and most of them in one request.
MAX_PARAMETER_CHARACTERS, MAX_PARAMETERS = 512, 64
#: Largest answer in JSON or CSV [bytes].
MAX_ANSWER_BYTES = 500_000
#: What becomes of a fault of ours, after its name.
_CONSEQUENCE = "and one request of its tab in TensorBoard went unanswered; TensorBoard goes on"


class BadRequestError(ScalewatchError):
    """A request that cannot be answered: the sentence says why.

    Args:
        sentence: what is wrong and what would be right. code: of HTTP, 400 or 404.
    """

    def __init__(self, sentence: str, code: int = 400) -> None:
        super().__init__(sentence)
        self.code = code


@final
class Text:
    """An answer that is no JSON.

    Args:
        content: the text. mimetype: such as `text/csv`. seconds: how long a browser may keep it [s]. packed: whether
            it is packed by gzip already. name: of the file as which a browser saves it; "" to show it.
    """

    def __init__(
        self, content: str | bytes, mimetype: str, seconds: int = 0, *, packed: bool = False, name: str = ""
    ) -> None:
        self.content, self.mimetype, self.seconds = content, mimetype, seconds
        self.packed, self.name = packed, name


Handler = Callable[[Request], "dict[str, Any] | Text"]


def application(name: str, handler: Handler) -> Callable[..., Any]:
    """Return `handler` as a WSGI application: whatever happens in it, the caller gets an answer and the server lives.

    Args:
        name: of the route, for the log. handler: takes a checked request; may raise `BadRequestError`.
    """

    def answered(request: Request) -> Response:
        return _answer(name, handler, request)

    app: Callable[..., Any] = Request.application(answered)
    return app


def _answer(name: str, handler: Handler, request: Request) -> Response:
    if request.method not in ("GET", "HEAD"):
        return _error(request, 405, "Only GET is answered here.", [("Allow", "GET, HEAD")])
    if len(request.query_string) > 2 * MAX_PARAMETERS * MAX_PARAMETER_CHARACTERS:
        return _error(request, 400, "The query is too long.")
    pairs = list(request.args.items(multi=True))
    if len(pairs) > MAX_PARAMETERS:
        return _error(request, 400, f"A request may have {MAX_PARAMETERS} parameters (got {len(pairs)}).")
    for key, value in pairs:
        if max(len(key), len(value)) > MAX_PARAMETER_CHARACTERS:
            return _error(request, 400, f"A parameter may have {MAX_PARAMETER_CHARACTERS} characters.")
    guard = Guard(consequence=_CONSEQUENCE)
    made = guard.call(f"route {name}", _made, handler, request)
    if made is None:
        what = next(iter(guard.failed.values()), "no reason known")
        return _error(request, 500, f"scalewatch could not make this ({what:.200}). The server's log says more.")
    return made


def _made(handler: Handler, request: Request) -> Response:
    try:
        answer = handler(request)
    except BadRequestError as refusal:
        return _error(request, refusal.code, str(refusal))
    except ScalewatchError as fault:
        return _error(request, 400, str(fault))
    if isinstance(answer, Text):
        return _text(request, answer)
    body = to_json(answer)
    if len(body) > MAX_ANSWER_BYTES:
        return _error(request, 500, f"The answer has {len(body):,} bytes, more than the {MAX_ANSWER_BYTES:,} allowed.")
    return _respond(request, body, "application/json", 200)


def _text(request: Request, answer: Text) -> Response:
    headers = [("Content-Disposition", f'attachment; filename="{answer.name}"')] if answer.name else None
    return _respond(request, answer.content, answer.mimetype, 200, answer.seconds, headers, packed=answer.packed)


def _error(request: Request, code: int, sentence: str, headers: list[tuple[str, str]] | None = None) -> Response:
    return _respond(request, to_json({"error": sentence}), "application/json", code, headers=headers)


def _respond(
    request: Request,
    content: str | bytes,
    mimetype: str,
    code: int,
    seconds: int = 0,
    headers: list[tuple[str, str]] | None = None,
    *,
    packed: bool = False,
) -> Response:
    encoding = "gzip" if packed else None
    made: Response = http_util.Respond(
        request, content, mimetype, code=code, expires=seconds, content_encoding=encoding, headers=headers
    )
    return made


def to_json(value: Any) -> str:
    """Return `value` as strict JSON: what is not finite is null.

    >>> to_json({"a": [1.5, float("nan"), np.float32(2)]})
    '{"a":[1.5,null,2.0]}'
    """
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError):
        return json.dumps(_plain(value), allow_nan=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    return _plain(value.item()) if isinstance(value, np.generic) else value
