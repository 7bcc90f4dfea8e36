"""What reading TensorBoard event files costs: seconds and peak memory per million scalars, checksums checked.

    python tests/benchmarks/event_files.py [SCALARS] [--reader NAME]

Each reader reads the same two files in a process of its own: one tag, and five tags a step. `rows` makes observations,
`series` numpy arrays per tag; `EventAccumulator` is TensorBoard's own reader, with `size_guidance` 0 so that it keeps
every scalar as ours does.
"""

from __future__ import annotations

import argparse
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from scalewatch.logs.tensorboard.event_log import TensorBoardLog
from scalewatch.logs.tensorboard.series import EventSeries
from scalewatch.logs.tensorboard.tfrecord_checksum import masked_crc32c, masked_crc32c_of

TAGS = {"one tag": ["train/loss"], "five tags": ["train/loss", "lr-AdamW", "grad_norm", "tokens", "epoch"]}


def write(folder: Path, count: int, tags: list[str]) -> None:
    """A file as torch's SummaryWriter makes it, which takes a minute for a million scalars itself."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    folder.mkdir()
    noise = np.random.default_rng(0).normal(0.0, 0.02, count)
    events = [Event(wall_time=1.7e9, file_version="brain.Event:2").SerializeToString()]
    for place in range(count):
        step = place // len(tags) + 1
        value = Summary.Value(tag=tags[place % len(tags)], simple_value=2.0 + 3.0 * step**-0.3 + noise[place])
        event = Event(wall_time=1.7e9 + 0.3 * place, step=step, summary=Summary(value=[value]))
        events.append(event.SerializeToString())
    data = b"".join(events)
    lengths = np.array([len(event) for event in events])
    crcs = masked_crc32c(np.frombuffer(data, np.uint8), np.cumsum(lengths) - lengths, lengths)
    with open(folder / "events.out.tfevents.1700000000.host.1.0", "wb") as target:
        for event, crc in zip(events, crcs.tolist(), strict=True):
            length = struct.pack("<Q", len(event))
            target.write(length + struct.pack("<I", masked_crc32c_of(length)) + event + struct.pack("<I", crc))


def by_rows(folder: Path) -> int:
    return sum(1 for _ in TensorBoardLog(list(folder.iterdir()), {}).rows())


def by_series(folder: Path) -> int:
    return sum(len(series.steps) for series in EventSeries(folder).poll().values())


def by_accumulator(folder: Path) -> int:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder), {"scalars": 0})
    reader.Reload()
    return sum(len(reader.Scalars(tag)) for tag in reader.Tags()["scalars"])


READERS: dict[str, Callable[[Path], int]] = {
    "rows": by_rows,
    "series": by_series,
    "EventAccumulator": by_accumulator,
}


def measure(reader: str, folder: Path) -> None:
    """Print the result, wall and CPU seconds and the peak memory of this process [MB]."""
    began, began_cpu = time.perf_counter(), time.process_time()
    count = READERS[reader](folder)
    wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count:>9,} read   {wall:6.2f} s   {cpu:6.2f} s CPU   {peak:5.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scalars", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--reader", choices=list(READERS), help="only this one")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--write", choices=list(TAGS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.write is not None:
        write(args.folder, args.scalars, TAGS[args.write])
        return
    if args.folder is not None:
        measure(args.reader, args.folder)
        return
    # A process starts with the peak of the one that started it, so this one must stay small.
    this = [sys.executable, __file__]
    with tempfile.TemporaryDirectory() as place:
        for name in TAGS:
            folder = Path(place, name)
            subprocess.run([*this, str(args.scalars), "--write", name, "--folder", str(folder)], check=True)
            for reader in [args.reader] if args.reader else READERS:
                print(f"{name:<10} {reader:<17}", end=" ", flush=True)
                subprocess.run([*this, "--reader", reader, "--folder", str(folder)], check=True)


if __name__ == "__main__":
    main()
