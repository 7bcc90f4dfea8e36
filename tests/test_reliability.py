"""Each promise of docs/reliability.md has a test that is there, or a reason why it has none."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

from tests.house import ROOT

#: The numbers of the faults and of the attacks that promises are asked for.
NUMBERS = [f"F{number}" for number in range(1, 33)] + [f"S{number}" for number in range(1, 14)]
#: A row of the table: its number, the promise, what holds it.
ROW = re.compile(r"^\| ([FS]\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)


@functools.cache
def rows() -> dict[str, tuple[str, str]]:
    """Promise and what holds it, by number."""
    found = ROW.findall((ROOT / "docs" / "reliability.md").read_text(encoding="utf-8"))
    assert len({number for number, _, _ in found}) == len(found), "a number stands there twice"
    return {number: (promise, held) for number, promise, held in found}


@functools.cache
def named_in(file: Path) -> set[str]:
    """Names of the tests that stand in a file."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_number_has_its_row() -> None:
    """No fault and no attack of the list is passed over, and none is made up."""
    assert list(rows()) == NUMBERS


@pytest.mark.parametrize("number", NUMBERS)
def test_what_holds_a_promise_is_there(number: str) -> None:
    """Every test that is named exists; where none is, the reason is said."""
    promise, held = rows()[number]
    tests, _, untried = held.partition("untried")
    named = re.findall(r"([\w/]+\.py)::(\w+)", tests)

    missing = [f"{file}::{name}" for file, name in named if name not in named_in(ROOT / "tests" / file)]

    assert missing == []
    assert promise.endswith(".")
    assert named or len(untried.partition(":")[2]) > len("reason"), "neither a test nor the reason why there is none"
