"""Pages that are made from code say what the code says."""

from __future__ import annotations

import json
import re

import pytest
from jsonschema import Draft202012Validator

from scalewatch.advice import Action
from scalewatch.cli.answers import ANSWERS
from scalewatch.json_schema import schemas_of
from scalewatch.kinds import KINDS
from scalewatch.messages import ACTIONS, KINDS_SAID, STATES
from scalewatch.status import State
from tests.pages import DOCS, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_that_is_made_from_code_is_up_to_date(name: str) -> None:
    """`make pages` writes it anew."""
    assert PAGES[name]() == (DOCS / name).read_text("utf-8")


def test_every_field_of_every_answer_says_what_it_is() -> None:
    """In words, in the schema and on the page."""
    known = schemas_of(ANSWERS, "")["$defs"]
    fields = [(name, field, what) for name, one in known.items() for field, what in one.get("properties", {}).items()]

    assert len(fields) > 100
    assert [] == [f"{name}.{field}" for name, field, what in fields if not what.get("description")]


def test_the_schema_of_answers_is_one() -> None:
    """By the words of JSON Schema itself, and every part of it that is named is there."""
    schema = json.loads((DOCS / "answers.schema.json").read_text("utf-8"))
    named = set(re.findall(r"#/\$defs/(\w+)", json.dumps(schema)))

    Draft202012Validator.check_schema(schema)
    assert set() == named - set(schema["$defs"])


def test_every_kind_state_and_action_says_when_it_is_said_and_what_to_do() -> None:
    """A new one is found here; each sentence ends as one."""
    assert set(KINDS) == set(KINDS_SAID)
    assert set(State) == set(STATES)
    assert set(Action) == set(ACTIONS)
    said = {**KINDS_SAID, **STATES, **ACTIONS}
    assert [] == [word for word, each in said.items() if not (each.when.endswith(".") and each.do.endswith("."))]


def test_every_kind_has_a_place_of_its_own_on_the_page_of_messages() -> None:
    """With its word, to be searched for."""
    page = (DOCS / "messages.md").read_text("utf-8")

    assert [] == [kind for kind in KINDS if f"\n`{kind}`: " not in page]
