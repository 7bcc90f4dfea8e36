"""Every shape of message keeps within Slack's limits, says it in plain text too, and calls nobody by accident."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalewatch.alert import Notification
from scalewatch_slack.message import escape, message, summary
from tests.scalewatch_slack.gallery import DIVERGES, EVIL, HOSTILE, SHAPES

EVERY = {**SHAPES, **HOSTILE}
CALLS = re.compile(r"<[@!#]")


def texts(part: Any) -> list[dict[str, str]]:
    """Every text object of a message."""
    if isinstance(part, dict):
        own = [part] if part.get("type") in ("plain_text", "mrkdwn") else []
        return own + [found for value in part.values() for found in texts(value)]
    return [found for value in part for found in texts(value)] if isinstance(part, list) else []


@pytest.mark.parametrize("made", [message, summary])
@pytest.mark.parametrize("name", EVERY)
def test_a_message_keeps_within_the_limits(name: str, made: Any) -> None:
    """Blocks, header, sections and total, whatever it holds; slack_sdk checks each block when it is made."""
    body = made(EVERY[name])
    blocks = body["blocks"]

    assert 1 <= len(blocks) <= 50
    assert all(len(block["text"]["text"]) <= 150 for block in blocks if block["type"] == "header")
    assert all(1 <= len(text["text"]) <= 3000 for text in texts(blocks))
    assert sum(len(text["text"]) for text in texts(blocks)) <= 13_200
    assert 1 <= len(body["text"]) <= 4000
    json.dumps(body).encode("ascii")


@pytest.mark.parametrize("name", HOSTILE)
def test_what_comes_from_outside_stays_text(name: str) -> None:
    """No call, no link, no control or bidirectional character; markup is escaped once."""
    body = message(HOSTILE[name])
    markup = [text["text"] for text in texts(body["blocks"]) if text["type"] == "mrkdwn"] + [body["text"]]
    everything = "".join(text["text"] for text in texts(body["blocks"])) + body["text"]

    assert [] == [text for text in markup if CALLS.search(text) or "|click>" in text]
    assert set() == {c for c in everything if unicodedata.category(c) in {"Cc", "Cf", "Cs"} and c != "\n"}
    assert "&amp;amp;" not in everything


@given(st.text(max_size=200))
@settings(max_examples=200)
def test_escaped_text_calls_nobody_and_cuts_no_entity(text: str) -> None:
    """For any text: no angle bracket is left, and every & begins an entity."""
    escaped = escape(text, 50)

    assert not re.search(r"[<>]", escaped)
    assert len(escaped) <= 50
    assert [] == re.findall(r"&(?!amp;|lt;|gt;)", escaped)


def test_the_lock_screen_says_what_how_bad_and_what_to_do() -> None:
    """The plain text alone is enough to decide whether to get up."""
    text = message(SHAPES["critical"])["text"]

    assert text.startswith("<@U012AB3CD> <!channel> CRITICAL gpt-760m: loss diverges since step 2,009")
    assert DIVERGES.message in text
    assert "What to do: Stop: Nothing since step 2,009 helped" in text


def test_the_link_of_the_rules_leads_to_tensorboard() -> None:
    """As configured, its & escaped; without one there is none."""
    links = [
        text["text"] for text in texts(message(SHAPES["critical"])["blocks"]) if "Open TensorBoard" in text["text"]
    ]

    assert ["<https://tensorboard.example.org/?run=gpt-760m&amp;tab=scalewatch|Open TensorBoard>"] == links
    assert "TensorBoard" not in json.dumps(message(SHAPES["warning"]))


def test_a_message_about_one_thing_says_it_once() -> None:
    """The title says what and how bad; below it stand when, how bad in numbers, and what to do with how sure it is."""
    blocks = [text["text"] for text in texts(message(SHAPES["warning"])["blocks"])]

    assert 1 == sum("loss spike" in text for text in blocks)
    assert "found at 02:03 UTC" in blocks[1]
    assert "46 sigma" in blocks[2]
    assert "reported by large runs" in blocks[4]


def test_only_whom_the_rules_mention_is_called() -> None:
    """Once in the blocks, once in the text."""
    calls = [CALLS.findall(text["text"]) for text in texts(message(SHAPES["critical"])["blocks"])]

    assert ["<@", "<!"] == [call for found in calls for call in found]


@pytest.mark.parametrize("name", EVERY)
def test_a_notice_survives_the_disk(name: str) -> None:
    """What is pending is read back as it was, but for what no file can hold."""
    data = json.loads(json.dumps(EVERY[name].to_json()))

    assert data == Notification.from_json(data).to_json()


def test_evil_has_everything_that_it_should_have() -> None:
    """The hostile text really holds calls, links, bidirectional and control characters."""
    assert CALLS.search(EVIL)
    assert {"Cc", "Cf", "Cs"} <= {unicodedata.category(c) for c in EVIL}
