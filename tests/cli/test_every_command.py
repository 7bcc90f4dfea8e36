"""Every command of the table, and every command of a command, keeps the promises of all."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from scalewatch import __version__
from scalewatch.cli import COMMANDS, new_app
from tests.cli.conftest import loss_of
from tests.cli.tables import write

ROOT = Path(__file__).parents[2]
#: What a command imports when it runs, and not before: each of them takes longer than its `--help` may.
HEAVY = ("scipy", "torch", "altair", "vl_convert", "pandas", "pyarrow", "tensorboard", "rich.progress")
#: What is slow to import beside what help has to do.
SLOW = ("numpy", "rich.table", "scalewatch.cli.plan")
#: What the replay of a table has no use for: what reads its options again, other formats, other processes, plugins.
UNUSED = (
    *("pydantic", "sqlite3", "multiprocessing", "importlib.metadata", "scipy", "rich.progress", "hashlib"),
    *("scalewatch.logs.tensorboard.events", "scalewatch.logs.console", "scalewatch.journal.writer"),
)
#: Those that wait for a log that is not there yet.
WAITING = (("watch",), ("alert", "watch"))
#: Options that are of another thing in another command.
OF_SEVERAL_THINGS = (
    *("--output", "--law", "--schedule", "--target-loss", "--parameters", "--batch-tokens", "--flops"),
    *("--budget", "--chart", "--quiet", "--once", "--to", "--at"),
)
COLOUR = re.compile(r"\x1b\[[0-9;]*(3|4|9|10)[0-7]\b")


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Words and command of everything that can be run."""
    within = getattr(command, "commands", None)
    if within is None:
        yield words, command
        return
    if command.invoke_without_command:
        yield words, command
    for name, sub in within.items():
        yield from leaves(sub, (*words, name))


EVERY = dict(leaves(typer.main.get_command(new_app())))
every_command = pytest.mark.parametrize("words", EVERY, ids=" ".join)


def help_of(words: tuple[str, ...], **environment: str) -> str:
    """What `--help` says, without the line breaks."""
    said = CliRunner().invoke(new_app(), [*words, "--help"], env={"COLUMNS": "200", **environment})
    assert 0 == said.exit_code, said.output
    return " ".join(said.output.split())


def test_the_table_holds_every_command() -> None:
    """And nothing else: what is typed is what stands there."""
    assert set(COMMANDS) == {words[0] for words in EVERY}


@every_command
def test_help_names_every_argument_and_option_and_says_what_it_does(words: tuple[str, ...]) -> None:
    """Each with words of its own."""
    text = help_of(words)
    given = [parameter for parameter in EVERY[words].params if parameter.name != "help"]
    names = [p.opts[0] if p.param_type_name == "option" else p.name.upper() for p in given]

    assert [] == [name for name in names if name not in text]
    assert [] == [p.name for p in given if not (p.help or "").strip()]


@every_command
def test_help_says_what_each_option_takes_as_people_say_it(words: tuple[str, ...]) -> None:
    """With its unit, and no type of Python; a switch takes nothing."""
    text = help_of(words)
    flags = [p for p in EVERY[words].params if p.param_type_name == "option"]

    assert not re.search(r"<|\blist\[|\b(float|int|str|bool|None)\b", text)
    assert [] == [p.name for p in flags if not p.is_flag and f"{p.opts[0]} {p.metavar}" not in text]
    assert [] == [p.name for p in flags if p.is_flag and p.secondary_opts]


@every_command
def test_no_words_of_an_option_hold_a_bracket(words: tuple[str, ...]) -> None:
    """A shell's completion shows them through rich, which takes a unit in brackets for a style of letters."""
    assert [] == [p.name for p in EVERY[words].params if "[" in (p.help or "")]


@every_command
def test_the_line_of_a_command_in_the_list_is_how_its_help_begins(words: tuple[str, ...]) -> None:
    """The list of all commands imports none of them."""
    row = COMMANDS[words[0]]
    text = (
        new_app(words[0]).registered_groups[0].typer_instance.info.help
        if words[0] in ("alert", "fleet")
        else EVERY[words].help
    )

    assert " ".join(str(text).replace("`", "").split()).startswith(row.says.rstrip("."))


def test_an_option_of_several_commands_says_the_same_in_each() -> None:
    """It is written once, but for those that are of another thing there."""
    said: dict[str, set[str]] = {}
    for command in EVERY.values():
        for each in command.params:
            if each.param_type_name == "option":
                said.setdefault(max(each.opts, key=len), set()).add(f"{each.metavar} {each.help}")

    assert [] == [name for name, words in said.items() if len(words) > 1 and name not in OF_SEVERAL_THINGS]
    assert [] == [name for name in OF_SEVERAL_THINGS if len(said[name]) == 1]


@every_command
def test_help_says_the_exit_codes(words: tuple[str, ...]) -> None:
    """A script can rely on them."""
    assert re.search(r"exit code .*\b0\b", help_of(words), re.IGNORECASE)


@every_command
def test_help_without_colour_has_none(words: tuple[str, ...]) -> None:
    """`NO_COLOR` is honoured also where a terminal is forced."""
    assert not COLOUR.search(help_of(words, NO_COLOR="1", FORCE_COLOR="1"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_stands_in_the_page_of_commands(name: str) -> None:
    """With the words that are typed."""
    assert f"scalewatch {name} " in (ROOT / "docs" / "commands.md").read_text("utf-8")


def reads_a_path(command: Any) -> bool:
    """Whether it is given the path of something that has to be there."""
    kinds = [str(p.type_descriptor.annotation) for p in command.params if p.param_type_name == "argument"]
    return any("Path" in kind for kind in kinds)


@pytest.mark.parametrize("words", [w for w in EVERY if reads_a_path(EVERY[w]) and w not in WAITING], ids=" ".join)
def test_a_path_that_is_not_there_is_one_line(words: tuple[str, ...], scalewatch: Callable[..., Any]) -> None:
    """On stderr, with the path in it and no traceback."""
    arguments = [p for p in EVERY[words].params if p.param_type_name == "argument" and p.required]
    needed = [p.opts[0] for p in EVERY[words].params if p.required and p.param_type_name == "option"]
    paths = ["/no/such/place"] * max(len(arguments), 1)

    said = scalewatch(*words, *paths, *(word for option in needed for word in (option, "5")))

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


@every_command
def test_help_fits_a_narrow_terminal(words: tuple[str, ...]) -> None:
    """No line is longer than it, but for a word that is."""
    said = CliRunner().invoke(new_app(), [*words, "-h"], env={"COLUMNS": "60"})

    assert [] == [line for line in said.output.splitlines() if len(line) > 60 and " " in line.strip()]


@pytest.mark.parametrize("typed", [(), ("alert",)])
def test_what_is_typed_without_a_command_gets_the_list_of_them(
    typed: tuple[str, ...], scalewatch: Callable[..., Any]
) -> None:
    """As `--help` does."""
    assert scalewatch(*typed, "--help") == scalewatch(*typed)
    assert 0 == scalewatch(*typed).code


def test_the_version_is_said(scalewatch: Callable[..., Any]) -> None:
    """As `--version`, alone on a line."""
    said = scalewatch("--version")

    assert (0, f"scalewatch {__version__}") == (said.code, said.out)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_completion(shell: str) -> None:
    """The script that it sources, and the options of a command when somebody presses tab."""
    environment = {**os.environ, "_SCALEWATCH_COMPLETE": f"source_{shell}"}
    typed = {"COMP_WORDS": "scalewatch forecast --targ", "COMP_CWORD": "2"}
    typed |= {"_TYPER_COMPLETE_ARGS": typed["COMP_WORDS"], "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    code = [sys.executable, "-c", "from scalewatch.cli import main; main()"]

    script = subprocess.run(code, env=environment, capture_output=True, text=True, check=False)
    environment |= {**typed, "_SCALEWATCH_COMPLETE": f"complete_{shell}"}
    options = subprocess.run(code, env=environment, capture_output=True, text=True, check=False)

    assert "scalewatch" in script.stdout
    assert "--target-loss" in options.stdout
    assert "" == script.stderr + options.stderr


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("forecast a.csv --at x", "`--at` must be a part such as 30% or 0.3 (got 'x')"),
        ("replay a.csv --total-steps 1.5", "`--total-steps` must be a whole number (got '1.5')"),
        ("replay a.csv --target-loss low", "`--target-loss` must be a number such as 0.3 (got 'low')"),
        ("plan --flops", "`--flops` needs a value"),
        ("replya", "there is no command 'replya'; did you mean replay"),
        ("forecast", "LOG is missing: a log, or the folder of a run"),
        ("plan --levle 1", "there is no option `--levle`; did you mean"),
        ("forecast a b", "'b' is one argument too many"),
        ("alert silnce", "there is no command 'silnce'; did you mean silence"),
    ],
)
def test_what_is_typed_wrong_is_one_line_that_says_what_may_be(
    typed: str, said: str, scalewatch: Callable[..., Any]
) -> None:
    """And where help is."""
    answer = scalewatch(*typed.split())

    assert (2, "") == (answer.code, answer.out)
    assert answer.err.startswith(f"scalewatch: {said}")
    assert answer.err.endswith("--help.")


def test_a_part_may_be_typed_in_per_cent(scalewatch: Callable[..., Any], tmp_path: Path) -> None:
    """`--at 30%` is `--at 0.3` is `--at .3`."""
    rates, losses = loss_of(2e5, 0)
    log = write(tmp_path / "a.csv", {"step": [*range(1, 601)], "loss": losses.tolist(), "lr": rates.tolist()})

    told = [scalewatch("forecast", log, "--at", typed).out for typed in ("30%", "0.3", ".3")]

    assert "At 30 % (step 180): it will end at" in told[0]
    assert [told[0]] * 3 == told


def test_the_list_of_commands_imports_none_of_them() -> None:
    """Neither numpy nor rich, which take longer than all that help has to do."""
    code = "import sys; sys.argv = ['scalewatch', '-h']; from scalewatch.cli import main\ntry:\n    main()\n"
    code += f"except SystemExit:\n    print('LOADED', [m for m in {SLOW} if m in sys.modules])"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout.endswith("LOADED []\n")


def test_no_command_imports_what_is_heavy_before_it_runs() -> None:
    """`--help` is there at once."""
    code = f"import sys; from scalewatch.cli import new_app; new_app(); print([m for m in {HEAVY} if m in sys.modules])"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)

    assert "[]" == said.stdout.strip()


def test_a_short_table_is_replayed_without_what_it_has_no_use_for(tmp_path: Path) -> None:
    """Imports are nearly all that the replay of a few hundred rows costs."""
    rates, losses = loss_of(2e5, 0)
    log = write(
        tmp_path / "a.csv", {"step": [*range(1, 301)], "loss": losses[:300].tolist(), "lr": rates[:300].tolist()}
    )
    code = f"import sys; sys.argv = ['scalewatch', 'replay', {str(log)!r}]; from scalewatch.cli import main\n"
    code += "try:\n    main()\n"
    code += f"except SystemExit as ended:\n    print(ended.code, 'LOADED', [m for m in {UNUSED} if m in sys.modules])"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout.endswith("0 LOADED []\n")
