"""The small files that the commands of the pages are run on: logs, a ladder with its law, a table of finished runs."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from scalewatch.journal import JournalWriter, observation_record
from scalewatch.laws import AnnealingLaw, fit_curves, save_law
from scalewatch.observation import Observation
from scalewatch.run import Run
from tests.cli.tables import runs, write
from tests.synthetic import LADDER, TrueLaw, cosine, ladder, noisy, planned

TOTAL, SPIKE = 2_000, 1_200
#: Size of the run that is on its way, and the steps that it has made.
BIG, DONE = 8e6, 700


def lay(folder: Path) -> None:
    """Write `train.csv`, `spiked.csv`, `train.log`, `runs/`, `big/`, `ladder.law.json` and `points.csv`."""
    rates = _rates()
    losses = replace(AnnealingLaw.example(), gain=0.22).losses(rates, np.arange(1, TOTAL + 1))
    noise = np.exp(0.008 * np.random.default_rng(0).standard_normal(TOTAL))
    healthy = losses * noise
    step = np.arange(1, TOTAL + 1)
    spiked = healthy + np.where(step >= SPIKE, 0.9 * np.exp(-(step - SPIKE) / 900), 0.0)
    _csv(folder / "train.csv", healthy, rates)
    _csv(folder / "spiked.csv", spiked, rates)
    lines = [
        f"step {n}/{TOTAL} | loss {loss:.4f} | lr {rate:.3e}"
        for n, (loss, rate) in enumerate(zip(healthy, rates, strict=True), 1)
    ]
    (folder / "train.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    curves = ladder()
    for curve, (size, total) in zip(curves, LADDER, strict=True):
        _journal(folder / "runs" / f"{size / 1e6:.0f}M", planned(cosine(total), size, f"{size / 1e6:.0f}M"), curve.loss)
    save_law(fit_curves(curves), folder / "ladder.law.json")
    plan = cosine(2 * DONE)
    _journal(folder / "big", planned(plan, BIG, "8M"), noisy(TrueLaw().losses(plan, BIG), 0.01, 9)[:DONE], closed=False)
    write(folder / "points.csv", runs())


def _rates() -> Any:
    step = np.arange(1, TOTAL + 1)
    return 3e-4 * np.minimum(step / 100, 0.05 + 0.475 * (1 + np.cos(np.pi * step / TOTAL)))


def _csv(path: Path, losses: Any, rates: Any) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["step", "train_loss", "lr"])
        table.writerows(
            [step, f"{loss:.4f}", f"{rate:.3e}"] for step, (loss, rate) in enumerate(zip(losses, rates, strict=True), 1)
        )


def _journal(folder: Path, run: Run, losses: Any, *, closed: bool = True) -> None:
    writer = JournalWriter(folder / "scalewatch", run)
    rates = run.learning_rates
    assert rates is not None
    for step, loss in enumerate(np.asarray(losses).tolist(), 1):
        writer.append(observation_record(Observation(step, loss, float(rates[step - 1]))))
    writer.close()
