"""How fast what programs print is read, in MB of text a second of CPU, beside one regular expression over each line.

    python tests/benchmarks/text_speed.py [MEGABYTES]

Made-up logs in the formats of twelve programs, with a validation now and then, and a table. `rows`: to steps, losses,
rates and all else that a monitor takes. The rival knows the program: an expression written for it takes step and loss,
and no more.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from scalewatch.logs import open_logs

#: Letters that a bar ends in.
_PARTS = " ▏▎▍▌▋▊▉"


class Program(NamedTuple):
    """What a program prints at step `i`, and an expression for its step and loss."""

    prints: Callable[[int, float, random.Random], str]
    expression: str


def _clock(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60:02d}:{rest % 60:02d}"


def _when(i: int) -> str:
    return f"2025-03-{1 + i // 86_400 % 28:02d} {i // 3600 % 24:02d}:{i // 60 % 60:02d}:{i % 60:02d}"


def _bar(done: int, whole: int) -> str:
    blocks = "█" * (10 * done // whole)
    return (blocks + _PARTS[80 * done // whole % 8] * (done < whole)).ljust(10)


def nanogpt(i: int, x: float, r: random.Random) -> str:
    val = f"step {i}: train loss {x:.4f}, val loss {x:.4f}\n" if i % 2000 == 0 else ""
    return f"{val}iter {i}: loss {x:.4f}, time {300 + r.random():.2f}ms, mfu {40 + r.random():.2f}%\n"


def megatron(i: int, x: float, r: random.Random) -> str:
    return (
        f" [{_when(12 * i)}] iteration {i:>8}/ 9242204 | consumed samples: {i * 1008:>12} | elapsed time per iteration "
        f"(ms): {1211 + r.random():.1f} | learning rate: {3e-4 - 1e-11 * i:.6E} | global batch size:  1008 | "
        f"lm loss: {x:.6E} | loss scale: 1.0 | grad norm: {r.random():.3f} | number of nan iterations:   0 |\n"
    )


def transformers(i: int, x: float, r: random.Random) -> str:
    bar = f"\r{i // 90_000:3d}%|{_bar(i, 9_000_000)}| {i}/9000000 [{_clock(i)}<{_clock(9_000_000 - i)},  2.01it/s]"
    if i % 3:
        return bar
    row = f"{{'loss': {x:.4f}, 'grad_norm': {r.random()}, 'learning_rate': {5e-5 - 1e-12 * i}, 'epoch': {i / 4e4:.2f}}}"
    return f"{bar}\r{' ' * 40}\r{row}\n"


def dicts(i: int, x: float, r: random.Random) -> str:
    rate = 5e-5 - 1e-12 * i
    return f"{{'loss': {x:.4f}, 'grad_norm': {r.random()}, 'learning_rate': {rate}, 'epoch': {i / 4e4:.2f}}}\n"


def torchtitan(i: int, x: float, r: random.Random) -> str:
    return (
        f"[rank0]:\x1b[31m[titan] {_when(i)},123 - root - INFO - step: \x1b[36m{i:>2}  \x1b[32mloss: {x:7.4f}  "
        f"\x1b[38;2;180;60;0mgrad_norm: {r.random():7.4f}  \x1b[33mmemory: 33.21GiB(41.98%)  \x1b[34mtps: "
        f"{5100 + i % 99:,}  \x1b[35mmfu: {40 + r.random():.2f}%\x1b[39m\n"
    )


def keras(i: int, x: float, r: random.Random) -> str:
    epoch, batch = divmod(i, 625)
    head = f"Epoch {epoch + 1}/9000\n" if batch == 0 else ""
    drawn = ("=" * (30 * batch // 625) + ">").ljust(30, ".")[:30]
    return f"{head}{batch + 1}/625 [{drawn}] - ETA: 9s - loss: {x:.4f} - accuracy: {r.random():.4f}{chr(8) * 80}\r"


def tqdm(i: int, x: float, r: random.Random) -> str:
    epoch, done = divmod(i, 5000)
    clocks = f"{_clock(done // 20)}<{_clock((5000 - done) // 20)}, {19 + r.random():.2f}it/s"
    return (
        f"\rEpoch {epoch}: {done // 50:3d}%|{_bar(done, 5000)}| {done + 1}/5001 [{clocks}, loss={x:.3f}, lr=1.00e-03]"
    )


def lightning(i: int, x: float, r: random.Random) -> str:
    return f"{tqdm(i, x, r)[:-1].replace('loss', 'train_loss_step')}, v_num=0, train_loss_epoch=3.900]"


def fairseq(i: int, x: float, r: random.Random) -> str:
    return (
        f"{_when(30 * i)} | INFO | train_inner | epoch {1 + i // 20_000:03d}: {i % 20_000:>6} / 20000 loss={x:.3f}, "
        f"nll_loss={x - 0.3:.3f}, ppl={2**x:.2f}, wps={1200 + i % 90}, ups={1 + r.random():.2f}, wpb=1000, bsz=32, "
        f"num_updates={i}, lr={1e-4 - 1e-11 * i:.6g}, gnorm={r.random():.3f}, loss_scale=64, gb_free=10.1, wall={i}\n"
    )


def mmengine(i: int, x: float, r: random.Random) -> str:
    return (
        f"06/01 {_when(i)[11:]} - mmengine - INFO - Epoch(train)  [{1 + i // 1000}][{i % 1000 + 1:>5}/1000]  lr: "
        f"1.0000e-03  eta: 7 days, 15:{i % 60:02d}:58  time: {0.7 + r.random() / 100:.4f}  data_time: 0.0020  memory: "
        f"7239  grad_norm: {3 + r.random():.4f}  loss: {x:.4f}  loss_cls: {x / 2:.4f}  loss_bbox: {x / 2:.4f}\n"
    )


def detectron2(i: int, x: float, r: random.Random) -> str:
    return (
        f"[07/09 {_when(i)[11:]} d2.utils.events]:  eta: 0:12:34  iter: {i}  total_loss: {x:.3f}  loss_cls: {x / 2:.3f}"
        f"  time: {0.3 + r.random() / 100:.4f}  data_time: 0.0101  lr: 0.00025  max_mem: 2000M\n"
    )


def olmo(i: int, x: float, r: random.Random) -> str:
    return (
        f"{_when(i)}.123\trank0\tolmo.train:816\tINFO\t[step={i}/9739328,epoch=0]\n    optim/total_grad_norm="
        f"{r.random():.4f}\n    train/CrossEntropyLoss={x:.3f}\n    throughput/total_tokens={4194304 * i:,}\n"
    )


def table(i: int, x: float, r: random.Random) -> str:
    head = "    step      loss        lr  grad_norm   tok/s\n" if i % 50 == 1 else ""
    return f"{head}{i:>8}  {x:8.4f}  {3e-4 - 1e-11 * i:8.2e}  {1 + r.random():9.4f}  {1200 + i % 90:>6}\n"


PROGRAMS = {
    "nanoGPT": Program(nanogpt, r"^iter (\d+): loss ([\d.]+)"),
    "Megatron-LM": Program(megatron, r"iteration +(\d+)/.*lm loss: (\S+)"),
    "transformers, bars": Program(transformers, r"\| (\d+)/.*|\{'loss': ([\d.]+)"),
    "transformers, rows": Program(dicts, r"'loss': ([\d.]+).*'epoch': ([\d.]+)"),
    "torchtitan": Program(torchtitan, r"step: \x1b\[36m *(\d+).*loss: +([\d.]+)"),
    "Keras": Program(keras, r"(\d+)/\d+ \[.*loss: ([\d.]+)"),
    "tqdm": Program(tqdm, r"\| (\d+)/.*loss=([\d.]+)"),
    "Lightning": Program(lightning, r"\| (\d+)/.*loss_step=([\d.]+)"),
    "fairseq": Program(fairseq, r" loss=([\d.]+).*num_updates=(\d+)"),
    "mmengine": Program(mmengine, r"\]\[ *(\d+)/.* loss: ([\d.]+)"),
    "detectron2": Program(detectron2, r"iter: (\d+)  total_loss: ([\d.]+)"),
    "OLMo": Program(olmo, r"step=(\d+)/|CrossEntropyLoss=([\d.]+)"),
    "a table": Program(table, r"^ *(\d+) +([\d.]+)"),
}


def written(program: Program, path: Path, size: float) -> None:
    """Write a log of so many bytes."""

    def lines() -> Iterator[str]:
        source, i = random.Random(0), 0
        while True:
            i += 1
            yield program.prints(i, 2.5 + 3.0 * (i + 10) ** -0.2 + source.gauss(0, 0.03), source)

    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        for text in lines():
            count += file.write(text)
            if count > size:
                break
        file.write("\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("megabytes", nargs="?", type=float, default=50.0)
    size = 1e6 * parser.parse_args().megabytes
    print(f"{size / 1e6:g} MB [MB/s CPU]      rows   expression   CPU a line [us]   rows read")
    with tempfile.TemporaryDirectory() as folder:
        for name, program in PROGRAMS.items():
            path = Path(folder, "train.log")
            written(program, path, size)
            megabytes = path.stat().st_size / 1e6
            began = time.process_time()
            count = sum(len(block) for log in open_logs([path]).logs for _, block in log.blocks())
            read = time.process_time()
            expression, lines = re.compile(program.expression), 0
            with path.open(encoding="utf-8") as file:
                for line in file:
                    lines += 1
                    if (found := expression.search(line)) is not None:
                        [float(group) for group in found.groups() if group]
            end = time.process_time()
            ours, theirs = megabytes / (read - began), megabytes / (end - read)
            print(f"{name:<20} {ours:8.1f} {theirs:12.1f} {1e6 * (read - began) / lines:17.2f} {count:11,}")


if __name__ == "__main__":
    main()
