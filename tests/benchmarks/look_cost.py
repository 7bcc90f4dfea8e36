"""What a look at the forecast costs, and what of it the loop of a training feels.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.look_cost [--repeats N] [--json]

`look`: CPU of one forecast [ms] at a tenth to nine tenths of a run, with planned rates, with rates as they are shown
(two futures), and with a law of smaller runs; the best of N, the mean over the parts. `backtest`: CPU [s] of 100,000
rows alone, and of the same with a hundred looks. `loop`: CPU of the loop's own thread in a run of 60 steps [ms], not
watched, watched, and watched with a place that it is logged to.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from array import array
from collections.abc import Callable
from pathlib import Path
from time import thread_time

import numpy as np
import torch
from lightning.fabric.loggers import CSVLogger

from scalewatch import Monitor, Observation, Run
from scalewatch.forecast import Forecaster
from scalewatch.laws import CurveLaw
from scalewatch.offline.backtest import backtest
from scalewatch.offline.history import RunHistory, planned
from scalewatch.offline.replayed import Settings
from scalewatch_torch import Watcher
from tests.synthetic import TOKENS_PER_STEP, TrueLaw, cosine, fitted, noisy

#: Steps of the runs that are looked at, and the parts at which they are.
TOTAL, PARTS = 5_000, (0.1, 0.3, 0.5, 0.7, 0.9)
#: Rows and looks of the backtest, and steps of the run whose loop is timed.
ROWS, LOOKS, SHORT = 100_000, 100, 60


def best(work: Callable[[], object], repeats: int) -> float:
    """CPU of this thread for one call [s], the best of several."""
    times = []
    for _ in range(repeats):
        began = thread_time()
        work()
        times.append(thread_time() - began)
    return min(times)


def anew(forecaster: Forecaster) -> Callable[[], object]:
    """A look that is taken, and not the one that was taken before."""

    def taken() -> object:
        forecaster.revision += 1
        return forecaster.forecast()

    return taken


def look(run: Run, law: CurveLaw | None, repeats: int) -> float:
    """CPU of one look [ms], the mean over the parts of a run."""
    rates = cosine(TOTAL)
    losses = noisy(TrueLaw().losses(rates, 8e6), 0.01, 1)
    monitor, costs = Monitor(run, law), []
    for step in range(1, TOTAL + 1):
        monitor.observe(Observation(step, float(losses[step - 1]), float(rates[step - 1])))
        if step in {round(part * TOTAL) for part in PARTS} and monitor.forecaster is not None:
            costs.append(best(anew(monitor.forecaster), repeats))
    return 1e3 * float(np.mean(costs))


def looked_back(looks: int) -> float:
    """CPU of a backtest of a long log [s]."""
    steps, noise = np.arange(1, ROWS + 1), np.random.default_rng(0).normal(0.0, 0.02, ROWS)
    losses, rates = 2.0 + 3.0 * steps**-0.3 + noise, 3e-4 * 0.5 * (1.0 + np.cos(np.pi * steps / ROWS))
    columns = (array("q", steps.tolist()), *(array("d", column.tolist()) for column in (losses, rates, steps * np.nan)))
    past, settings = RunHistory("long", Run("long", total_steps=ROWS), *columns), Settings(total_steps=ROWS)
    plan = planned(past, settings, "cosine")
    return best(lambda: backtest(past, plan, settings, [part / looks for part in range(1, looks + 1)]), 1)


def loop(watched: bool, logged: bool) -> float:
    """CPU of the loop's thread in a short run [ms]."""
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def train(watcher: Watcher | None) -> None:
        for step in range(1, SHORT + 1):
            model.weight.grad = torch.zeros(1, 1)
            optimizer.step()
            if watcher is not None:
                watcher.step(torch.tensor(2.0 + 3.0 * step**-0.4))

    if not watched:
        return 1e3 * best(lambda: train(None), 1)
    with tempfile.TemporaryDirectory() as folder:
        loggers = [CSVLogger(folder)] if logged else []
        options = {"total_steps": SHORT, "directory": Path(folder), "quiet": True}
        with Watcher(model, optimizer, loggers=loggers, **options) as watcher:  # type: ignore[arg-type]
            watcher.step(torch.tensor(5.0))
            return 1e3 * best(lambda: train(watcher), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    size = {"parameters": 8_000_000, "tokens_per_step": float(TOKENS_PER_STEP)}
    told = {
        "look planned [ms]": look(Run("planned", TOTAL, cosine(TOTAL), **size), None, args.repeats),  # type: ignore[arg-type]
        "look as shown [ms]": look(Run("shown", TOTAL, **size), None, args.repeats),  # type: ignore[arg-type]
        "look with a law [ms]": look(Run("law", TOTAL, cosine(TOTAL), **size), fitted(), args.repeats),  # type: ignore[arg-type]
        "backtest, one look [s]": looked_back(1),
        f"backtest, {LOOKS} looks [s]": looked_back(LOOKS),
        "loop alone [ms]": min(loop(False, False) for _ in range(args.repeats)),
        "loop watched [ms]": min(loop(True, False) for _ in range(args.repeats)),
        "loop watched and logged [ms]": min(loop(True, True) for _ in range(args.repeats)),
    }
    if args.json:
        print(json.dumps(told))
        return
    for name, value in told.items():
        print(f"{name:>30} {value:8.2f}")


if __name__ == "__main__":
    main()
