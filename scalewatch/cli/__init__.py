"""The command line: one command a file, heavy imports inside the command that needs them."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run `scalewatch`; errors of ours are one line on stderr and exit code 2."""
    import typer

    from scalewatch.cli.alert import alert
    from scalewatch.cli.approaches import approaches
    from scalewatch.cli.fit import fit
    from scalewatch.cli.forecast import forecast
    from scalewatch.cli.plan import plan
    from scalewatch.cli.replay import replay
    from scalewatch.cli.report import report
    from scalewatch.cli.reproduce import reproduce
    from scalewatch.cli.sweep import sweep
    from scalewatch.cli.watch import watch
    from scalewatch.cli.whatif import whatif
    from scalewatch.errors import ScalewatchError

    app = typer.Typer(
        help="Is this training run healthy, is it on its law, and what should be done about it?",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for command in (fit, approaches, plan, replay, forecast, whatif, sweep, watch, report, reproduce):
        app.command()(command)
    app.add_typer(alert)
    try:
        app()
    except ScalewatchError as fault:
        print(f"scalewatch: {fault}", file=sys.stderr)  # noqa: T201  a command's own output
        sys.exit(2)
