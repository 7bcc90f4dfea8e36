"""Journals of made-up runs, written by the real writer."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalewatch.cli import main
from scalewatch.journal import JournalWriter, observation_record
from scalewatch.observation import Observation
from scalewatch.run import Run

STEPS, WARMUP = 600, 30


def loss_of(size: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Planned rates and losses of a run that follows an annealing law with a size."""
    rng = np.random.default_rng(seed)
    step = np.arange(1, STEPS + 1)
    rate = np.minimum(step / WARMUP, 0.55 + 0.45 * np.cos(math.pi * np.clip((step - WARMUP) / (STEPS - WARMUP), 0, 1)))
    walked = np.cumsum(rate)
    decayed = np.where(step > WARMUP, 1.0 - rate, 0.0)
    loss = 1.5 + 0.6 * (size / 1e5) ** -0.3 + 0.5 * (walked / walked[-1]) ** -0.5 - 0.2 * decayed
    return 1e-3 * rate, loss * np.exp(0.01 * rng.standard_normal(STEPS))


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., Path]:
    """Write the journal of a run of some size; `change` may spoil its losses."""

    def write(
        name: str, size: int, seed: int = 0, change: Callable[[np.ndarray], np.ndarray] = lambda loss: loss
    ) -> Path:
        rates, losses = loss_of(size, seed)
        folder = tmp_path / name / "scalewatch"
        run = Run(name, learning_rates=rates, parameters=size, tokens_per_step=2048)
        writer = JournalWriter(folder, run)
        for step, (rate, loss) in enumerate(zip(rates.tolist(), change(losses).tolist(), strict=True), 1):
            writer.append(observation_record(Observation(step, loss, rate)))
        writer.close()
        return folder

    return write


@pytest.fixture
def scalewatch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run the command line in this process."""

    from tests.cli.tables import Said

    def run(*arguments: object) -> Any:
        monkeypatch.setattr(sys, "argv", ["scalewatch", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0, " ".join(printed.out.split()), " ".join(printed.err.split()))

    return run


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """35 finished runs as CSV."""
    from tests.cli.tables import runs, write

    return write(tmp_path / "runs.csv", runs())


@pytest.fixture
def law_file(tmp_path: Path) -> Path:
    """Where a law goes."""
    return tmp_path / "law.json"
