"""Every kind of finding has a whole row in `scalewatch.kinds`, no other table knows kinds, and every screen uses it."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalewatch import Finding, Kind, Run, Severity
from scalewatch.alert.notification import Item, Notification, Status, plain_text
from scalewatch.charts.incidents import incidents_of
from scalewatch.detect import DetectorSet
from scalewatch.forecast.verdict import Verdict
from scalewatch.guard import Guard
from scalewatch.kinds import KINDS, EventKind, kind_name, kind_row
from scalewatch.observation import Observation
from scalewatch.plain import to_plain
from scalewatch_slack.message import message
from scalewatch_torch.watching.terminal import finding_line

ROOT = Path(__file__).parents[1]
FILES = [path for room in ("scalewatch", "integrations") for path in sorted((ROOT / room).rglob("*.py"))]
#: So many kinds in one literal are a table of kinds.
MANY = 3
#: A kind that no table here knows.
FOREIGN = "dead_neurons"


def finding_of(kind: str) -> Finding:
    """A warning of this kind."""
    return Finding(kind, Severity.WARNING, 12, 10, "it is so")


def notification_of(kind: str, *, over: bool) -> Notification:
    """A message about one incident of this kind."""
    item = Item(kind, Severity.WARNING, over, "it is so", 10, 12, 0.0)
    return Notification(
        "1", Status.RESOLVED if over else Status.FIRING, Severity.WARNING, "gpt", "r", 12, 0.0, items=(item,)
    )


def tables_in(tree: ast.AST) -> Iterator[ast.AST]:
    """The literals in a module that say something of several kinds."""
    for node in ast.walk(tree):
        match node:
            case ast.Dict():
                members, few = node.keys, 1
            case ast.List() | ast.Tuple() | ast.Set():
                members, few = node.elts, MANY
            case _:
                continue
        words = sum(isinstance(each, ast.Constant) and each.value in KINDS for each in members)
        named = sum(isinstance(each, ast.Attribute) and ast.unparse(each).startswith("Kind.") for each in members)
        if named >= few or words >= MANY:
            yield node


def test_every_kind_has_one_row() -> None:
    """No kind is missing, and none has two."""
    assert sorted([*Kind, *EventKind]) == sorted(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_is_whole(kind: str) -> None:
    """Names without underscores, a sentence of what is looked at, a field of an observation, known kinds inhibited."""
    row = KINDS[kind]
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z -]+", row.name)
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z -]+", row.firing)
    assert re.fullmatch(r"[A-Z].{10,120}\.", row.looks_at)
    assert row.needs in ("", *Observation._fields)
    assert row.joined in ("since", "at", "after")
    assert set() == row.inhibits - set(KINDS)
    assert kind not in row.inhibits


def test_no_two_kinds_have_one_name() -> None:
    """A person can tell them apart."""
    assert [1] * len(KINDS) == list(Counter(row.name for row in KINDS.values()).values())


def test_no_other_module_has_a_table_of_kinds() -> None:
    """What depends on the kind stands in its row, but for messages.py, which test_pages.py keeps whole."""
    tables = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in FILES
        if path.relative_to(ROOT).as_posix() not in ("scalewatch/kinds.py", "scalewatch/messages.py")
        for node in tables_in(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert [] == tables


@pytest.mark.parametrize("source", ["{Kind.SPIKE: 1}", "('spike', 'divergence', 'noise')", "{Kind.A, Kind.B, Kind.C}"])
def test_a_table_of_kinds_would_be_seen(source: str) -> None:
    """The check above is none that always passes."""
    assert 1 == len(list(tables_in(ast.parse(source))))


@pytest.mark.parametrize("kind", [*Kind, FOREIGN])
def test_a_kind_has_the_same_name_on_every_screen(kind: str) -> None:
    """Verdict, terminal, charts and the tab's answers call it what its row says."""
    found, name = finding_of(kind), kind_name(kind)
    verdict = Verdict(Run("gpt"), 12, None, 2.0, (), (found,), Counter({found.kind: 1}), (found,), None)
    assert f"IN TROUBLE: {name} since step 10" == verdict.headline
    assert f"1 {name}; first page at step 12: it is so" == dict(verdict.rows())["incidents"]
    assert f"scalewatch: step 12: warning: {name}: it is so" == finding_line(found)
    assert name == incidents_of([found], [kind], 12)[0].name
    assert name == to_plain(found)["name"]


@pytest.mark.parametrize("kind", [*KINDS, FOREIGN])
def test_a_message_says_that_it_goes_on_and_that_it_is_over(kind: str) -> None:
    """In the words of its row, in the title, in the text and in Slack."""
    row = kind_row(kind)
    assert f"WARNING gpt: {row.firing} {row.joined} step 10" == notification_of(kind, over=False).title
    assert f"RESOLVED gpt: {row.name} is over" == notification_of(kind, over=True).title
    assert f"\n[warning] {row.firing} ({row.joined} step 10" in plain_text(notification_of(kind, over=False))
    assert f": {row.firing} " in message(notification_of(kind, over=False))["text"]


def test_every_detector_finds_a_kind_that_says_what_it_looks_at() -> None:
    """The tab's list of detectors has a sentence beside each, the one of its kind."""
    detectors = DetectorSet(Run("gpt"), Guard()).detectors
    assert [] == [name for name, kind, _ in detectors if kind not in list(Kind)]


def test_a_kind_from_outside_is_called_by_its_word() -> None:
    """It is none of ours, so nobody else has a name for it."""
    assert ("dead neurons", "dead neurons") == (kind_name(FOREIGN), kind_row(FOREIGN).firing)


@pytest.mark.parametrize("word", ["", "Spike", "a b", "x" * 41, "\x1b[31m", 3, None])
def test_a_finding_of_no_kind_is_refused(word: object) -> None:
    """A kind is a word of small letters, so that files, rules and terminals can hold it."""
    with pytest.raises(ValueError, match="must be a word such as spike"):
        finding_of(word)  # type: ignore[arg-type]


def test_the_word_of_a_known_kind_is_that_kind() -> None:
    """A detector from outside may write the word."""
    assert Kind.SPIKE is finding_of("spike").kind
