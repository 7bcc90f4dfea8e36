"""What scalewatch speaks of has one plain form, and comes back from it as it was."""

from __future__ import annotations

import json
import math
from dataclasses import make_dataclass
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from scalewatch import Action, Advice, EvidenceGrade, Finding, Kind, Severity
from scalewatch.alert import Item, Notification, Recommendation, Status
from scalewatch.errors import ConfigError, PlainError
from scalewatch.journal import advice_record, finding_record
from scalewatch.json_schema import schema_of, schemas_of
from scalewatch.plain import from_plain, to_plain

SPIKE = Finding(Kind.SPIKE, Severity.WARNING, 9, 7, "up", {"sigmas": math.inf, "cause": "inf", "rows": 3})
FOREIGN = Finding("dead_neurons", Severity.INFO, 9, 7, "they are silent")
STOP = Advice(Action.STOP, "it is lost", EvidenceGrade.B, None, 9, (-0.1, math.nan), "a lower loss")


@pytest.mark.parametrize("thing", [SPIKE, FOREIGN, Advice(Action.WAIT, "r", EvidenceGrade.C, 0.01, 3, (0.0, 0.02))])
def test_a_thing_comes_back_as_it_was(thing: Any) -> None:
    """Through JSON that knows no NaN."""
    assert thing == from_plain(type(thing), json.loads(json.dumps(to_plain(thing), allow_nan=False)))


def test_a_number_that_is_not_finite_is_a_word_of_json() -> None:
    """In the evidence of a finding it stays apart from the same word."""
    assert ["sigmas"] == to_plain(SPIKE)["nonfinite"]
    assert {"sigmas": "inf", "cause": "inf", "rows": 3} == to_plain(SPIKE)["evidence"]
    assert [-0.1, "nan"] == to_plain(STOP)["gain_interval"]


def test_the_journal_holds_the_same_form() -> None:
    """Nothing but the type of the record stands beside it."""
    assert to_plain(SPIKE) | {"type": "finding"} == finding_record(SPIKE)
    assert to_plain(STOP) | {"type": "advice"} == advice_record(STOP)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("step", 1.5, "`step` must be an integer (got 1.5, float)."),
        ("step", True, "`step` must be an integer (got True, bool)."),
        ("message", None, "`message` must be text (got None, NoneType)."),
        ("severity", "loud", "`severity` must be one of info, warning, critical (got 'loud', str)."),
        ("kind", "Some Kind", "`kind` must be a word such as spike (got 'Some Kind', str)."),
        ("evidence", [1], "`evidence` must be an object (got [1], list)."),
    ],
)
def test_what_cannot_be_is_refused_with_the_field_and_what_was_got(field: str, value: object, sentence: str) -> None:
    """In one sentence."""
    with pytest.raises(PlainError) as refused:
        from_plain(Finding, to_plain(SPIKE) | {field: value})
    assert sentence == str(refused.value)


MESSAGE = Notification(
    "1",
    Status.FIRING,
    Severity.WARNING,
    "gpt",
    "r",
    9,
    12.5,
    items=(Item("spike", Severity.WARNING, False, "up", 7, 9, 12.0),),
    advice=(Recommendation("stop", "it is lost", "B", None, (-0.1, 0.2)),),
    rows=(("health", "in trouble"),),
    mentions=("here",),
    labels=(("team", "lm"),),
)


def test_a_message_comes_back_from_the_state_of_the_alerts() -> None:
    """With what it lists and advises."""
    assert MESSAGE == Notification.from_json(json.loads(json.dumps(MESSAGE.to_json(), allow_nan=False)))


@pytest.mark.parametrize(
    "wrong", [{"step": "9"}, {"items": [{}]}, {"rows": [["a"]]}, {"labels": []}, {"folded": None}, {"mentions": [1]}]
)
def test_a_message_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    """Nothing is made of it."""
    with pytest.raises(ConfigError, match="This is no notification"):
        Notification.from_json(MESSAGE.to_json() | wrong)


def test_a_schema_says_what_plain_values_may_be() -> None:
    """What `to_plain` makes of a finding is what the schema of findings allows, a number that is none too."""
    finding = Finding(Kind.SPIKE, Severity.WARNING, 7, 6, "up", {"sigmas": math.inf, "cause": "unknown"})
    plain = to_plain(finding)
    validator = Draft202012Validator(schema_of(Finding))

    assert validator.is_valid(plain)
    assert not validator.is_valid({**plain, "severity": "dire"})
    assert not validator.is_valid({**plain, "step": "7"})
    assert not validator.is_valid({name: value for name, value in plain.items() if name != "message"})


def test_two_types_of_one_name_have_no_schema() -> None:
    """One would stand for the other."""

    other = make_dataclass("Finding", [("step", int)])

    with pytest.raises(TypeError, match="two types"):
        schemas_of({"one": Finding, "other": other}, "")
