"""`scalewatch report`: one self-contained page about a run or a folder of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scalewatch.errors import ConfigError

__all__ = ["report"]


def report(
    logs: Annotated[list[Path], typer.Argument(help="Logs, or folders of runs.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the page goes.")] = Path("report.html"),
    law: Annotated[Path | None, typer.Option(help="A law file of smaller runs to hold each run against.")] = None,
    total_steps: Annotated[int | None, typer.Option(help="Planned steps, where the log does not say.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="What a column is: loss=train/ce. Repeat.")] = None,
    format_: Annotated[str | None, typer.Option("--format", help="Format of all files, instead of a guess.")] = None,
    name: Annotated[str | None, typer.Option(help="What to call the run.")] = None,
    target_loss: Annotated[float | None, typer.Option(help="Final loss the run is for [nats].")] = None,
    incumbent_loss: Annotated[float | None, typer.Option(help="Final loss it has to beat [nats].")] = None,
    least_gain: Annotated[float | None, typer.Option(help="Least that its rest must buy to go on [nats].")] = None,
) -> None:
    """Write one page of HTML about logs, worst run first: verdict, picture, findings, advice.

    It needs no network and holds no script. Exit code 0 if it was written, 2 if no log could be read.
    """
    from scalewatch.cli.advised import aims_of
    from scalewatch.cli.replay import list_unreadable
    from scalewatch.cli.report_page import page
    from scalewatch.offline.replayed import Settings, watch_all

    if output.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"`--output` must end in .html (got {output.name!r:.60}).")
    aims = aims_of(target_loss, incumbent_loss, least_gain)
    settings = Settings.of(law, total_steps, column, format_, name, aims)
    opened = settings.open(logs)
    watched = watch_all(opened, settings, curve=True)
    text = page(watched, [no.reason for no in opened.unreadable])
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    except OSError as fault:
        raise ConfigError(f"`--output`: {output} cannot be written: {fault.strerror or fault}.") from None
    bad = sum(run.pages > 0 for run in watched)
    runs = "1 run" if len(watched) == 1 else f"{len(watched)} runs"
    typer.echo(f"{output}: {runs}, {bad} with findings.")
    list_unreadable(opened)
