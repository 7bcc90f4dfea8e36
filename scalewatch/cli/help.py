"""What `--help` prints: usage, what the command does, and each option with what it takes and what it is if unsaid.

Typer's own help draws boxes with rich, which takes longer than everything else that help has to do.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from scalewatch.cli.signatures import read_by_itself

__all__ = ["Command", "Group"]

#: Columns of a line of help at most, and below how many what an option is stands under its name.
MOST_WIDTH, NARROW = 100, 70
#: Columns of the name of an option at most; of a longer one what it is stands on the next line.
MOST_NAME = 26


class Command(TyperCommand):
    """A command with this help, whose parameters are read by their own readers."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what was typed."""
        for each in self.get_params(ctx):
            read_by_itself(each)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of a command."""
        formatter.write("\n".join(_page(self, ctx)) + "\n")


class Group(TyperGroup):
    """A command that has commands, with this help.

    Attributes:
        panels: name of a command -> the heading that it stands under.
    """

    panels: Mapping[str, str] = {}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what was typed."""
        for each in self.get_params(ctx):
            read_by_itself(each)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of all of its commands, under their headings."""
        lines = [*_page(self, ctx)]
        panels = self.panels if ctx.parent is None else {}
        heads: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            text = "" if command is None else _one_line((command.help or "").strip().split("\n\n")[0])
            row = (name, text.split(": exit code")[0].rstrip("."))
            heads.setdefault(panels.get(name, "commands"), []).append(row)
        room = max((len(name) for rows in heads.values() for name, _ in rows), default=0)
        for head, rows in heads.items():
            lines += ["", _bold(head), *_table(rows, _width(), room)]
        formatter.write("\n".join(lines) + "\n")


def _page(command: Any, ctx: Any) -> Iterator[str]:
    width = _width()
    yield from _wrapped(f"usage: {ctx.command_path} {_usage(command, ctx)}", width, "  ")
    for paragraph in (command.help or "").strip().split("\n\n"):
        yield ""
        yield from _wrapped(_one_line(paragraph), width)
    panels: dict[str, list[tuple[str, str]]] = {}
    for each in command.get_params(ctx):
        argument = each.param_type_name == "argument"
        head = getattr(each, "rich_help_panel", None) or ("arguments" if argument else "options")
        name = _argument(each) if argument else _option(each)
        panels.setdefault(head, []).append((name, _meaning(each, argument=argument)))
    room = min(max(len(name) for rows in panels.values() for name, _ in rows), MOST_NAME)
    for head in sorted(panels, key=lambda head: (head != "arguments", head == "options")):
        yield from ("", _bold(head), *_table(panels[head], width, room))


def _usage(command: Any, ctx: Any) -> str:
    if hasattr(command, "commands"):
        return "[OPTIONS] COMMAND ..."
    names = [_argument(each) for each in command.get_params(ctx) if each.param_type_name == "argument"]
    return " ".join([*names, "[OPTIONS]"])


def _argument(each: Any) -> str:
    return f"{each.name.upper()}{'...' if each.nargs != 1 else ''}"


def _option(each: Any) -> str:
    names = sorted([*each.opts, *each.secondary_opts], key=len)
    takes = "" if getattr(each, "is_flag", False) else f" {each.metavar or 'TEXT'}"
    return f"{', '.join(names)}{takes}"


def _meaning(each: Any, *, argument: bool) -> str:
    text = _one_line(each.help or "")
    if argument:
        return text
    if each.required:
        return f"{text} (required)"
    variable = f" (or {each.envvar} in the environment)" if getattr(each, "envvar", None) else ""
    shown = each.default not in (None, False, "", (), []) and each.show_default and not callable(each.default)
    return f"{text}{variable}{f' (default: {each.default})' if shown else ''}"


def _table(rows: Sequence[tuple[str, str]], width: int, room: int) -> Iterator[str]:
    for name, text in rows:
        if width < NARROW or len(name) > room:
            yield f"  {_bold(name)}"
            yield from _wrapped(text, width, " " * 6, first=" " * 6)
            continue
        indent = " " * (room + 4)
        first, *more = _wrapped(text, width - len(indent)) or [""]
        yield f"  {_bold(name)}{' ' * (room - len(name) + 2)}{first}"
        yield from (indent + line for line in more)


def _wrapped(text: str, width: int, indent: str = "", *, first: str = "") -> list[str]:
    lines = textwrap.TextWrapper(width, first, indent, break_long_words=False, break_on_hyphens=False)
    return lines.wrap(text)


def _one_line(text: str) -> str:
    return " ".join(text.replace("`", "").split())


def _bold(text: str) -> str:
    return typer.style(text, bold=True)


def _width() -> int:
    return max(min(shutil.get_terminal_size((80, 24)).columns, MOST_WIDTH), 30)
