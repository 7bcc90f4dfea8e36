"""What a person sees of the demo: headlines, progress bars, the table at the end, the pictures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytorch_lightning.callbacks import TQDMProgressBar
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from scalewatch import Forecast, Monitor, Run, Verdict
from scalewatch.charts import Band, Frame, loss_against_law, save_chart
from scalewatch.finding import Finding, Phase
from scalewatch.journal import Journal, read_journal
from scalewatch.kinds import kind_name
from scalewatch.laws import load_law

FORECAST_AT = 0.3  # share of the run at which a forecast is held against its end


@dataclass(frozen=True)
class Watched:
    """A run that was watched, as its journal tells it.

    Args:
        name: what the demo calls it.
        journal: folder of the journal.
        record: what the journal holds.
        before: the forecast before the first step; None without a law.
        on_the_way: the forecast at 30 % of the run.
        verdict: what was to be said in the end.
    """

    name: str
    journal: Path
    record: Journal
    run: Run
    before: Forecast | None
    on_the_way: Forecast | None
    verdict: Verdict

    @property
    def summary(self) -> str:
        """The run in one line."""
        loss = self.verdict.final_loss
        end = f"stopped at step {self.verdict.step:,}" if loss is None else f"final loss {loss:.3f}"
        return f"{self.name}: {self.run.parameters or 0:,} parameters, {end}, {self.verdict.headline}"

    @property
    def pages(self) -> list[Finding]:
        """What was worth waking someone."""
        return [f for f in self.record.findings if f.pages and f.phase is not Phase.CLOSED]


def watched(name: str, folder: Path, law: Path | None) -> Watched:
    """Read a journal, and let a monitor look at it again: it says what it said while the run went on."""
    record = read_journal(folder)
    if record.run is None:
        raise RuntimeError(f"The journal in {folder} does not say what was trained.")
    monitor = Monitor(record.run, None if law is None else load_law(law))
    before, on_the_way = monitor.forecast(), None
    last = record.observations[-1].step
    for row in record.observations:
        monitor.observe(row)
        if on_the_way is None and row.step >= FORECAST_AT * last:
            on_the_way = monitor.forecast()
    return Watched(name, folder, record, record.run, before, on_the_way, monitor.verdict())


class RunBar(TQDMProgressBar):
    """One bar a run: with the run's name, and none for the short validations.

    Args:
        name: what stands before the bar.
    """

    def __init__(self, name: str):
        super().__init__(refresh_rate=10, leave=True)
        self.name = name

    def on_train_epoch_start(self, trainer: Any, *others: Any) -> None:
        """Begin the bar."""
        super().on_train_epoch_start(trainer, *others)
        self.train_progress_bar.set_description(f"{self.name:>10}")

    def init_validation_tqdm(self) -> tqdm:
        """Return a bar that is not drawn."""
        return tqdm(disable=True, file=sys.stdout)

    def get_metrics(self, *others: Any) -> dict[str, Any]:
        """Return what stands behind the bar."""
        metrics = super().get_metrics(*others)
        metrics.pop("v_num", None)
        return metrics


def headline(number: int, of: int, text: str) -> None:
    """Say what comes next."""
    Console().print(f"\n[bold cyan]{number}/{of}[/]  [bold]{text}[/]\n", highlight=False)


def outcome_table(runs: Sequence[Watched], *, fault_step: int) -> None:
    """Print what was predicted and what came, one run a column."""
    table = Table(title="Predicted and reached, in nats per byte", title_justify="left")
    table.add_column("")
    for run in runs:
        table.add_column(run.name)
    table.add_row("predicted before the start", *(_said(run.before) for run in runs))
    table.add_row(f"predicted at {100 * FORECAST_AT:.0f} % of the run", *(_said(run.on_the_way) for run in runs))
    table.add_row("final training loss", *(_reached(run) for run in runs))
    table.add_row("pages", *(_paged(run, fault_step) for run in runs))
    table.add_row("verdict", *(run.verdict.headline for run in runs))
    Console().print(table)


def _said(forecast: Forecast | None) -> str:
    if forecast is None:
        return "nothing"
    low, high = forecast.interval(0.8)
    return f"{forecast.final_loss:.3f}  (80 %: {low:.3f} to {high:.3f})"


def _reached(run: Watched) -> str:
    loss = run.verdict.final_loss
    if loss is None:
        return f"stopped at step {run.verdict.step:,}"
    if run.on_the_way is None:
        return f"{loss:.3f}"
    low, high = run.on_the_way.interval(0.8)
    where = "inside" if low <= loss <= high else "OUTSIDE"
    return f"{loss:.3f}  {where} the interval of {100 * FORECAST_AT:.0f} %"


def _paged(run: Watched, fault_step: int) -> str:
    if not run.pages:
        return "none"
    first = run.pages[0]
    after = f", {first.step - fault_step + 1} steps into the fault" if first.step >= fault_step else ""
    kind = kind_name(first.kind)
    return f"{len(run.pages)}, the first at step {first.step:,}{after}: {kind}"


def draw(run: Watched, path: Path) -> Path:
    """Draw a run against its law."""
    rows = run.record.observations
    before, end = run.before, run.verdict.final_loss
    size = f"{run.run.parameters:,} parameters" if run.run.parameters else "a model"
    told = "" if before is None else f", predicted to end at {before.final_loss:.3f} nats per byte"
    came = "" if end is None else f", ended at {end:.3f}"
    chart = loss_against_law(
        [row.step for row in rows],
        [row.loss for row in rows],
        Frame(
            f"A tiny GPT against the law of its smaller siblings: {run.verdict.headline}",
            [f"{size}, {len(rows):,} steps{told}{came}", "The bands hold the loss with probability 80 %."],
            unit="nats/byte",
        ),
        baseline=_band("law of the smaller runs, before the start", run.before),
        forecast=_band(f"forecast at {100 * FORECAST_AT:.0f} % of the run", run.on_the_way),
        findings=run.record.findings,
    )
    return save_chart(chart, path)


def _band(label: str, forecast: Forecast | None) -> Band | None:
    if forecast is None:
        return None
    steps = forecast.grid()
    steps = steps[steps >= forecast.step]
    return Band(label, steps, *forecast.curve(steps))
