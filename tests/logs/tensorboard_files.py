"""Event files for the tests, framed by TensorBoard's own writer and encoded by protobuf."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

__all__ = ["NAME", "START", "event", "file_of", "framed", "losses"]

#: What torch calls a file that was begun at START.
START = 1_700_000_000.0
NAME = "events.out.tfevents.1700000000.host.1.0"


def event(step: int, wall_time: float = START, **scalars: float) -> bytes:
    """One event with a summary of scalars, which torch writes one by one; `__` in a name is a slash."""
    values = [Summary.Value(tag=tag.replace("__", "/"), simple_value=value) for tag, value in scalars.items()]
    written = Event(wall_time=wall_time, step=step, summary=Summary(value=values))
    return bytes(written.SerializeToString())


def losses(count: int, first: int = 1) -> list[bytes]:
    """Events of a falling loss, one a second."""
    return [event(step, START + step, train__loss=round(3.0 - step / 256, 6)) for step in range(first, first + count)]


def framed(events: Iterable[bytes]) -> bytes:
    """The records of a file with these events."""
    target = io.BytesIO()
    writer = RecordWriter(target)
    for data in events:
        writer.write(data)
    return target.getvalue()


def file_of(folder: Path, events: Iterable[bytes], name: str = NAME, begun: float = START) -> Path:
    """A file as a writer makes it: first its version, then the events."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    version = bytes(Event(wall_time=begun, file_version="brain.Event:2").SerializeToString())
    path.write_bytes(framed([version, *events]))
    return path
