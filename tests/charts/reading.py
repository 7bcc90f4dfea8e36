"""What stands in a chart: its layers and their rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def layers_of(chart: Any, mark: str) -> list[dict[str, Any]]:
    """Return the layers of a chart with one kind of mark, each with its rows under `values`."""
    spec = chart.to_dict()
    return [layer | {"values": _values(spec, layer)} for layer in _walk(spec) if _mark(layer) == mark]


def values_of(layer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a layer."""
    rows: list[dict[str, Any]] = layer["values"]
    return rows


def texts_of(chart: Any) -> list[str]:
    """Return the words of all text marks."""
    return [str(row["label"]) for layer in layers_of(chart, "text") for row in values_of(layer)]


def _mark(layer: dict[str, Any]) -> str:
    mark = layer.get("mark", "")
    return str(mark.get("type", "") if isinstance(mark, dict) else mark)


def _walk(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield part
    for key in ("layer", "hconcat", "vconcat"):
        for child in part.get(key, ()):
            # altair lifts data that layers share to what holds them
            yield from _walk({"data": part["data"], **child} if "data" in part else child)


def _values(spec: dict[str, Any], layer: dict[str, Any]) -> list[dict[str, Any]]:
    data = layer.get("data", {})
    written = spec["datasets"][data["name"]] if "name" in data else data.get("values", "[]")
    # altair's charts hold their rows as text, the plain ones as they are
    rows: list[dict[str, Any]] = json.loads(written) if isinstance(written, str) else written
    return rows
