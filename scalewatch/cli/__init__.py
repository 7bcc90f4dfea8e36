"""The command line: one command a file, heavy imports inside the command that needs them."""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from typing import Any, final

__all__ = ["COMMANDS", "main", "new_app"]


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One command.

    Attributes:
        panel: heading that it stands under. says: what it does, as its docstring begins: help of all commands imports
            none of them.
    """

    panel: str
    says: str

    @staticmethod
    def module(name: str) -> str:
        """Return the module of the command `name`; the function, or a `typer.Typer` of commands, has the same name."""
        return f"scalewatch.cli.{name}"


_LOOK, _END = "look at runs", "where they will end, and what else could be done"
_LAWS = "make a law, and plan with it"
#: Every command, in the order in which `--help` lists them.
COMMANDS = {
    "replay": Row(_LOOK, "Run the monitor over logs"),
    "watch": Row(_LOOK, "Watch logs while they are written, until ctrl-C."),
    "run": Row(_LOOK, "Run a program and watch its training by what it prints"),
    "report": Row(_LOOK, "Write one page of HTML about logs, worst run first"),
    "alert": Row(_LOOK, "Who is told: try a receiver, silence a run, send a digest, watch for runs that were killed."),
    "fleet": Row(_LOOK, "The worst of very many runs."),
    "mcp": Row(_LOOK, "Answer an assistant on standard input and output"),
    "forecast": Row(_END, "Say where a run would have been said to end, at 30 % and each tenth"),
    "whatif": Row(_END, "Compare the plan of a run with other schedules for its rest, in one table."),
    "sweep": Row(_END, "Say which of these runs to stop, pause and resume now."),
    "fit": Row(_LAWS, "Fit a law to finished runs, show it, and write it to a file."),
    "plan": Row(_LAWS, "Plan a training run"),
    "ladder": Row(_LAWS, "Say what a ladder foretells of its target now, and which run to train next."),
    "gain": Row(_LAWS, "Say with how much of A's compute B reaches A's loss"),
    "register": Row(_LAWS, "Register what a law of smaller runs says of a run, before it begins."),
    "scores": Row(_LAWS, "Score every registered prediction below a folder"),
    "approaches": Row(_LAWS, "Put the allocation exponents of Chinchilla's three approaches side by side"),
    "emergence": Row(_LAWS, "Say whether a jump of an all-or-nothing metric is in the models, or in the metric."),
    "collapse": Row(_LAWS, "Say how well runs of several sizes fall on one curve"),
    "reproduce": Row(_LAWS, "Recompute the published numbers"),
}
#: What a shell asks for, in these variables of the environment, when somebody presses tab.
_COMPLETING = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")


def new_app(only: str | None = None) -> Any:
    """Return the command line as a `typer.Typer`.

    Args:
        only: the one command that it holds, for what typer makes of the others takes as long as reading a log; None
            for all, "" for all by name, none of them imported.
    """
    import typer

    from scalewatch.cli.help import Command, Group
    from scalewatch.cli.signatures import as_typed

    Group.panels = {name: row.panel for name, row in COMMANDS.items()}
    app = typer.Typer(
        help="Is this training run healthy, is it on its law, and what should be done about it?",
        no_args_is_help=True,
        cls=Group,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )
    app.callback()(_options(typer))
    for name, row in COMMANDS.items():
        if only not in (None, name):
            if not only:
                app.command(name, help=row.says, cls=Command)(_not_imported)
            continue
        command = getattr(importlib.import_module(Row.module(name)), name)
        if not isinstance(command, typer.Typer):
            app.command(name, cls=Command)(as_typed(command))
            continue
        of_itself = command.registered_callback
        if of_itself is not None and of_itself.callback and not hasattr(of_itself.callback, "__signature__"):
            of_itself.callback = as_typed(of_itself.callback)
        for each in command.registered_commands:
            if each.callback is not None and not hasattr(each.callback, "__signature__"):
                each.callback, each.cls = as_typed(each.callback), Command
        app.add_typer(command, cls=Group)
    return app


def _options(typer: Any) -> Any:
    def show_version(asked: bool) -> None:
        if asked:
            from scalewatch import __version__

            typer.echo(f"scalewatch {__version__}")
            raise typer.Exit

    def options(
        version: bool = typer.Option(False, "--version", help="Say the version.", callback=show_version, is_eager=True),
    ) -> None:
        """Is this training run healthy, is it on its law, and what should be done about it?"""

    return options


def _not_imported() -> None:
    """Stand for a command that was not asked for."""


def _asked() -> str:
    """The command that was typed, or whose options are to be completed; "" if there is none."""
    words = sys.argv[1:]
    for variable in _COMPLETING:
        words = os.environ[variable].split()[1:] if variable in os.environ else words
    return words[0] if words and words[0] in COMMANDS else ""


def main() -> None:
    """Run `scalewatch`; errors of ours, and of what was typed, are one line on stderr and exit code 2."""
    import typer

    from scalewatch.errors import ScalewatchError
    from scalewatch.system import algebra_in_one_thread

    algebra_in_one_thread()
    # typer has no name of its own for what it raises where something is typed wrong
    mistyped: type[Exception] = typer.BadParameter.__mro__[2]
    try:
        sys.exit(new_app(_asked())(prog_name="scalewatch", standalone_mode=False) or 0)
    except mistyped as fault:
        from scalewatch.cli.mistyped import help_instead, sentence

        if (text := help_instead(fault)) is not None:
            typer.echo(text)
            sys.exit(0)
        _refuse(sentence(fault))
    except ScalewatchError as fault:
        _refuse(str(fault))
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)


def _refuse(why: str) -> None:
    """Say in one line why nothing was done, and end; names of files may hold what steers a terminal."""
    from scalewatch.text import no_control

    print(f"scalewatch: {no_control(' '.join(why.split()))}", file=sys.stderr)  # noqa: T201  a command's own output
    sys.exit(2)
