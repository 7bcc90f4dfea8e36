"""Every command of the table, and every command of a command, keeps the promises of all."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from scalewatch.cli import COMMANDS, new_app

ROOT = Path(__file__).parents[2]
#: What a command imports when it runs, and not before: each of them takes longer than its `--help` may.
HEAVY = ("scipy", "torch", "altair", "vl_convert", "pandas", "pyarrow", "tensorboard", "rich.progress")
#: Those that wait for a log that is not there yet.
WAITING = (("watch",), ("alert", "watch"))
COLOUR = re.compile(r"\x1b\[[0-9;]*(3|4|9|10)[0-7]\b")


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Words and command of everything that can be run."""
    within = getattr(command, "commands", None)
    if within is None:
        yield words, command
        return
    for name, sub in within.items():
        yield from leaves(sub, (*words, name))


EVERY = dict(leaves(typer.main.get_command(new_app())))
every_command = pytest.mark.parametrize("words", EVERY, ids=" ".join)


def help_of(words: tuple[str, ...], **environment: str) -> str:
    """What `--help` says, without the frames and the line breaks."""
    said = CliRunner().invoke(new_app(), [*words, "--help"], env={"COLUMNS": "200", **environment})
    assert 0 == said.exit_code, said.output
    return " ".join(re.sub("[─│╭╮╰╯]", " ", said.output).split())


def test_the_table_holds_every_command() -> None:
    """And nothing else: what is typed is what stands there."""
    assert set(COMMANDS) == {words[0] for words in EVERY}


@every_command
def test_help_names_every_argument_and_option_and_says_what_it_does(words: tuple[str, ...]) -> None:
    """Each with words of its own."""
    text = help_of(words)
    given = [parameter for parameter in EVERY[words].params if parameter.name != "help"]
    names = [p.opts[0] if p.param_type_name == "option" else p.name for p in given]

    assert [] == [name for name in names if name not in text]
    assert [] == [p.name for p in given if not (p.help or "").strip()]


@every_command
def test_help_says_every_unit(words: tuple[str, ...]) -> None:
    """What stands in brackets in an option's words is there, and not taken for a style of letters."""
    text = help_of(words)
    given = [p.help or "" for p in EVERY[words].params if p.name != "help"]

    assert [] == [unit for line in given for unit in re.findall(r"\[[^\]]+\]", line) if unit not in text]


@every_command
def test_help_says_the_exit_codes(words: tuple[str, ...]) -> None:
    """A script can rely on them."""
    assert re.search(r"exit code .*\b0\b", help_of(words), re.IGNORECASE)


@every_command
def test_help_without_colour_has_none(words: tuple[str, ...]) -> None:
    """`NO_COLOR` is honoured also where a terminal is forced."""
    assert not COLOUR.search(help_of(words, NO_COLOR="1", FORCE_COLOR="1"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_stands_in_the_readme_or_in_docs(name: str) -> None:
    """With the words that are typed."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]

    assert any(f"scalewatch {name}" in page.read_text("utf-8") for page in pages)


def reads_a_path(command: Any) -> bool:
    """Whether it is given the path of something that has to be there."""
    kinds = [str(p.type_descriptor.annotation) for p in command.params if p.param_type_name == "argument"]
    return any("Path" in kind for kind in kinds)


@pytest.mark.parametrize("words", [w for w in EVERY if reads_a_path(EVERY[w]) and w not in WAITING], ids=" ".join)
def test_a_path_that_is_not_there_is_one_line(words: tuple[str, ...], scalewatch: Callable[..., Any]) -> None:
    """On stderr, with the path in it and no traceback."""
    arguments = [p for p in EVERY[words].params if p.param_type_name == "argument" and p.required]
    said = scalewatch(*words, *["/no/such/place"] * max(len(arguments), 1))

    assert 2 == said.code
    assert "" == said.out
    assert said.err.startswith("scalewatch: ")
    assert "/no/such/place" in said.err
    assert "Traceback" not in said.err


@every_command
def test_an_option_that_there_is_not_is_exit_2_and_no_traceback(
    words: tuple[str, ...], scalewatch: Callable[..., Any]
) -> None:
    """And its name is said."""
    said = scalewatch(*words, "--no-such-option")

    assert 2 == said.code
    assert "--no-such-option" in said.err
    assert "Traceback" not in said.err


def test_no_command_imports_what_is_heavy_before_it_runs() -> None:
    """`--help` is there at once."""
    code = f"import sys; from scalewatch.cli import new_app; new_app(); print([m for m in {HEAVY} if m in sys.modules])"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)

    assert "[]" == said.stdout.strip()
