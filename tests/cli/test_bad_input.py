"""Whatever is typed and whatever a file holds: a command says one line about it, and never shows its inside."""

from __future__ import annotations

import gzip
import json
import os
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from scalewatch.cli import main, new_app
from tests.cli.tables import curve, runs, write

#: What no person should read: a traceback, a type of Python, the words of a library.
INSIDE = re.compile(
    r"Traceback|<class|object at 0x|\b(?:NoneType|PosixPath|TypedDict|ValueError|TypeError|KeyError|IndexError|dtype"
    r"|ndarray|numpy|pydantic|polars|pandas|pyarrow|Arrow\w*|UnicodeDecodeError|OSError|Errno \d|Input should be"
    r"|float64|int64|np\.|is not a valid (?:float|int))\b|(?<![\w.])None\b"
)
#: Values that are typed where a number, a part, a count, a file or a name is wanted.
BAD_VALUES = ("x", "-1", "nan", "1e999", "", "[bold]", "\N{SNOWMAN}")
#: What a command reads that reads no log.
ITS_FILE = {**dict.fromkeys(("fit", "approaches", "ladder"), "runs.csv"), "emergence": "header.csv"}
#: Commands that would wait, or start a program.
NOT_HERE = ("run", "watch", "alert watch", "reproduce", "mcp")


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Words and command of everything that can be run."""
    within = getattr(command, "commands", None)
    if within is None:
        yield " ".join(words), command
        return
    for name, sub in within.items():
        yield from leaves(sub, (*words, name))


EVERY = {name: command for name, command in leaves(typer.main.get_command(new_app())) if name not in NOT_HERE}
OPTIONS = [
    (name, max(each.opts, key=len))
    for name, command in EVERY.items()
    for each in command.params
    if each.param_type_name == "option" and not each.is_flag and each.name != "help"
]
#: Those that read a file; `report` draws pictures of what `replay` reads the same way.
READS_FILES = [
    name
    for name, command in EVERY.items()
    if any(p.param_type_name == "argument" for p in command.params) and name.split()[0] not in ("alert", "report")
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files that are none of what their names say, and one of each that is."""
    folder = tmp_path_factory.mktemp("bad")
    good = write(folder / "good.csv", curve(2e5))
    text = good.read_text("utf-8")
    made: dict[str, bytes] = {
        "empty.csv": b"",
        "binary.csv": bytes(range(256)) * 40,
        "nul.csv": text[:4000].replace("1", "\0").encode(),
        "latin.csv": "step,loss,r\u00e9gion\n1,2.0,\u00e9\n2,1.9,\u00e9\n".encode("latin-1"),
        "utf16.csv": text[:4000].encode("utf-16"),
        "header.csv": b"step,loss,lr,params,tokens\n",
        "words.csv": b"step,loss\n" + b"one,two\n" * 50,
        "ragged.csv": b"step,loss,lr\n1,2\n1,2,3,4,5\n\n,,,,,,,\n",
        "negative.csv": b"step,loss,lr,params,tokens\n" + b"-5,-1,-1,-7,-3\n" * 20,
        "infinite.csv": b"step,loss,lr,params,tokens\n" + b"inf,nan,inf,nan,inf\n" * 20,
        "huge.csv": b"step,loss,lr,params,tokens\n" + b"99999999999999999999999,1e400,1e-400,1e308,1e308\n" * 20,
        "same.csv": b"step,loss,lr,params,tokens\n" + b"1,2,0.1,100,100\n" * 20,
        "wide.csv": (",".join(f"c{n}" for n in range(3000)) + "\n").encode(),
        "markup.csv": b"[bold]step,[/]loss\n1,2\n",
        "lines.jsonl": b'{"step": 1, "loss": 2.0}\n{"step": \n[1, 2]\n"x"\nnull\n',
        "deep.json": b"[" * 5000 + b"]" * 5000,
        "state_trainer_state.json": b'{"log_history": {"loss": 1}}',
        "table.parquet": b"PAR1" + bytes(100) + b"PAR1",
        "events.out.tfevents.1.host": bytes(64),
        "run-x.wandb": b":W&B" + bytes(40),
        "torn.csv.gz": gzip.compress(text.encode())[:200],
        "law.json": json.dumps({"kind": "curves", "schema": 1}).encode(),
    }
    for name, content in made.items():
        (folder / name).write_bytes(content)
    with zipfile.ZipFile(folder / "zip.zip", "w") as archive:
        archive.writestr("../out.csv", text[:200])
    (folder / "link.csv").symlink_to(folder / "nowhere.csv")
    os.mkfifo(folder / "pipe.fifo")
    write(folder / "runs.csv", runs(3))
    (folder / "few.csv").write_text("".join(text.splitlines(keepends=True)[:60]), "utf-8")
    return {path.name: path for path in folder.iterdir() if path.name != "pipe.fifo"}


def run(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """How a command ended, and all that it said."""
    monkeypatch.setattr(sys, "argv", ["scalewatch", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    code = ended.value.code
    return code if isinstance(code, int) else 0, said.out + said.err


def needed(name: str, path: str) -> list[str]:
    """A command with its arguments and the options that it cannot do without."""
    words = name.split()
    for each in EVERY[name].params:
        if each.param_type_name == "argument":
            words.append("slack" if each.name == "receiver" else path)
        elif each.required:
            words += [max(each.opts, key=len), "5"]
    return words


@pytest.mark.parametrize(("name", "option"), OPTIONS, ids=lambda word: word.replace(" ", "-"))
def test_a_bad_value_is_answered_in_a_line(
    name: str,
    option: str,
    files: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of every option of every command."""
    monkeypatch.chdir(tmp_path)
    for value in BAD_VALUES:
        code, said = run([*needed(name, str(files[ITS_FILE.get(name, "few.csv")])), option, value], monkeypatch, capsys)

        assert code in (0, 1, 2), value
        assert not (found := INSIDE.search(said)), f"{value!r}: {found and said[max(found.start() - 200, 0) :][:400]}"


@pytest.mark.parametrize("name", READS_FILES, ids=lambda word: word.replace(" ", "-"))
def test_a_bad_file_is_answered_in_a_line(
    name: str,
    files: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of every command that reads one; nothing of it steers the terminal."""
    monkeypatch.chdir(tmp_path)
    for path in files.values():
        code, said = run(needed(name, str(path)), monkeypatch, capsys)

        assert code in (0, 1, 2), path.name
        assert not (found := INSIDE.search(said)), f"{path.name}: {found and said[max(found.start() - 200, 0) :][:400]}"
        assert not re.search(r"[\x00-\x08\x0e-\x1f]", said), path.name
