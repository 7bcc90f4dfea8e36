"""Every command that tells something has `--json`, and what it prints is what its schema says."""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from scalewatch.cli import new_app
from scalewatch.cli.answers import ANSWERS, without_answer
from scalewatch.json_schema import schemas_of
from tests.cli.conftest import loss_of
from tests.cli.tables import curve, runs, write

#: Words typed, with `{folder}` for the folder that `made` fills, and the exit codes that are right.
ASKED = {
    "replay": ("replay {folder}/a.csv {folder}/spike.csv", {1}),
    "replay --against": ("replay {folder}/a.csv --against {folder}/spike.csv", {0, 1}),
    "replay --explain": ("replay {folder}/a.csv --explain", {0}),
    "watch": ("watch {folder}/spike.csv --once", {0}),
    "report": ("report {folder}/a.csv -o {folder}/page.html", {0}),
    "forecast": ("forecast {folder}/a.csv --at 0.5 --target-loss 1.5", {0}),
    "whatif": ("whatif {folder}/a.csv --at 0.5", {0}),
    "sweep": ("sweep {folder}/a.csv {folder}/b.csv --at 0.5", {0, 1}),
    "fleet": ("fleet --from {folder}/fleet", {1}),
    "fleet --sql": ("fleet --from {folder}/fleet --sql 'select run, look from runs'", {0}),
    "fleet collect": ("fleet collect {folder}/curves -o {folder}/fleet", {0}),
    "fit": ("fit {folder}/runs.csv -o {folder}/law.json --bootstrap 0", {0, 1}),
    "fit --predict": ("fit {folder}/runs.csv --predict {folder}/points.csv", {0}),
    "approaches": ("approaches {folder}/runs.csv --flops 1e22", {0}),
    "ladder": ("ladder {folder}/runs.csv --target 7B:140B", {0, 1}),
    "gain": ("gain {folder}/a.csv {folder}/b.csv", {0, 1}),
    "emergence": ("emergence {folder}/models.csv --items 500 --answer-tokens 5", {0, 1}),
    "collapse": ("collapse {folder}/curves", {0, 1}),
    "plan": ("plan --flops 1e21", {0}),
    "register": ("register --law {folder}/curves.law.json --steps 600 --parameters 200k -o {folder}/p/one.json", {0}),
    "scores": ("scores {folder}/p", {0}),
    "reproduce": ("reproduce --row 2", {0}),
}


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Words and command of everything that can be run."""
    within = getattr(command, "commands", None)
    if within is None:
        yield " ".join(words), command
        return
    if command.invoke_without_command:
        yield " ".join(words), command
    for name, sub in within.items():
        yield from leaves(sub, (*words, name))


EVERY = dict(leaves(typer.main.get_command(new_app())))


def strict(schema: Any) -> Any:
    """A schema that allows no field but those that it names: an answer has nothing that is not documented."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: strict(part) for name, part in schema.items()}
    if "properties" in schema and "type" in schema:
        closed["additionalProperties"] = False
    return closed


SCHEMA = strict(schemas_of(ANSWERS, "answers"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what each command reads."""
    folder = tmp_path_factory.mktemp("answers")
    for name, seed, high in (("a", 0, 0.0), ("b", 1, 0.0), ("spike", 0, 3.0)):
        rates, losses = loss_of(2e5, seed)
        losses[400:] += high
        write(folder / f"{name}.csv", {"step": [*range(1, 601)], "loss": losses.tolist(), "lr": rates.tolist()})
    write(folder / "runs.csv", runs())
    write(folder / "points.csv", {"params": [5e9], "tokens": [1e11]})
    scale = np.geomspace(1e18, 1e24, 12)
    loss = 3.0 * (scale / 1e18) ** -0.15
    accuracy = np.exp(-5 * loss)
    write(folder / "models.csv", {"scale": scale.tolist(), "accuracy": accuracy.tolist(), "loss": loss.tolist()})
    (folder / "curves").mkdir()
    (folder / "p").mkdir()
    for seed, size in enumerate((1e5, 2e5, 4e5, 8e5)):
        write(folder / "curves" / f"{size:.0f}.csv", curve(size, seed))
    return folder


def asked(words: str, made: Path) -> Any:
    """What a command printed and how it ended."""
    return CliRunner().invoke(new_app(), shlex.split(words.replace("{folder}", str(made))))


@pytest.mark.parametrize("name", ANSWERS)
def test_what_a_command_prints_as_json_is_what_its_schema_says(name: str, made: Path) -> None:
    """Every field that there is is documented, and every one that is documented is there; nothing else is printed."""
    tables = " ".join(map(str, sorted((made / "curves").glob("*.csv"))))
    words, codes = ASKED[name]
    if name in ("fleet", "fleet --sql"):
        asked(f"fleet collect {made} -o {made}/fleet --jobs 1", made)
    if name == "register":
        asked(f"fit {tables} -o {made}/curves.law.json", made)
    said = asked(f"{words.replace('{folder}/curves', tables) if name == 'collapse' else words} --json", made)
    printed = said.stdout.splitlines() if name == "watch" else [said.stdout]

    assert said.exit_code in codes, said.output
    assert printed
    for text in printed:
        validator = Draft202012Validator({**SCHEMA, "$ref": f"#/$defs/{name}"})
        faults = validator.iter_errors(json.loads(text))
        assert [] == [f"{'/'.join(map(str, fault.path))}: {fault.message:.200}" for fault in faults]


def test_every_command_tells_as_json_or_it_is_said_why_not() -> None:
    """A new command without it is found here."""
    told = {name.partition(" --")[0] for name in ANSWERS}

    assert told | set(without_answer()) == set(EVERY)
    assert not told & set(without_answer())
    assert told == {name for name, command in EVERY.items() if any("--json" in p.opts for p in command.params)}


def test_json_is_printed_alone_where_the_exit_code_says_that_something_was_found(made: Path) -> None:
    """Notes and files that were passed over do not get between it and who reads it, in a process of its own."""
    with (made / "notes.md").open("w") as file:
        csv.writer(file).writerow(["no", "log"])
    words = [sys.executable, "-m", "scalewatch", "replay", str(made / "spike.csv"), "--json"]

    said = subprocess.run(words, capture_output=True, text=True, check=False)

    assert 1 == said.returncode
    assert 1 == json.loads(said.stdout)["exit_code"]
