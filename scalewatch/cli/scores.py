"""`scalewatch scores`: the record of all registered predictions: what was said, what came, how calibrated."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalewatch.cli.options import AsJson
from scalewatch.text import away

if TYPE_CHECKING:
    from scalewatch.offline.scores import Score, Scores

__all__ = ["scores"]


def scores(
    folder: Annotated[Path, typer.Argument(help="Where predictions and journals are.", show_default=False)],
    *,
    json_: AsJson = False,
) -> None:
    """Score every registered prediction below a folder: inside its 80 % interval or not, its error, its pinball loss.

    A prediction file belongs to the run that was held against it (`ScaleWatch(registered=FILE)`); a run that was held
    against a law alone registered its prediction as it began. Losses are in nats/token. Exit code 0; 1 if a file could
    not be read or was changed after it was made.
    """
    from scalewatch.cli.outputs import print_json
    from scalewatch.offline.scores import score_folder

    found = score_folder(folder)
    code = 1 if found.unreadable else 0
    if json_:
        answer = {"summary": _summary(found), "predictions": [_plain(row) for row in found.rows]}
        print_json({"exit_code": code, **answer, "unreadable": found.unreadable})
    else:
        _print(found)
    raise typer.Exit(code)


def _summary(found: Scores) -> dict[str, Any]:
    errors = [abs(row.error_percent) for row in found.ended if row.error_percent is not None]
    return {
        "registered": len(found.rows),
        "ended": len(found.ended),
        "inside_80": found.mean("inside"),
        "mean_error_percent": sum(errors) / len(errors) if errors else None,
        "mean_bias_percent": found.mean("error_percent"),
        "mean_pinball": found.mean("pinball"),
    }


def _plain(row: Score) -> dict[str, Any]:
    return {
        "run": row.name,
        "path": str(row.path),
        "fingerprint": row.fingerprint or None,
        "made_unix_s": row.made_unix_s,
        "said": row.said,
        "low": row.low,
        "high": row.high,
        "outcome": row.outcome,
        "inside": row.inside,
        "error_percent": row.error_percent,
        "pinball": row.pinball,
    }


def _print(found: Scores) -> None:
    from rich.console import Console

    from scalewatch.cli.fitting_table import Column, fitting_table

    console = Console()
    columns = (
        *(Column("run", "name"), Column("registered", "words", goes=2), Column("said"), Column("80 %", goes=1)),
        *(Column("came"), Column("it was", "words", goes=3), Column("pinball", goes=4), Column("", "words")),
    )
    rows, styles = [], []
    for row in found.rows:
        came = row.outcome
        cells = [row.name, _when(row), f"{row.said:.3f}", f"{row.low:.3f} to {row.high:.3f}"]
        cells += ["", ""] if came is None else [f"{came:.3f}", away(row.said, came)]
        cells += [f"{row.pinball:.4f}" if row.pinball is not None else ""]
        rows.append([*cells, "open" if came is None else "inside" if row.inside else "OUTSIDE"])
        styles.append("dim" if came is None else "" if row.inside else "yellow")
    if found.rows:
        console.print(fitting_table(columns, rows, console.width, styles))
    console.print(_sentence(found), style="bold", markup=False, highlight=False)
    for sentence in found.unreadable:
        console.print(sentence, style="yellow", markup=False, highlight=False)


def _when(row: Score) -> str:
    import datetime

    if row.made_unix_s is None:
        return "as it began"
    return datetime.datetime.fromtimestamp(row.made_unix_s, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _sentence(found: Scores) -> str:
    ended = found.ended
    if not found.rows:
        return "There is no registered prediction here: scalewatch register makes one."
    if not ended:
        return f"{len(found.rows)} registered, none has come to its end yet."
    summary = _summary(found)
    inside = sum(bool(row.inside) for row in ended)
    return (
        f"{len(ended)} of {len(found.rows)} registered predictions have ended: {inside} inside the 80 % interval, "
        f"{summary['mean_error_percent'] or 0.0:.2f} % off on average ({summary['mean_bias_percent'] or 0.0:+.2f} % of "
        f"it to one side), pinball {summary['mean_pinball'] or 0.0:.4f} nats."
    )
