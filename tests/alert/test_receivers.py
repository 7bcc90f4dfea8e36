"""The receivers that ship besides Slack, and how others are found."""

from __future__ import annotations

import hashlib
import hmac
import importlib
import json
import os
import sys
import time
import tomllib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from scalewatch.alert import (
    DeliveryError,
    Http,
    Notification,
    Receiver,
    Rules,
    Secret,
    make_receivers,
)
from scalewatch.alert.receivers.command import Command
from scalewatch.alert.receivers.email import Email
from scalewatch.alert.receivers.webhook import Webhook
from scalewatch.errors import ConfigError
from tests.alert.fake_server import UNHELD_SECONDS, FakeServer
from tests.alert.fake_smtp import FakeSmtp
from tests.scalewatch_slack.gallery import DIVERGES, SHAPES


def test_a_webhook_is_a_signed_cloud_event(server: FakeServer) -> None:
    """The envelope has what CloudEvents 1.0 requires, the data is the message, the signature that of the body."""
    hook = Webhook(Secret("U", {"U": server.url}), Secret("K", {"K": "key"}), http=Http(loopback=True))
    hook.send(SHAPES["critical"], 60.0)
    (got,) = server.got
    event = got.json
    parts = dict(part.split("=") for part in got.headers["x-scalewatch-signature"].split(","))
    wanted = hmac.new(b"key", parts["t"].encode() + b"." + got.body, hashlib.sha256).hexdigest()

    assert "application/cloudevents+json; charset=utf-8" == got.headers["content-type"]
    assert ("1.0", "1", "/scalewatch/runs/r", "dev.scalewatch.alert.firing") == tuple(
        event[name] for name in ("specversion", "id", "source", "type")
    )
    assert datetime.fromisoformat(event["time"]).timestamp() == SHAPES["critical"].at_unix_s
    assert SHAPES["critical"].to_json() == event["data"] == Notification.from_json(event["data"]).to_json()
    assert wanted == parts["v1"]
    assert abs(time.time() - int(parts["t"])) < 60


def test_a_webhook_without_a_key_signs_nothing(server: FakeServer) -> None:
    """No header rather than one that proves nothing."""
    Webhook(Secret("U", {"U": server.url}), http=Http(loopback=True)).send(SHAPES["warning"], 60.0)

    assert "x-scalewatch-signature" not in server.got[0].headers


def test_a_command_gets_the_message_and_no_shell(tmp_path: Path) -> None:
    """JSON on its input, words in its environment, its arguments as they are."""
    out = tmp_path / "out"
    code = (
        "import os, sys; open(sys.argv[1], 'w').write(sys.argv[2] + os.environ['SCALEWATCH_TITLE'] + sys.stdin.read())"
    )
    Command([sys.executable, "-c", code, str(out), "$(id); `id`\n"]).send(SHAPES["critical"], 20.0)
    text = out.read_text()

    assert text.startswith("$(id); `id`\nCRITICAL gpt-760m: loss diverges since step 2,009")
    assert SHAPES["critical"].to_json() == json.loads(text[text.index("{") :])


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    """In time, and nothing of it is left running."""
    pid_file = tmp_path / "pid"
    command = Command(["sh", "-c", f"sleep 60 & echo $! > {pid_file}; wait"])
    began = time.monotonic()
    with pytest.raises(DeliveryError, match="did not end in time"):
        command.send(SHAPES["warning"], 0.5)
    took = time.monotonic() - began
    deadline = time.monotonic() + UNHELD_SECONDS
    while time.monotonic() < deadline and _runs(int(pid_file.read_text())):
        time.sleep(0.02)

    assert took < UNHELD_SECONDS
    assert not _runs(int(pid_file.read_text()))


def test_a_command_that_hangs_is_killed_where_processes_have_no_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: it, and in time."""
    monkeypatch.delattr(os, "killpg")
    began = time.monotonic()
    with pytest.raises(DeliveryError, match="did not end in time"):
        Command(["sleep", "60"]).send(SHAPES["warning"], 0.5)

    assert time.monotonic() - began < UNHELD_SECONDS


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_a_command_that_fails_says_how() -> None:
    """Its exit code; and a program that is not there is told when it is made."""
    with pytest.raises(DeliveryError, match="exited with 3"):
        Command(["sh", "-c", "exit 3"]).send(SHAPES["warning"], 5.0)
    with pytest.raises(ConfigError, match="a program that is there"):
        Command(["no-such-program-of-ours"])
    with pytest.raises(ConfigError, match="must be a list of words"):
        Command("echo hello")


@pytest.fixture
def smtp(request: pytest.FixtureRequest) -> Iterator[FakeSmtp]:
    """A server that says what the test's parameters say."""
    fake = FakeSmtp(**getattr(request, "param", {}))
    yield fake
    fake.join(2.0)


def mail(port: int) -> Email:
    return Email("127.0.0.1", port, "watch@example.org", ["me@example.org"], security="none")


def test_an_email_says_all_of_it_in_plain_text(smtp: FakeSmtp) -> None:
    """Subject, text, and what keeps the mails of a run together."""
    mail(smtp.port).send(SHAPES["critical"], 5.0)
    smtp.join(2.0)

    assert "Subject: CRITICAL gpt-760m: loss diverges since step 2,009" in smtp.mail
    assert DIVERGES.message in smtp.mail
    assert "What to do: Stop: Nothing since step 2,009 helped" in smtp.mail
    assert "References: <run-r@scalewatch.invalid>" in smtp.mail


@pytest.mark.parametrize(
    ("smtp", "useless"),
    [
        ({"hello": "421 busy"}, False),
        ({"RCPT": "550 nobody"}, True),
        ({"end": "451 later"}, False),
        ({"end": "554 no"}, True),
    ],
    indirect=["smtp"],
)
def test_what_a_mail_server_refuses_is_tried_again_if_that_helps(smtp: FakeSmtp, useless: bool) -> None:
    """4xx is for now, 5xx for good."""
    with pytest.raises(DeliveryError) as caught:
        mail(smtp.port).send(SHAPES["warning"], 5.0)

    assert useless == caught.value.useless


@pytest.mark.parametrize("how", ["hold", "trickle"])
def test_a_mail_server_that_hangs_is_left_in_time(server: FakeServer, how: str) -> None:
    """The time is that of the whole attempt here too."""
    began = time.monotonic()
    with pytest.raises(DeliveryError, match="no answer in time"):
        mail(server.port).send(SHAPES["warning"], 0.5)

    assert time.monotonic() - began < UNHELD_SECONDS


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "mail.example.org", "sender": "a@b.org", "to": ["c@d.org"], "security": "none"},
        {"host": "mail.example.org", "sender": "nobody", "to": ["c@d.org"]},
        {"host": "mail.example.org", "sender": "a@b.org", "to": ["c@d.org\r\nBcc: e@f.org"]},
        {"host": "mail.example.org", "sender": "a@b.org", "to": []},
        {"host": "mail.example.org", "sender": "a@b.org", "to": ["c@d.org"], "user": "me"},
        {"sender": "a@b.org", "to": ["c@d.org"]},
        {"host": "mail.example.org", "sender": "a@b.org", "to": ["c@d.org"], "hots": 1},
    ],
)
def test_wrong_settings_of_a_mail_server_are_told_at_once(settings: dict[str, object]) -> None:
    """Not at three in the morning."""
    with pytest.raises(ConfigError, match=r"`[a-zA-Z_]+`"):
        Email.from_settings(settings)


def test_an_unknown_receiver_is_told_with_those_there_are() -> None:
    """A slip of the pen is found when the run is set up."""
    with pytest.raises(ConfigError, match=r"no receiver 'slak': it must be one of apprise, command, email"):
        make_receivers(Rules.to("slak"))


def test_a_webhook_needs_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is a secret too: it is taken from the environment only."""
    monkeypatch.delenv("SCALEWATCH_WEBHOOK_URL", raising=False)
    with pytest.raises(ConfigError, match="SCALEWATCH_WEBHOOK_URL"):
        make_receivers(Rules.to("webhook"))
    monkeypatch.setenv("SCALEWATCH_WEBHOOK_URL", "https://example.org/x")

    assert {"webhook"} == set(make_receivers(Rules.to("webhook")))
    assert os.environ["SCALEWATCH_WEBHOOK_URL"]


def test_the_entry_points_of_this_package_lead_to_receivers() -> None:
    """Each is a receiver that goes by the name it is found under."""
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text("utf-8"))
    points = project["project"]["entry-points"]["scalewatch.receivers"]
    found = {}
    for name, place in points.items():
        module, _, kind = place.partition(":")
        found[name] = getattr(importlib.import_module(module), kind)

    assert {"slack"} == set(found)
    assert all(issubclass(kind, Receiver) and kind.name == name for name, kind in found.items())
