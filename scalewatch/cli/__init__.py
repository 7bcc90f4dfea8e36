"""The command line: one command a file, heavy imports inside the command that needs them."""

from __future__ import annotations

import importlib
import sys
from typing import Any

__all__ = ["COMMANDS", "main", "new_app"]

#: Every command, in the order in which `--help` lists them, and the module with the function of the same name. One
#: that has commands of its own is a `typer.Typer`.
COMMANDS = {
    "fit": "scalewatch.cli.fit",
    "approaches": "scalewatch.cli.approaches",
    "ladder": "scalewatch.cli.ladder",
    "gain": "scalewatch.cli.gain",
    "emergence": "scalewatch.cli.emergence",
    "collapse": "scalewatch.cli.collapse",
    "plan": "scalewatch.cli.plan",
    "register": "scalewatch.cli.register",
    "scores": "scalewatch.cli.scores",
    "replay": "scalewatch.cli.replay",
    "forecast": "scalewatch.cli.forecast",
    "whatif": "scalewatch.cli.whatif",
    "sweep": "scalewatch.cli.sweep",
    "watch": "scalewatch.cli.watch",
    "run": "scalewatch.cli.run",
    "report": "scalewatch.cli.report",
    "reproduce": "scalewatch.cli.reproduce",
    "alert": "scalewatch.cli.alert",
}


def new_app(only: str | None = None) -> Any:
    """Return the command line as a `typer.Typer` that holds every command, or one of them: the others are not imported.

    Args:
        only: the name of a command; None for all.
    """
    import typer

    app = typer.Typer(
        help="Is this training run healthy, is it on its law, and what should be done about it?",
        no_args_is_help=True,
        rich_markup_mode="markdown",  # rich's own markup takes a unit in brackets, such as [nats], for a style
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_no_option)  # one command alone is still typed with its name
    for name, module in COMMANDS.items():
        if only not in (None, name):
            continue
        command = getattr(importlib.import_module(module), name)
        if isinstance(command, typer.Typer):
            app.add_typer(command)
        else:
            app.command(name)(command)
    return app


def _no_option() -> None:
    """Is this training run healthy, is it on its law, and what should be done about it?"""


def main() -> None:
    """Run `scalewatch`; errors of ours are one line on stderr and exit code 2."""
    from scalewatch.errors import ScalewatchError

    try:
        asked = sys.argv[1] if len(sys.argv) > 1 else ""
        new_app(asked if asked in COMMANDS else None)()
    except ScalewatchError as fault:
        print(f"scalewatch: {fault}", file=sys.stderr)  # noqa: T201  a command's own output
        sys.exit(2)
