"""The scalars in one TensorBoard event, read from protobuf's wire format.

Only what carries scalars is known here: `Event` (tensorflow/core/util/event.proto), `Summary` (summary.proto) and
`TensorProto` (tensor.proto); every other field is passed over, as protobuf prescribes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple, final

__all__ = ["BadEventError", "Event", "Scalar", "read_event"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

#: TensorProto's numbers: DataType -> (numpy's name in tensor_content, field of the values, their form there).
_TENSORS = {
    1: ("<f4", 5, "<f4"),  # float, float_val
    2: ("<f8", 6, "<f8"),  # double, double_val
    3: ("<i4", 7, "int"),  # int32, int_val
    9: ("<i8", 10, "int"),  # int64, int64_val
    14: ("bf2", 13, "bf2"),  # bfloat16, half_val
    19: ("<f2", 13, "<f2"),  # half, half_val
}
_FORMATS = {"<f4": "<f", "<f8": "<d", "<i4": "<i", "<i8": "<q", "<f2": "<e"}


@final
class BadEventError(ValueError):
    """Bytes that are no event: their checksum was right, so they were written like that."""


@final
class Scalar(NamedTuple):
    """One number of a summary.

    Attributes:
        tag: its name.
        value: the number.
        at: where it stands in the bytes; -1 if it has no fixed place.
        form: how it is written there, `<f4` or `<f8`; "" without a fixed place.
    """

    tag: str
    value: float
    at: int
    form: str


@final
class Event(NamedTuple):
    """What an event says.

    Attributes:
        wall_time: seconds since 1970 [s].
        step: the writer's step.
        scalars: the scalars of its summary.
        wall_time_at, step_at: where they stand in the bytes; -1 where there are none.
        step_bytes: how many bytes the step takes.
        is_plain: whether wall time, step and summary stand there once at most.
    """

    wall_time: float
    step: int
    scalars: list[Scalar]
    wall_time_at: int
    step_at: int
    step_bytes: int
    is_plain: bool


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value, shift = 0, 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise BadEventError("a number without an end")


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Field number, wire type, value of a varint, first byte and the byte after the last of each field's content."""
    while at < end:
        key, at = _varint(data, at, end)
        number, kind = key >> 3, key & 7
        value, stop = 0, at
        if kind == _VARINT:
            value, stop = _varint(data, at, end)
        elif kind == _BYTES:
            length, at = _varint(data, at, end)
            stop = at + length
        elif kind in (_FIXED64, _FIXED32):
            stop = at + (8 if kind == _FIXED64 else 4)
        else:
            raise BadEventError(f"wire type {kind}")
        if stop > end or number == 0:
            raise BadEventError("a field that leaves its message")
        yield number, kind, value, at, stop
        at = stop


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def read_event(data: bytes, start: int, end: int) -> Event:
    """Read the event in `data[start:end]`.

    Raises:
        BadEventError: if those bytes are no event.
    """
    wall_time, step, wall_time_at, step_at, step_bytes = 0.0, 0, -1, -1, 0
    scalars: list[Scalar] = []
    seen: list[int] = []
    for number, kind, value, at, stop in _fields(data, start, end):
        seen.append(number)
        if number == 1 and kind == _FIXED64:
            wall_time, wall_time_at = struct.unpack_from("<d", data, at)[0], at
        elif number == 2 and kind == _VARINT:
            step, step_at, step_bytes = _signed(value), at, stop - at
        elif number == 5 and kind == _BYTES:
            values = (field for field in _fields(data, at, stop) if field[0] == 1 and field[1] == _BYTES)
            scalars += [scalar for field in values if (scalar := _scalar(data, field[3], field[4])) is not None]
    return Event(wall_time, step, scalars, wall_time_at, step_at, step_bytes, len(seen) == len(set(seen)))


def _scalar(data: bytes, start: int, end: int) -> Scalar | None:
    """The scalar of a Summary.Value; None for images, texts, histograms and so on."""
    tag = ""
    found: tuple[float, int, str] | None = None
    payloads = 0
    for number, kind, _, at, stop in _fields(data, start, end):
        if number == 1 and kind == _BYTES:
            tag = data[at:stop].decode("utf-8", "replace")
        elif number == 2 and kind == _FIXED32:
            found = struct.unpack_from("<f", data, at)[0], at, "<f4"
            payloads += 1
        elif number == 8 and kind == _BYTES:
            found = _of_tensor(data, at, stop)
            payloads += 1
    if found is None:
        return None
    value, at, form = found
    return Scalar(tag, value, at if payloads == 1 else -1, form if payloads == 1 else "")


def _of_tensor(data: bytes, start: int, end: int) -> tuple[float, int, str] | None:
    """The one number of a tensor; None if it holds several, or none."""
    dtype, fields = 0, []
    for field in _fields(data, start, end):
        if field[0] == 1 and field[1] == _VARINT:
            dtype = field[2]
        else:
            fields.append(field)
    if dtype not in _TENSORS:
        return None
    packed, place, form = _TENSORS[dtype]
    contents = [field for field in fields if field[0] in (4, place) and field[3] < field[4]]
    if len(contents) != 1:
        return None
    number, kind, value, at, stop = contents[0]
    if number == 4:
        return _number(data, at, stop, packed)
    if form in ("<f4", "<f8"):
        return _number(data, at, stop, form)
    if kind == _BYTES:
        value, after = _varint(data, at, stop)
        if after != stop:
            return None
    if form == "int":
        return float(_signed(value)), -1, ""
    return _number((value & 0xFFFF).to_bytes(2, "little"), 0, 2, form)


def _number(data: bytes, at: int, stop: int, form: str) -> tuple[float, int, str] | None:
    if stop - at != int(form[-1]):
        return None
    if form == "bf2":  # the upper half of a float
        return struct.unpack("<f", b"\0\0" + data[at:stop])[0], -1, ""
    value = float(struct.unpack_from(_FORMATS[form], data, at)[0])
    return (value, at, form) if form in ("<f4", "<f8") else (value, -1, "")
