"""Reads what a run of Weights & Biases has written without a server: history rows and the summary."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from wandb.proto import wandb_internal_pb2

#: The file is a log as LevelDB writes it, behind a header: blocks of records of length, kind and part of a message.
BLOCK, FILE_HEADER, RECORD_HEADER, LAST_KINDS = 32_768, 7, 7, (1, 4)


class Logged(NamedTuple):
    """The rows that were committed, each with its step, the summary of the run, and titles and levels of its alerts."""

    rows: list[dict[str, Any]]
    summary: dict[str, Any]
    alerts: list[tuple[str, str]]


def logged_by(folder: Path) -> Logged:
    """What the one run below `folder` has logged."""
    (file,) = folder.rglob("*.wandb")
    rows, summary, alerts = [], {}, []
    for message in _messages(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(message)
        if record.WhichOneof("record_type") == "history":
            rows.append(_values(record.history.item))
        elif record.WhichOneof("record_type") == "summary":
            summary.update(_values(record.summary.update))
        elif record.WhichOneof("record_type") == "alert":
            alerts.append((record.alert.title, record.alert.level))
    return Logged(rows, summary, alerts)


def _values(items: Any) -> dict[str, Any]:
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def _messages(data: bytes) -> Iterator[bytes]:
    at, message = FILE_HEADER, b""
    while at + RECORD_HEADER <= len(data):
        left = BLOCK - at % BLOCK
        length, kind = struct.unpack("<HB", data[at + 4 : at + RECORD_HEADER])
        if left < RECORD_HEADER or kind == 0:
            at += left
            continue
        message += data[at + RECORD_HEADER : at + RECORD_HEADER + length]
        at += RECORD_HEADER + length
        if kind in LAST_KINDS:
            yield message
            message = b""
