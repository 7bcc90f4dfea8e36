"""Event files as others write them: torch's writer, TensorBoard's own, every way of writing a scalar."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.scalar.metadata import create_summary_metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto

from scalewatch.logs.tensorboard.event_log import TensorBoardLog
from scalewatch.logs.tensorboard.series import EventSeries
from tests.logs.tensorboard_files import START, file_of


def test_what_torch_writes_is_read_as_tensorboard_reads_it(tmp_path: Path) -> None:
    """Scalars among histograms, texts, images and hyperparameters: each tag, step, time and value is the same."""
    torch = pytest.importorskip("torch")
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    writer = tensorboard.SummaryWriter(str(tmp_path))
    for step in range(300):
        writer.add_scalar("train/loss", 3.0 / (step + 1), step)
        writer.add_scalar("lr-AdamW", 1e-3 * step, step)
        if step % 20 == 0:
            writer.add_histogram("weights", torch.linspace(-1.0, step, 1000), step)
            writer.add_text("note", f"at {step}", step)
            writer.add_image("picture", torch.zeros(3, 8, 8), step)
            writer.add_scalar("grad_norm", torch.tensor(float(step)), step, new_style=True)
            writer.add_scalar("exact", step / 3, step, new_style=True, double_precision=True)
    writer.add_hparams({"width": 64}, {"hparam/loss": 1.5})
    writer.close()
    reference = EventAccumulator(str(tmp_path), {"scalars": 0, "tensors": 0})
    reference.Reload()
    series = EventSeries(tmp_path).poll()

    for tag in reference.Tags()["scalars"]:
        events = reference.Scalars(tag)
        assert [e.step for e in events] == series[tag].steps.tolist()
        assert [e.wall_time for e in events] == series[tag].wall_times.tolist()
        assert [e.value for e in events] == series[tag].values.tolist()
    assert [step / 3 for step in range(0, 300, 20)] == series["exact"].values.tolist()
    assert {"train/loss", "lr-AdamW", "grad_norm", "exact"} == set(series)
    assert 2 == len({path.parent for path in tmp_path.rglob("*tfevents*")})

    log = TensorBoardLog(sorted(tmp_path.glob("events*")), {})
    rows = list(log.rows())
    assert [(0, 3.0, 0.0, 0.0), (1, 1.5, float(np.float32(1e-3)), None)] == [row[:4] for row in rows[:2]]
    assert 300 == len(rows)
    assert [] == log.notes


def test_a_session_that_tensorboard_writes_is_read(tmp_path: Path) -> None:
    """Its own asynchronous writer, several scalars in one event, a session's start between them."""
    writer = EventFileWriter(str(tmp_path))
    for step in (1, 2, 3):
        values = [Summary.Value(tag="loss", simple_value=step), Summary.Value(tag="lr", simple_value=0.5)]
        writer.add_event(Event(wall_time=START, step=step, summary=Summary(value=values)))
        writer.add_event(Event(step=step, session_log=SessionLog(status=SessionLog.START)))
    writer.close()

    log = TensorBoardLog(list(tmp_path.iterdir()), {})
    assert [(1, 1.0, 0.5), (2, 2.0, 0.5), (3, 3.0, 0.5)] == [row[:3] for row in log.rows()]


@pytest.mark.parametrize(
    "tensor",
    [
        make_tensor_proto(np.float32(1.5)),
        make_tensor_proto(np.float64(1.5)),
        make_tensor_proto(np.float16(1.5)),
        make_tensor_proto(np.array([[1.5]], np.float32)),
        TensorProto(dtype=1, tensor_content=struct.pack("<f", 1.5)),
        TensorProto(dtype=2, tensor_content=struct.pack("<d", 1.5)),
        TensorProto(dtype=19, tensor_content=struct.pack("<e", 1.5)),
        TensorProto(dtype=14, tensor_content=b"\xc0\x3f"),
        TensorProto(dtype=14, half_val=[0x3FC0]),
    ],
    ids=lambda tensor: f"type {tensor.dtype}, {'content' if tensor.tensor_content else 'values'}",
)
def test_a_scalar_written_as_a_tensor_is_read(tmp_path: Path, tensor: TensorProto) -> None:
    """As TensorFlow 2 writes it, in each type and in both places; many events, which are read together."""
    value = Summary.Value(tag="loss", tensor=tensor, metadata=create_summary_metadata("", ""))
    events = [
        Event(wall_time=START, step=step, summary=Summary(value=[value])).SerializeToString() for step in range(20)
    ]

    assert [1.5] * 20 == [row.loss for row in TensorBoardLog([file_of(tmp_path, events)], {}).rows()]


def test_whole_numbers_in_tensors_are_read(tmp_path: Path) -> None:
    """Such as a count of tokens: 32 and 64 bits, negative too."""
    values = [
        Summary.Value(tag="a", tensor=make_tensor_proto(np.int32(-7))),
        Summary.Value(tag="b", tensor=make_tensor_proto(np.int64(2**40))),
        Summary.Value(tag="c", tensor=TensorProto(dtype=9, tensor_content=struct.pack("<q", -3))),
    ]
    file_of(tmp_path, [Event(step=1, summary=Summary(value=values)).SerializeToString()])

    assert {"a": [-7.0], "b": [2.0**40], "c": [-3.0]} == {
        t: s.values.tolist() for t, s in EventSeries(tmp_path).poll().items()
    }


def test_tensors_that_are_no_scalars_are_passed_over(tmp_path: Path) -> None:
    """Several numbers, none, and text."""
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=2)])
    values = [
        Summary.Value(tag="two", tensor=make_tensor_proto(np.array([1.0, 2.0]))),
        Summary.Value(tag="content", tensor=TensorProto(dtype=1, tensor_shape=shape, tensor_content=bytes(8))),
        Summary.Value(tag="none", tensor=TensorProto(dtype=1)),
        Summary.Value(tag="text", tensor=TensorProto(dtype=7, string_val=[b"hello"])),
        Summary.Value(tag="loss", simple_value=2.0),
    ]
    file_of(tmp_path, [Event(step=1, summary=Summary(value=values)).SerializeToString()])

    assert ["loss"] == list(EventSeries(tmp_path).poll())


def test_a_thousand_tags_are_told_apart(tmp_path: Path) -> None:
    """Names of one length, whose events look alike but for a letter."""
    tags = [f"grad/layer.{k:03}" for k in range(1000)]
    values = [[Summary.Value(tag=tag, simple_value=k + step) for k, tag in enumerate(tags)] for step in (1, 2)]
    events = [
        Event(wall_time=START, step=step, summary=Summary(value=[value])).SerializeToString()
        for step in (1, 2)
        for value in values[step - 1]
    ]
    file_of(tmp_path, events)
    series = EventSeries(tmp_path).poll()

    assert {tag: [k + 1.0, k + 2.0] for k, tag in enumerate(tags)} == {t: s.values.tolist() for t, s in series.items()}
