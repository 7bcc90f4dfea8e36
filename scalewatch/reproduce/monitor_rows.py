"""Rows 15 to 19: what a monitor sees in a clean run and in one that spikes, how late, and at what cost."""

from __future__ import annotations

import time

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.detect import DetectorSet
from scalewatch.finding import Finding
from scalewatch.fitting.annealing import fit_annealing
from scalewatch.guard import Guard
from scalewatch.laws.curve import Curve
from scalewatch.observation import Observation
from scalewatch.reproduce.data import DataFolder, DataMissingError
from scalewatch.reproduce.e_detector import BLOCK, alarms, block_means, per_ten_thousand
from scalewatch.reproduce.row import Check
from scalewatch.run import Run

__all__ = ["cost_of_a_row", "false_alarms", "shift_delay", "simulated_alarms", "spikes"]

#: Runs that the rows are about.
CLEAN, SPIKED = "gpt100m_3sched/100M_20B_cosine", "colpret/K2-65B_train"
#: Spikes of K2-65B beyond 8 scales, measured on its public log [step], and how far off a finding may be [steps]: one
#: row in 17 is in the log.
SPIKE_STEPS = (23_400, 55_931, 59_680, 71_515, 80_409, 83_789, 92_000, 150_640)
NEAR_STEPS = 100
#: OLMo 2's spike score: values so many deviations from the mean of so many before (OLMo team 2025, section 3.2).
OLMO_SIGMAS, OLMO_ROWS = 7.0, 1_000
#: Plan of the clean run: a cosine from peak to end, without a warm-up [steps]; the law is held against the rows after
#: the first descent [steps].
CLEAN_STEPS, PEAK, END, DESCENT = 33_908, 1e-3, 1e-4, 2_000
#: Rise that is put into the clean run, and how many times.
SHIFT, ONSETS = 0.01, 12
#: The simulation of row 18: runs, steps of each, noise of one step [log loss], correlation of neighbours, seed.
RUNS, STEPS, NOISE, NEIGHBOURS, SEED = 300, 17_000, 0.0142, 0.9, 0
#: Rows that are timed at once, and how often: the least is the cost, the rest is what else the machine does.
TIMED_ROWS, TIMES = 2_000, 10


def _logged(data: DataFolder, name: str) -> tuple[Floats, Floats]:
    logged = data.curves(name)
    if name not in logged:
        raise DataMissingError(f"The run {name} is missing.")
    return logged[name]


def _pages(run: Run, steps: Floats, losses: Floats) -> list[Finding]:
    watch = DetectorSet(run, Guard())
    found: list[Finding] = []
    for step, loss in zip(steps.astype(int).tolist(), losses.tolist(), strict=True):
        found += watch.observe(Observation(step, loss))
    return [finding for finding in found if finding.pages]


def spikes(data: DataFolder) -> list[Check]:
    """A score that is zero on a clean run, and the eight spikes of a run that had them."""
    _, clean = _logged(data, CLEAN)
    windows = np.lib.stride_tricks.sliding_window_view(clean, OLMO_ROWS)[:-1]
    far = np.abs(clean[OLMO_ROWS:] - windows.mean(axis=1)) > OLMO_SIGMAS * windows.std(axis=1)
    steps, losses = _logged(data, SPIKED)
    pages = _pages(Run("K2-65B"), steps, losses)
    seen = [any(f.start_step - NEAR_STEPS <= at <= f.step + NEAR_STEPS for f in pages) for at in SPIKE_STEPS]
    return [
        Check("OLMo spike score, clean run, %", 0.0, 100.0 * float(np.mean(far))),
        Check("spikes paged, of 8", 8.0, float(sum(seen))),
    ]


def _residuals(data: DataFolder) -> Floats:
    """ln(loss) of the clean run above the annealing law fitted to it, after the warm-up, shape (n,)."""
    steps, losses = _logged(data, CLEAN)
    phase = np.arange(CLEAN_STEPS) / CLEAN_STEPS
    plan = END + (PEAK - END) * 0.5 * (1.0 + np.cos(np.pi * phase))
    kept = steps >= DESCENT
    middle = block_means(steps[kept]).round()
    means = np.exp(block_means(np.log(losses[kept])))
    law = fit_annealing([Curve(Run("clean", learning_rates=plan), middle, means)]).law
    return np.asarray(np.log(losses[kept]) - np.log(law.losses(plan, steps[kept])))


def false_alarms(data: DataFolder) -> list[Check]:
    """Pages of the detectors and alarms of the law's test in a run in which nothing happens."""
    steps, losses = _logged(data, CLEAN)
    raised = alarms(block_means(_residuals(data))[None, :])
    return [
        Check("pages of the detectors", 0.0, float(len(_pages(Run("clean"), steps, losses))), 1.0, "at most"),
        Check("alarms of the law's test", 0.0, float(raised.sum()), 1.0, "at most"),
    ]


def shift_delay(data: DataFolder) -> list[Check]:
    """How long a rise of 1 % goes unseen by the law's test."""
    residuals = _residuals(data)
    onsets = (np.linspace(0.1, 0.9, ONSETS) * len(residuals)).astype(int)
    shifted = np.stack([residuals + np.log1p(SHIFT) * (np.arange(len(residuals)) >= onset) for onset in onsets])
    raised = alarms(block_means(shifted))
    ends = BLOCK * np.arange(1.0, raised.shape[1] + 1.0)
    delays = [
        np.min(ends[row & (ends > onset)] - onset, initial=np.inf) for row, onset in zip(raised, onsets, strict=True)
    ]
    return [
        Check("rises of 1 % seen, of 12", 12.0, float(np.isfinite(delays).sum())),
        Check("median delay, steps", 104.0, float(np.median(delays)), 192.0 - 104.0, "at most"),
    ]


def simulated_alarms(data: DataFolder) -> list[Check]:
    """False alarms of the law's test on noise, white and correlated."""
    del data
    white = NOISE * np.random.default_rng(SEED).standard_normal((RUNS, STEPS))
    correlated = np.empty_like(white)
    correlated[:, 0] = white[:, 0]
    for k in range(1, STEPS):
        correlated[:, k] = NEIGHBOURS * correlated[:, k - 1] + np.sqrt(1 - NEIGHBOURS**2) * white[:, k]
    return [
        Check(
            f"per 10k steps, {name}",
            published,
            per_ten_thousand(alarms(block_means(noise))),
            0.5 - published,
            "at most",
        )
        for name, published, noise in (("white noise", 0.11, white), ("correlated at 0.9", 0.17, correlated))
    ]


def cost_of_a_row(data: DataFolder) -> list[Check]:
    """Time of one row with all detectors on."""
    del data
    noise = np.random.default_rng(SEED).standard_normal(TIMES * TIMED_ROWS)
    rows = [Observation(k, float(3.0 * np.exp(NOISE * x)), 1e-3, 1.0) for k, x in enumerate(noise, 1)]
    watch, least = DetectorSet(Run("cost"), Guard()), np.inf
    for part in range(TIMES):
        began = time.perf_counter()
        for row in rows[part * TIMED_ROWS : (part + 1) * TIMED_ROWS]:
            watch.observe(row)
        least = min(least, (time.perf_counter() - began) / TIMED_ROWS)
    return [Check("one row, microseconds", 0.64, 1e6 * float(least), 20.0 - 0.64, "at most")]
