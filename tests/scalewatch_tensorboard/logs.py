"""Folders of logs for the tests of the panel: journals and event files, small, with known incidents."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from scalewatch.arrays import Floats
from scalewatch.journal import LAW, JournalWriter, observation_record
from scalewatch.laws import CurveLaw
from scalewatch.laws.law_file import save_law
from scalewatch.logs.tensorboard.tfrecord_checksum import masked_crc32c, masked_crc32c_of
from scalewatch.observation import Observation
from scalewatch.run import Run
from tests.logs.tensorboard_files import NAME, START, file_of, framed
from tests.synthetic import LADDER, TOKENS_PER_STEP, TrueLaw, cosine, fitted, noisy, planned

__all__ = ["HOSTILE", "SPIKE_STEP", "event_log", "grow", "journal_log", "long_log", "losses_of", "many", "zoo"]

#: A folder that would be a picture with a script, if anybody took it for markup.
HOSTILE = "<img src=x onerror=alert(1)>"
#: The run in the middle of its plan: its planned steps, those it has done, and where its loss jumps.
TOTAL, DONE, SPIKE_STEP, SPIKE_STEPS = 3_000, 1_500, 1_100, 60
PARAMETERS = 8e6
#: Step from which on the run that is lost is.
LOST_STEP = 1_200


def losses_of(total: int, done: int, seed: int, spike: bool = False) -> Floats:
    """Losses of a run that follows the law of these tests; a spike doubles the loss and fades."""
    losses = noisy(TrueLaw().losses(cosine(total), PARAMETERS), 0.01, seed)[:done]
    if spike:
        fading = np.exp(-np.arange(SPIKE_STEPS) / 20.0)
        losses[SPIKE_STEP - 1 : SPIKE_STEP - 1 + SPIKE_STEPS] *= 1.0 + fading
    return losses


def journal_log(
    folder: Path, run: Run, losses: Floats, rates: Floats, *, ended: bool = True, law: CurveLaw | None = None
) -> None:
    """A run as the callback leaves it: its plan, the law it was watched by, and each step."""
    writer = JournalWriter(folder, run)
    if law is not None:
        writer.append_through({"type": LAW, "law": law.to_json()})
    norms = 1.0 + 0.1 * np.random.default_rng(1).standard_normal(len(losses))
    for place, loss in enumerate(losses.tolist()):
        step = place + 1
        row = Observation(step, loss, float(rates[place]), float(norms[place]), float(step * TOKENS_PER_STEP))
        writer.append(observation_record(row))
    if ended:
        writer.close()
    else:
        writer.drain()
        writer.abandon()


def _events(
    losses: Iterable[float], first: int, rates: Floats | None, tag: str, more: str | None = None
) -> list[bytes]:
    made = []
    for place, loss in enumerate(losses):
        step = first + place
        values = [Summary.Value(tag=tag, simple_value=loss)]
        if rates is not None:
            values.append(Summary.Value(tag="lr-AdamW", simple_value=float(rates[step - 1])))
        if more is not None:
            values.append(Summary.Value(tag=more, simple_value=1.0))
        event = Event(wall_time=START + 0.5 * step, step=step, summary=Summary(value=values))
        made.append(bytes(event.SerializeToString()))
    return made


def event_log(
    folder: Path, losses: Floats, rates: Floats | None = None, tag: str = "train/loss", more: str | None = None
) -> Path:
    """A run as torch's SummaryWriter leaves it, with another tag `more` that says nothing. Returns its file."""
    return file_of(folder, _events(losses.tolist(), 1, rates, tag, more))


def grow(folder: Path, losses: Floats, first: int, rates: Floats | None = None) -> None:
    """Write the next rows of such a run."""
    with open(folder / NAME, "ab") as target:
        target.write(framed(_events(losses.tolist(), first, rates, "train/loss")))


def zoo(folder: Path) -> Path:
    """A folder with one run of each kind that the panels must draw, and a law. Returns the path of the law."""
    rates = cosine(TOTAL)
    live = planned(rates, PARAMETERS, "live")
    journal_log(folder / "live", live, losses_of(TOTAL, DONE, 0, spike=True), rates, ended=False)
    for size, total in LADDER:
        run = planned(cosine(total), size, f"{size / 1e6:.0f}M")
        losses = noisy(TrueLaw().losses(cosine(total), size), 0.01, int(size))
        journal_log(folder / "ladder" / run.name, run, losses, cosine(total))
    broken = losses_of(TOTAL, DONE, 4)
    broken[300:1_000:20] *= 1.3
    broken[LOST_STEP - 1 :] += 2.0
    journal_log(folder / "lost", planned(rates, PARAMETERS, "lost"), broken, rates, ended=False)
    event_log(folder / "old", losses_of(TOTAL, DONE, 1), rates)
    event_log(folder / HOSTILE, losses_of(600, 600, 2), tag="train/loss", more=HOSTILE)
    cut = event_log(folder / "cut", losses_of(900, 900, 3))
    cut.write_bytes(cut.read_bytes()[:-17])
    law = folder / "ladder.law.json"
    save_law(fitted(), law)
    return law


def many(folder: Path, count: int) -> None:
    """A folder with many short runs."""
    for number in range(count):
        event_log(folder / f"sweep/run_{number:03}", losses_of(200, 200, number))


def long_log(folder: Path, count: int, spike_step: int, spike: float) -> None:
    """An event file of a run of `count` steps, at most 2,097,151, with one step whose loss is `spike`.

    Written as bytes side by side: protobuf takes ten times as long for it.
    """
    steps = np.arange(1, count + 1)
    losses = (1.7 + 8.0 * (steps + 50.0) ** -0.35) * np.exp(0.01 * np.random.default_rng(0).standard_normal(count))
    losses[spike_step - 1] = spike
    tag = b"train/loss"
    value = b"\x0a" + bytes([len(tag)]) + tag + b"\x15"
    summary = b"\x0a" + bytes([len(value) + 4]) + value
    begin = [b"\x09", b"\x10", b"\x2a" + bytes([len(summary) + 4]) + summary]
    wall = (START + 0.25 * steps).astype("<f8").view(np.uint8).reshape(count, 8)
    # a varint of three bytes whatever the step: seven bits each, all but the last marked
    varint = np.stack([steps & 127 | 128, steps >> 7 & 127 | 128, steps >> 14], axis=1).astype(np.uint8)
    last = losses.astype("<f4").view(np.uint8).reshape(count, 4)
    fixed = [np.tile(np.frombuffer(part, np.uint8), (count, 1)) for part in begin]
    events = np.hstack([fixed[0], wall, fixed[1], varint, fixed[2], last])
    size = events.shape[1]
    crcs = masked_crc32c(events.ravel(), np.arange(count) * size, np.full(count, size))
    length = np.frombuffer(struct.pack("<Q", size), np.uint8)
    head = np.concatenate([length, np.frombuffer(struct.pack("<I", masked_crc32c_of(length.tobytes())), np.uint8)])
    tail = np.asarray(crcs, dtype="<u4").view(np.uint8).reshape(count, 4)
    path = file_of(folder, [])
    with open(path, "ab") as target:
        target.write(np.hstack([np.tile(head, (count, 1)), events, tail]).tobytes())
