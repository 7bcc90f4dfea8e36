"""The Slack receiver against a fake Slack on loopback: webhook, threads, pictures, refusals."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from scalewatch.alert import DeliveryError, Http, Secret
from scalewatch.errors import ConfigError
from scalewatch_slack import Slack
from scalewatch_slack.message import message
from tests.alert.fake_server import FakeServer, Got, answers, in_turn
from tests.scalewatch_slack.gallery import SHAPES

CURVE = tuple((step, 2.5 + 6 * step**-0.4) for step in range(10, 500, 10))
Calls = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A fake Slack."""
    fake = FakeServer()
    yield fake
    fake.close()


def hook(server: FakeServer) -> Slack:
    return Slack(webhook=Secret("URL", {"URL": server.url}), http=Http(loopback=True))


def bot(server: FakeServer, **settings: Any) -> Slack:
    token = Secret("TOKEN", {"TOKEN": "xoxb-CANARY"})
    api = f"http://127.0.0.1:{server.port}/api/"
    return Slack(token=token, channel="#runs", http=Http(loopback=True), api=api, **settings)


def workspace(server: FakeServer, **refused: str) -> Callable[[socket.socket, Got], None]:
    """What the methods of Slack answer; those in `refused` say no, with that word."""

    def behave(connection: socket.socket, got: Got) -> None:
        method = got.path.removeprefix("/api/")
        answer: dict[str, Any] = {"ok": True, "ts": f"17.{len(server.got)}", "channel": "C9"}
        if method == "files.getUploadURLExternal":
            answer |= {"upload_url": f"http://127.0.0.1:{server.port}/upload", "file_id": "F1"}
        if (word := refused.get(method.replace(".", "_"))) is not None:
            answer = {"ok": False, "error": word}
        answers(200, json.dumps(answer).encode())(connection, got)

    return behave


def calls(server: FakeServer) -> Calls:
    return [
        (got.path.removeprefix("/api/"), got.json if "json" in got.headers["content-type"] else {})
        for got in server.got
    ]


def fault_of(receiver: Slack, name: str = "critical") -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        receiver.send(SHAPES[name], 2.0)
    return caught.value


@pytest.mark.parametrize("name", SHAPES)
def test_a_webhook_gets_blocks_and_text(server: FakeServer, name: str) -> None:
    """One POST, links not unfolded."""
    hook(server).send(SHAPES[name], 2.0)
    (got,) = server.got

    assert {"text", "blocks", "unfurl_links", "unfurl_media"} == set(got.json)
    assert "/services/T0/B0/CANARY" == got.path


def test_a_webhook_that_refuses_the_blocks_gets_the_words(server: FakeServer) -> None:
    """Better a plain message than none."""
    server.behave = in_turn(answers(400, b"invalid_blocks"), answers(200, b"ok"))
    hook(server).send(SHAPES["critical"], 2.0)

    assert [True, False] == ["blocks" in got.json for got in server.got]


def test_an_answer_that_is_not_slacks_is_no_delivery(server: FakeServer) -> None:
    """A captive portal says 200 too."""
    server.behave = answers(200, b"<html>Please log in</html>")
    fault = fault_of(hook(server))

    assert "not Slack's" in str(fault)
    assert not fault.useless


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_webhook_that_is_gone_is_told_as_such(server: FakeServer, status: int) -> None:
    """Nothing more is tried."""
    server.behave = answers(status, b"no_service")

    assert fault_of(hook(server)).fatal


def test_a_bot_keeps_one_thread_a_run(server: FakeServer) -> None:
    """The run opens it, alerts are replies, loud ones are shown in the channel too, the first message stays new."""
    server.behave = workspace(server)
    slack = bot(server)
    for name in ("started", "warning", "critical"):
        slack.send(replace(SHAPES[name], id=name), 2.0)
    called = calls(server)

    assert ["chat.postMessage", "chat.postMessage", "chat.update", "chat.postMessage", "chat.update"] == [
        method for method, _ in called
    ]
    assert [None, "17.1", None, "17.1", None] == [body.get("thread_ts") for _, body in called]
    assert ["17.1", "17.1"] == [body["ts"] for method, body in called if method == "chat.update"]
    assert [False, False, True] == ["reply_broadcast" in b for m, b in called if m == "chat.postMessage"]
    assert {"Bearer xoxb-CANARY"} == {got.headers["authorization"] for got in server.got}


def test_a_resumed_run_goes_on_in_its_thread(server: FakeServer) -> None:
    """What the receiver remembers is all that it needs."""
    server.behave = workspace(server)
    before, after = bot(server), bot(server)
    before.send(SHAPES["started"], 2.0)
    after.memory = json.loads(json.dumps(before.memory))
    after.send(SHAPES["warning"], 2.0)

    assert "17.1" == calls(server)[1][1]["thread_ts"]


@pytest.mark.parametrize("name", ["warning", "run digest"])
def test_a_picture_of_the_curve_is_uploaded_to_the_thread(
    server: FakeServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PNG, in the three requests that Slack asks for; the token goes to Slack's methods only."""
    monkeypatch.setattr("scalewatch_slack.receiver.PICTURE_SECONDS", 200.0)  # a busy machine takes its time
    server.behave = workspace(server)
    bot(server).send(replace(SHAPES[name], curve=CURVE), 60.0)
    methods = [method for method, _ in calls(server)]
    upload = server.got[-2]

    assert ["files.getUploadURLExternal", "/upload", "files.completeUploadExternal"] == methods[-3:]
    assert upload.body.startswith(b"\x89PNG")
    assert "authorization" not in upload.headers
    assert ("C9", "17.1") == tuple(calls(server)[-1][1][name] for name in ("channel_id", "thread_ts"))


@pytest.mark.parametrize("method", ["chat_update", "files_getUploadURLExternal"])
def test_what_fails_after_the_message_does_not_send_it_again(server: FakeServer, method: str) -> None:
    """The message has arrived: a summary or a picture that does not is no reason to repeat it."""
    server.behave = workspace(server, **{method: "internal_error"})
    slack = bot(server)
    slack.send(replace(SHAPES["warning"], curve=CURVE), 5.0)

    assert 2 == sum(name == "chat.postMessage" for name, _ in calls(server))


@pytest.mark.parametrize(
    ("word", "fatal", "useless"),
    [
        ("invalid_auth", True, True),
        ("channel_not_found", True, True),
        ("not_in_channel", True, True),
        ("internal_error", False, False),
        ("ratelimited", False, False),
        ("no_text", False, True),
    ],
)
def test_what_slack_refuses_is_told_with_its_word(server: FakeServer, word: str, fatal: bool, useless: bool) -> None:
    """A wrong token switches Slack off; an error of Slack's is tried again; a bad message costs itself."""
    server.behave = workspace(server, chat_postMessage=word)
    fault = fault_of(bot(server))

    assert f"Slack says {word}" == str(fault)
    assert (fatal, useless) == (fault.fatal, fault.useless)


def test_a_token_is_not_taken_to_another_host(server: FakeServer) -> None:
    """slack_sdk follows a redirect with the token in its header; nothing here follows one."""
    other = FakeServer()
    server.behave = answers(302, Location=f"http://localhost:{other.port}/")
    fault_of(bot(server))
    other.close()

    assert 0 == other.connections


@pytest.mark.parametrize(
    "address",
    [
        "http://hooks.slack.com/services/T0/B0/CANARY",
        "https://hooks.slack.com.evil.org/CANARY",
        "https://evil.org/?hooks.slack.com/CANARY",
        "https://hooks.slack.com@evil.org/CANARY",
        "https://hooks.slack.com./CANARY",
        "https://hooks.slack.com:8443/CANARY",
        "https://127.0.0.1/CANARY",
        "https://[::1]/CANARY",
        "https://xn--hoks-7qa.slack.com/CANARY",
        "http://127.0.0.1:80/CANARY",
        "file:///etc/CANARY",
        "https://hooks.slack.com\\@evil.org/CANARY",
        "CANARY",
    ],
)
def test_an_address_that_is_not_slacks_is_refused(address: str) -> None:
    """When it is made, with an error that does not show it."""
    with pytest.raises(ConfigError) as caught:
        Slack(webhook=Secret("SLACK_WEBHOOK_URL", {"SLACK_WEBHOOK_URL": address}))

    assert "SLACK_WEBHOOK_URL" in str(caught.value)
    assert "CANARY" not in str(caught.value)


def test_without_a_secret_it_says_which_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways are named."""
    for name in ("SLACK_WEBHOOK_URL", "SLACK_BOT_TOKEN", "SLACK_CHANNEL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match=r"SLACK_WEBHOOK_URL.*SLACK_BOT_TOKEN.*SLACK_CHANNEL"):
        Slack.from_settings({})
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-1")
    with pytest.raises(ConfigError, match="SLACK_CHANNEL"):
        Slack.from_settings({})
    monkeypatch.setenv("SLACK_CHANNEL", "C1")

    assert Slack.from_settings({}).opens


def test_what_is_plain_is_not_said_twice() -> None:
    """News is not said to be news, and what a message is about has its symbol once, in the title."""
    news, worse = (json.dumps(message(SHAPES[name]), ensure_ascii=False) for name in ("warning", "critical"))

    assert "sent because" not in news
    assert "sent because it got worse." in worse
    assert 1 == json.dumps(message(SHAPES["warning"])["blocks"], ensure_ascii=False).count("🟠")
