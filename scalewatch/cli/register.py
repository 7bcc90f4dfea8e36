"""`scalewatch register`: predict a run before it begins, with a date and a fingerprint, to be held to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalewatch.cli.options import AsJson
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    from scalewatch.forecast.prediction_file import Prediction
    from scalewatch.offline.registering import PlannedRun

__all__ = ["register"]

#: Warm-up where none is said, as a part of the run. By hand.
WARMUP_SHARE = 0.01
#: What a name may be: it is a folder's name for the callback.
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What is planned of the run, beside its length."""

    parameters: Annotated[str | None, typer.Option(metavar="COUNT", help="All parameters; 7B is 7e9.")] = None
    non_embedding: Annotated[
        str | None, typer.Option("--non-embedding", metavar="COUNT", help="Parameters without embeddings and head.")
    ] = None
    batch_tokens: Annotated[str | None, typer.Option(metavar="TOKENS", help="Tokens of one optimizer step.")] = None
    schedule: Annotated[
        str, typer.Option(metavar="NAME", help="Of the learning rate: cosine, linear, wsd or constant.")
    ] = "cosine"
    peak_rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 3e-4
    warmup_steps: Annotated[int | None, typer.Option(help="Steps up to it; without it 1 % of all.")] = None
    name: Annotated[str, typer.Option(metavar="NAME", help="What to call the run.")] = "run"

    def planned(self, steps: str) -> PlannedRun:
        """Return the run of so many steps.

        Raises:
            ConfigError: if an option is not what it may be.
        """
        from scalewatch.offline.registering import PlannedRun

        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"`--name` must be letters, digits, `.`, `_` or `-`, 100 at most (got {self.name!r:.80})."
            )
        total, warmup = _whole("--steps", steps) or 0, self.warmup_steps
        return PlannedRun(
            name=self.name,
            total_steps=total,
            schedule=self.schedule,
            peak_rate=self.peak_rate,
            warmup_steps=max(round(WARMUP_SHARE * total), 1) if warmup is None else warmup,
            tokens_per_step=_whole("--batch-tokens", self.batch_tokens),
            parameters=_whole("--parameters", self.parameters),
            non_embedding_parameters=_whole("--non-embedding", self.non_embedding),
        )


def register(
    *,
    law: Annotated[Path, typer.Option(help="A law of whole curves, as `scalewatch fit runs/` writes it.")],
    steps: Annotated[str, typer.Option(metavar="STEPS", help="Planned optimizer steps; 20k is 20,000.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The prediction file; never written over.")],
    run: PlanOptions,
    json_: AsJson = False,
) -> None:
    """Register what a law of smaller runs says of a run, before it begins.

    The file holds the prediction with its 80 % interval [nats/token], the law, what was assumed of the run and how much
    each assumption moves the prediction, the time, and a fingerprint of it all. `ScaleWatch(registered=FILE)` holds the
    run against it, `scalewatch scores FOLDER` keeps the record. Exit code 0, or 2 if there is none.
    """
    import time

    from scalewatch.cli.outputs import check_output, print_json
    from scalewatch.forecast.prediction_file import write_prediction
    from scalewatch.laws import load_law
    from scalewatch.offline.registering import register_run

    check_output("--output", output)
    if output.exists():
        raise ConfigError(f"`--output`: {str(output)!r:.200} is there already, and a prediction is not made twice.")
    planned = run.planned(steps)
    prediction = register_run(load_law(law), planned, time.time())
    write_prediction(prediction, output)
    if json_:
        print_json({**prediction.record(), "path": output})
    else:
        _print(prediction, output)


def _whole(option: str, typed: str | None) -> int | None:
    from scalewatch.plan.quantities import quantity

    found = quantity(option, typed)
    if found is not None and not 1 <= found <= 1e18:
        raise ConfigError(f"`{option}` must be a count of 1 or more (got {typed!r:.40}).")
    return None if found is None else round(found)


def _print(prediction: Prediction, output: Path) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console, baseline = Console(), prediction.baseline
    said = f"{prediction.name} ends at {baseline.final_loss:.4f} (80 %: {baseline.low:.4f} to {baseline.high:.4f})"
    console.print(f"{said} nats/token at step {baseline.total_steps:,}.", style="bold", markup=False, highlight=False)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in ("assumed", "", "instead"):
        table.add_column(head)
    table.add_column("moves it by, nats", justify="right")
    for each in prediction.assumptions:
        table.add_row(each.name, each.value, each.instead, f"{each.moves:+.4f}")
    console.print(table)
    for note in prediction.notes:
        console.print(f"note: {note}", style="dim", markup=False, highlight=False)
    console.print(
        f"Written to {output}. Publish its fingerprint: {prediction.fingerprint[:16]}", markup=False, highlight=False
    )
