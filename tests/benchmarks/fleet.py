"""What a fleet costs: the answer over very many runs, and the reading of many logs.

    python tests/benchmarks/fleet.py [--runs 100000] [--looks 20] [--logs 1000] [--rows 500] [--grown 200]
        [--backend loky]

`asked`: a made-up fleet of so many runs in parquet, and `scalewatch fleet` over it as a whole process, seven times:
wall time and CPU, least, median and most. `read`: so many event files of so many rows, collected on one core, on all,
again with nothing changed, and with a tenth of them grown. `grown`: so many tables, JSON lines and texts of 20,000
rows, each of which grew by a hundredth, on one core: gone on with, and read whole.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "integrations")]

from scalewatch.kinds import KINDS  # noqa: E402
from scalewatch.offline.fleet.store import FleetStore  # noqa: E402
from tests.scalewatch_tensorboard.logs import event_log, grow, losses_of  # noqa: E402

#: Times that the answer is asked for.
REPEATS = 7
#: State -> its rank and how many of a hundred runs are in it, in a made-up fleet.
STATES = {
    "over": (0, 60),
    "healthy": (0, 25),
    "recovered": (1, 8),
    "in trouble": (2, 4),
    "lost": (3, 2),
    "cannot tell": (0, 1),
}


def made_up(runs: int, looks: int, place: Path) -> None:
    """Write a fleet of four collected folders, the running tenth of which was looked at so many times."""
    rng, now = np.random.default_rng(0), datetime.now(UTC).replace(tzinfo=None)
    states = list(STATES)
    drawn = rng.choice(len(states), runs, p=[share / 100 for _, share in STATES.values()])
    names = [row.name for row in KINDS.values()]
    for folder in range(4):
        store = FleetStore(str(place), f"machine-{folder}", named=True)
        rows = [_row(rng, number, states[drawn[number]], names, now) for number in range(folder, runs, 4)]
        for row in rows:
            row["source"] = store.source
        store.add(rows, (), now)
        running = [row for row in rows if not row["finished"]][: runs // 40]
        for look in range(looks - 1):
            store.add(running, (), now + timedelta(seconds=look + 1))


def _row(rng: np.random.Generator, number: int, state: str, names: list[str], now: datetime) -> dict[str, Any]:
    kind, total, over = names[number % len(names)], 20_000, state == "over"
    step = total if over else int(rng.integers(100, total))
    loss, silent = 2.0 + float(rng.random()), float(rng.exponential(900.0))
    rank = STATES[state][0]
    sentence = state if rank == 0 else f"{state.upper()}: {kind} since step {step // 2:,}"
    return {
        "run": f"sweep_{number // 100:04}/run_{number:06}",
        "look": now,
        "written": now - timedelta(seconds=silent),
        "unit": f"sweep_{number // 100:04}/run_{number:06}/",
        "signature": f"{rng.integers(2**63):024x}",
        "state": state,
        "rank": rank,
        "sentence": sentence,
        "since": step // 2 if rank else None,
        "pages": int(rng.integers(1, 4)) if rank else 0,
        "first_page_step": step // 2 if rank else None,
        "open_kinds": kind if rank > 1 else None,
        "not_measured": "gradient norm, validation loss",
        "rows": step,
        "step": step,
        "total_steps": total,
        "progress": step / total,
        "finished": over,
        "row_seconds": 1.0,
        "loss": loss,
        "loss_unit": "nats/token",
        "final_loss": loss if over else None,
        "forecast": None if over else loss - 0.1,
        "forecast_low": None if over else loss - 0.15,
        "forecast_high": None if over else loss - 0.05,
        "off_law": bool(rng.random() < 0.01),
        "law_gap": float(rng.normal(0.0, 0.02)),
        "law_gap_sigmas": float(rng.normal()),
        "action": "check_setup" if rank else "wait",
        "advice": f"check setup (evidence B): the {kind} began at step {step // 2:,}. Ignore this if it falls again.",
        "format": "tensorboard",
    }


def run(*words: str) -> tuple[float, float]:
    """Wall time and CPU [s] of a command."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    path = os.pathsep.join([str(ROOT), str(ROOT / "integrations")])
    done = subprocess.run(
        [sys.executable, "-m", "scalewatch", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "140"},
    )
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def asked(runs: int, looks: int, top: Path) -> None:
    """Print what the answer takes."""
    place = top / "fleet"
    made_up(runs, looks, place)
    bytes_ = {part: sum(f.stat().st_size for f in (place / part).iterdir()) for part in ("latest", "looks")}
    print(
        f"{runs:,} runs: {bytes_['latest'] / 1e6:.1f} MB; "
        f"{looks} looks at a tenth of them: {bytes_['looks'] / 1e6:.1f} MB"
    )
    questions = {
        "scalewatch fleet": (),
        "--json": ("--json",),
        "--sql, a mean by state": ("--sql", "select state, avg(loss) from runs group by state"),
        "--sql, over all looks": ("--sql", "select run, count(*) from looks group by run order by 2 desc limit 5"),
    }
    for title, words in questions.items():
        times = [run("fleet", "--from", str(place), *words) for _ in range(REPEATS)]
        for what, values in zip(("wall", "CPU"), zip(*times, strict=True), strict=True):
            low, middle, high = min(values), statistics.median(values), max(values)
            print(f"  {title:<24} {what:<4} {low:.2f} {middle:.2f} {high:.2f} s")


def read(logs: int, rows: int, backend: str, top: Path) -> None:
    """Print what the reading takes."""
    event_log(top / "first", losses_of(rows, rows // 2, 0))
    source = next((top / "first").iterdir())
    for number in range(logs):
        folder = top / "runs" / f"sweep_{number // 100:03}" / f"run_{number:05}"
        folder.mkdir(parents=True)
        shutil.copy(source, folder / source.name)
    total = logs * source.stat().st_size
    print(f"{logs:,} logs of {rows // 2:,} rows, {total / 1e6:.0f} MB")
    print_read("one core", logs, run("fleet", "collect", str(top / "runs"), "-o", str(top / "one"), "--jobs", "1"))
    words = ("fleet", "collect", str(top / "runs"), "-o", str(top / "all"), "--backend", backend)
    print_read(f"all cores ({backend})", logs, run(*words))
    print_read("again, nothing changed", logs, run(*words))
    for folder in sorted((top / "runs").glob("*/*"))[::10]:
        grow(folder, losses_of(rows, rows // 2 + 10, 0)[rows // 2 :], rows // 2 + 1)
    print_read("again, a tenth has grown", logs, run(*words))


def grown(logs: int, top: Path) -> None:
    """Print what a look takes at logs that have all grown a little, with and without what was kept of them."""
    for number in range(logs):
        _log(top / "long", number, 1, 20_000)
    print(f"{logs:,} logs of 20,000 rows, {sum(f.stat().st_size for f in (top / 'long').iterdir()) / 1e6:.0f} MB")
    words = ("fleet", "collect", str(top / "long"), "--jobs", "1", "-o")
    print_read("the first look", logs, run(*words, str(top / "kept")))
    shutil.copytree(top / "kept", top / "whole")
    shutil.rmtree(top / "whole/kept")
    for number in range(logs):
        _log(top / "long", number, 20_001, 20_200)
    print_read("each grown by 1 %", logs, run(*words, str(top / "kept")))
    print_read("the same, read whole", logs, run(*words, str(top / "whole")))
    sizes = [file.stat().st_size for file in (top / "kept/kept").glob("*/*")]
    print(f"  kept of {len(sizes):,} runs: {statistics.mean(sizes) / 1e3:.1f} KB each, {max(sizes) / 1e3:.1f} at most")


def _log(folder: Path, number: int, first: int, last: int) -> None:
    rng, form = np.random.default_rng([number, first]), ("csv", "jsonl", "log")[number % 3]
    folder.mkdir(exist_ok=True)
    with (folder / f"run_{number:04}.{form}").open("a", encoding="utf-8") as file:
        if form == "csv" and first == 1:
            file.write("step,loss,lr,grad_norm\n")
        for step, noise in zip(range(first, last + 1), rng.normal(size=last + 1 - first), strict=True):
            loss, rate, norm = 2.0 + 8.0 * step**-0.4 + 0.02 * noise, 3e-4 * min(1.0, step / 500), 1.0 + 0.1 * noise
            if form == "csv":
                file.write(f"{step},{loss:.5f},{rate:.6g},{norm:.4f}\n")
            elif form == "jsonl":
                file.write(f'{{"step": {step}, "loss": {loss:.5f}, "lr": {rate:.6g}, "grad_norm": {norm:.4f}}}\n')
            else:
                file.write(f"step {step}/40000 | loss {loss:.5f} | lr {rate:.6g} | grad_norm {norm:.4f}\n")


def print_read(title: str, logs: int, took: tuple[float, float]) -> None:
    wall, cpu = took
    print(f"  {title:<26} {wall:7.1f} s, {cpu:7.1f} s CPU: {logs / wall:8.0f} logs a second", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--looks", type=int, default=20)
    parser.add_argument("--logs", type=int, default=1_000)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--backend", default="loky")
    parser.add_argument("--grown", type=int, default=200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        if args.runs:
            asked(args.runs, args.looks, Path(made))
        if args.logs:
            read(args.logs, args.rows, args.backend, Path(made))
        if args.grown:
            grown(args.grown, Path(made))


if __name__ == "__main__":
    main()
