"""What acts save: three sabotaged runs of a tiny GPT and of a noisy regression, left alone, advised, and with acts.

    python tests/benchmarks/closed_loop.py [--seeds 5 | 3-4] [--tasks gpt,regression] [--chart FILE.png] [--json FILE]
    python tests/benchmarks/closed_loop.py --read FILE... --chart FILE.png

From the middle on a run has a learning rate 30 times too high, or 50 steps of poisoned data, or one gradient that is no
number. "Left alone" and "advice only" are one training, bit for bit: advice changes nothing by itself. It is told with
what was lost until the first page, for those who follow it there and then. "With acts" is
act=["skip", "rewind", "lower_learning_rate", "stop"], under a supervisor that starts a run again from its checkpoint.

  final loss   held-out, of the last weights; mean over the seeds, from the least to the most
  saved        part of the loss that the sabotage cost (left alone over the healthy run of the same seed) that is saved
  tokens lost  steps times samples that bought nothing: left alone from the sabotage until the loss is back, or to the
               end; by advice from the checkpoint that it names to its page; with acts what was trained again or left
               out
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from _closed_loop_runs import FROM_PART, Outcome, Sabotage, train
from _small_runs import CONTEXT, SAMPLES, STEPS, WINDOWS, Task, seeds_of, texts
from rich.console import Console
from rich.table import Table

ACTS = ["skip", "rewind", "lower_learning_rate", "stop"]
SABOTAGES: tuple[Sabotage, ...] = ("rate x30", "50 steps of poison", "a NaN gradient")
#: Tokens, or samples, of a step.
PER_STEP: dict[Task, int] = {"gpt": WINDOWS * CONTEXT, "regression": SAMPLES}
#: Colours of the marks: healthy, left alone, with acts; and of the whole picture, which keeps its file small [count].
ARM_COLOURS, COLOURS = ["#9aa5b1", "#b3261e", "#0072b2"], 32
#: Rows of the running mean by which a loss is back where the healthy one is, and how near that is, in sd of a row.
BACK_ROWS, BACK_SDS = 20, 0.5


def losses(outcome: Outcome) -> dict[int, float]:
    """The last loss that was seen of each step."""
    return {row.step: row.loss for row in outcome.journal.observations}


def lost_alone(task: Task, alone: Outcome, healthy: Outcome) -> int:
    """Steps from the sabotage until the loss is where the healthy run has it, or to the end."""
    steps, at = STEPS[task], round(FROM_PART * STEPS[task])
    gaps = [losses(alone).get(s, math.nan) - losses(healthy)[s] for s in range(1, steps + 1)]
    sd = torch.tensor([losses(healthy)[s] for s in range(at - 50, at)]).std().item()
    for step in range(at + BACK_ROWS, steps + 1):
        gap = mean(gaps[step - BACK_ROWS : step])
        if gap < BACK_SDS * sd:
            return step - at
    return steps - at


def lost_advised(alone: Outcome) -> int | None:
    """Steps from the checkpoint that the advice names to the first critical finding, None where there is none."""
    critical = next((f for f in alone.journal.findings if f.severity == "critical"), None)
    saved = [r["step"] for r in alone.journal.others if r["type"] == "checkpoint"]
    if critical is None:
        return None
    return critical.step - max((step for step in saved if step <= critical.start_step - 2), default=0)


def rows_of(task: Task, seeds: list[int], text: Any, folder: Path) -> list[dict[str, Any]]:
    """Train all runs of a task, one row a run."""
    rows = []
    for seed in seeds:
        healthy = train(task, "none", seed, [], new(folder), text, STEPS[task])
        for sabotage in SABOTAGES:
            alone = train(task, sabotage, seed, [], new(folder), text, STEPS[task])
            acted = train(task, sabotage, seed, ACTS, new(folder), text, STEPS[task])
            again = acted.taken - STEPS[task] + acted.left_out
            row = {"task": task, "sabotage": sabotage, "seed": seed, "healthy": healthy.loss}
            row |= {"alone": alone.loss, "acted": acted.loss, "rewinds": acted.rewinds}
            row |= {"lost_alone": lost_alone(task, alone, healthy), "lost_advised": lost_advised(alone)}
            rows.append({**row, "lost_acted": max(0, again)})
            Console(stderr=True).print(rows[-1])
    return rows


def new(folder: Path) -> Path:
    """A folder of its own."""
    return Path(tempfile.mkdtemp(dir=folder))


def span(values: list[float]) -> str:
    """Mean and range; "no number" where one is none."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < len(values):
        return "no number" if not finite else f"no number in {len(values) - len(finite)} of {len(values)}"
    return f"{mean(finite):.3f} ({min(finite):.3f} to {max(finite):.3f})"


def saved(rows: list[dict[str, Any]]) -> str:
    """Part of the cost that is saved, over all seeds; of a run that ends without a number all that it cost."""
    if any(not math.isfinite(row["acted"]) for row in rows):
        return "0 %"
    if any(not math.isfinite(row["alone"]) for row in rows):
        return f"all ({mean(row['acted'] - row['healthy'] for row in rows):+.3f})"
    cost = sum(row["alone"] - row["healthy"] for row in rows)
    return f"{100 * sum(row['alone'] - row['acted'] for row in rows) / cost:.0f} %"


def table_of(rows: list[dict[str, Any]]) -> Table:
    """The table of all runs."""
    table = Table(title="final loss, mean (range), and tokens or samples lost, mean")
    for name in ("run", "sabotage", "healthy", "left alone, advice only", "with acts", "saved"):
        table.add_column(name)
    for name in ("lost alone", "lost by advice", "lost with acts"):
        table.add_column(name, justify="right")
    for task, sabotage in dict.fromkeys((row["task"], row["sabotage"]) for row in rows):
        these = [row for row in rows if (row["task"], row["sabotage"]) == (task, sabotage)]
        found = [row["lost_advised"] for row in these if row["lost_advised"] is not None]
        advised = f"{PER_STEP[task] * mean(found):,.0f}" if found else "not paged"
        lost = [f"{PER_STEP[task] * mean(row[name] for row in these):,.0f}" for name in ("lost_alone", "lost_acted")]
        spans = [span([row[name] for row in these]) for name in ("healthy", "alone", "acted")]
        table.add_row(task, sabotage, *spans, saved(these), lost[0], advised, lost[1])
    return table


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Final losses side by side, a mark a seed; runs that end in no number stand at the top."""
    import altair as alt
    from PIL import Image

    from scalewatch.charts import save_chart

    arms = {"healthy": "healthy", "alone": "left alone", "acted": "with acts"}
    colour = alt.Color("arm:N", legend=None, scale=alt.Scale(domain=[*arms.values()], range=ARM_COLOURS))
    charts = []
    for task in dict.fromkeys(row["task"] for row in rows):
        these = [row for row in rows if row["task"] == task]
        top = 1.1 * max(row[name] for row in these for name in arms if math.isfinite(row[name]))
        data = [
            {"sabotage": row["sabotage"], "arm": arm, "loss": row[name] if is_number else top, "is_number": is_number}
            for row in these
            for name, arm in arms.items()
            for is_number in [math.isfinite(row[name])]
        ]
        base = alt.Chart().encode(
            x=alt.X("arm:N", sort=[*arms.values()], title=None, axis=alt.Axis(labelAngle=-20)),
            y=alt.Y("loss:Q", title=f"final loss, {task}", scale=alt.Scale(zero=False)),
            color=colour,
        )
        marks = base.mark_point(filled=True, size=40, opacity=1.0)
        words = (
            base.transform_filter("!datum.is_number").mark_text(dy=12, fontSize=10).encode(text=alt.value("no number"))
        )
        both = alt.layer(marks, words, data=alt.Data(values=data)).properties(width=125, height=120)
        charts.append(both.facet(column=alt.Column("sabotage:N", title=None, sort=[*SABOTAGES])))
    save_chart(alt.vconcat(*charts).resolve_scale(y="independent"), path)
    Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description="What acts save.")
    parser.add_argument("--seeds", type=seeds_of, default="5", help="how many, or from which to which")
    parser.add_argument("--tasks", default="gpt,regression")
    parser.add_argument("--chart", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--read", type=Path, nargs="*", default=[], help="draw what --json has kept before")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(f"{name}.utilities.rank_zero").setLevel(logging.ERROR)
    rows = [row for path in options.read for row in json.loads(path.read_text())]
    if not rows:
        text = texts()
        with tempfile.TemporaryDirectory() as folder:
            for task in options.tasks.split(","):
                rows += rows_of(task, options.seeds, text, Path(folder))
    Console(width=200).print(table_of(rows))
    if options.json:
        options.json.write_text(json.dumps(rows))
    if options.chart:
        draw(rows, options.chart)


if __name__ == "__main__":
    main()
