"""`scalewatch report`: one self-contained page about a run or a folder of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scalewatch.cli.options import AsJson, GoalOptions, Logs, NamedLogOptions
from scalewatch.errors import ConfigError

__all__ = ["report"]


def report(
    logs: Logs,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the page goes.")] = Path("report.html"),
    reading: NamedLogOptions,
    goals: GoalOptions,
    json_: AsJson = False,
) -> None:
    """Write one page of HTML about logs, worst run first: verdict, picture, findings, advice.

    It needs no network and holds no script. Exit code 0 if it was written, 2 if no log could be read.
    """
    from scalewatch.cli.outputs import print_json
    from scalewatch.cli.replay import list_unreadable
    from scalewatch.cli.report_page import page
    from scalewatch.offline.replayed import watch_all

    if output.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"`--output` must end in .html (got {output.name!r:.60}).")
    settings = reading.settings(goals)
    opened = settings.open(logs)
    watched = watch_all(opened, settings, curve=True)
    text = page(watched, [no.reason for no in opened.unreadable])
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    except OSError as fault:
        raise ConfigError(f"`--output`: {output} cannot be written: {fault.strerror or fault}.") from None
    bad = sum(run.tracker.pages > 0 for run in watched)
    if json_:
        unreadable = [{"path": str(no.path), "reason": no.reason} for no in opened.unreadable]
        print_json({"path": output, "runs": len(watched), "with_findings": bad, "unreadable": unreadable})
        return
    runs = "1 run" if len(watched) == 1 else f"{len(watched)} runs"
    typer.echo(f"{output}: {runs}, {bad} with findings.")
    list_unreadable(opened)
