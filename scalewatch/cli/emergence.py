"""`scalewatch emergence`: is a jump of a metric in the model, or in the metric."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scalewatch.arrays import Floats
from scalewatch.cli.options import AsJson, Columns, Where
from scalewatch.cli.signatures import part
from scalewatch.text import percent

__all__ = ["emergence"]


def emergence(
    tables: Annotated[
        list[Path], typer.Argument(help="Tables of models: .csv, .parquet, .md and their kin.", show_default=False)
    ],
    items: Annotated[int, typer.Option(help="Items of the test.")],
    answer_tokens: Annotated[float, typer.Option(help="Tokens of a right answer, mean.")],
    chance: Annotated[float, typer.Option(parser=part, metavar="PART", help="Accuracy of guessing, 0 to 1.")] = 0.0,
    column: Columns = None,
    where: Where = None,
    json_: AsJson = False,
) -> None:
    """Say whether a jump of an all-or-nothing metric is in the models, or in the metric.

    A row is a model: `scale` (compute, size or data), `accuracy` (0 to 1), and `loss` of the right answer in nats per
    token, the continuous proxy. Six models or more.

    Exit code 0: there is an answer; 1: these models cannot tell; 2: nothing was read.
    """
    from rich.console import Console

    from scalewatch.cli.fit_runs import say
    from scalewatch.cli.outputs import print_json
    from scalewatch.cli.table_columns import columns_of
    from scalewatch.errors import ConfigError
    from scalewatch.laws import EmergenceVerdict, judge_emergence
    from scalewatch.offline.reading import Reading

    console, reading = Console(), Reading.of(tables, column or [], where or [], None)
    wanted = {"scale": "compute, size or data", "accuracy": "0 to 1", "loss": "of the right answer [nats/token]"}
    also = {
        "scale": ("flops", "compute", "parameters", "active_parameters", "non_embedding_parameters", "tokens"),
        "accuracy": ("acc", "exact_match"),
    }
    data, notes = columns_of(reading, wanted, {**also, "loss": ("proxy_loss", "nll")})
    data, told = _as_wanted(data)
    notes += told
    if items < 1 or not 1 <= answer_tokens <= 1e6:
        raise ConfigError(
            f"`--items` must be at least 1 and `--answer-tokens` 1 to 1e6 (got {items} and {answer_tokens})."
        )
    found = judge_emergence(
        data["scale"], data["accuracy"], data["loss"], items=items, answer_tokens=answer_tokens, chance=chance
    )
    decided = found.verdict is not EmergenceVerdict.UNDECIDED
    if json_:
        print_json({"exit_code": 0 if decided else 1, "found": found, "notes": notes})
        raise typer.Exit(0 if decided else 1)
    say(console, notes, "dim")
    say(console, [found.verdict], "bold" if decided else "yellow")
    jump, proxy = found.jump, found.proxy
    lines = [
        f"The metric gains {jump.gain:.3g} (sd {jump.gain_sd:.2g}) between {jump.start:.3g} and {jump.end:.3g}, "
        f"half of its rise, {jump.sharpness:.2g} times as fast as on average.",
        f"From the smooth part of the proxy alone it would gain {proxy.smooth_jump:.3g} there, "
        f"{percent(found.explained)} of it, with answers of {found.answer_tokens:.3g} tokens.",
        f"The largest step of ln(proxy loss) there: {proxy.step:+.3g} (sd {proxy.step_sd:.2g}); negative is better.",
    ]
    say(console, lines, "")
    say(console, found.notes, "yellow")
    if not decided:
        raise typer.Exit(1)


def _as_wanted(data: dict[str, Floats]) -> tuple[dict[str, Floats], list[str]]:
    """Accuracies in parts of one, and losses, where a table has per cent, or logarithms of probabilities."""
    notes, made = [], dict(data)
    right, loss = data["accuracy"], data["loss"]
    if len(right) and 1.0 < right.max() <= 100.0 and right.min() >= 0.0:
        made["accuracy"] = right / 100.0
        notes.append("Accuracies are taken as per cent, for they go beyond 1.")
    if len(loss) and loss.max() < 0.0:
        made["loss"] = -loss
        notes.append("The losses are all negative, and taken as logarithms of probabilities: their sign is turned.")
    return made, notes
