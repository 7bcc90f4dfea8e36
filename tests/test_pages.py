"""Pages that are made from code say what the code says."""

from __future__ import annotations

import pytest

from scalewatch.cli.answers import ANSWERS
from scalewatch.json_schema import schemas_of
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
