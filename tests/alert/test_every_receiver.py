"""What every receiver does, those in the table and those that other packages bring."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scalewatch import Run
from scalewatch.alert import (
    DeliveryError,
    Dispatcher,
    Notification,
    Receiver,
    Rules,
    Secret,
    make_receivers,
    receiver_classes,
)
from scalewatch.alert.receivers.apprise import Apprise
from scalewatch.alert.receivers.command import Command
from scalewatch.alert.receivers.email import Email
from scalewatch.alert.receivers.webhook import Webhook
from scalewatch.alert.registry import GROUP, RECEIVERS
from scalewatch.alert.transport.http import Http
from scalewatch.errors import ConfigError
from scalewatch.finding import Finding, Kind, Severity
from scalewatch_slack import Slack
from tests.alert.fake_server import FakeServer
from tests.alert.fake_smtp import FakeSmtp
from tests.alert.outside_receiver import Pager
from tests.alert.test_secrets import CANARY, with_locals
from tests.alert.timetable import Collecting
from tests.scalewatch_slack.gallery import SHAPES
from tests.scratch_distribution import install

OUTSIDE = {"pager": "tests.alert.outside_receiver:Pager", "slack": "scalewatch_slack:Slack"}
BROKEN = {"lost": "no.such.module:X", "odd": "tests.alert.fake_server:FakeServer"}
#: Longest time of an attempt here, of one that starts a process first, and what a busy machine may take beyond it [s].
ATTEMPT_SECONDS, STARTING_SECONDS, MORE_SECONDS = 1.0, 3.0, 30.0
STARTS = ("apprise", "command")


def secret(text: str) -> Secret:
    return Secret("SECRET", {"SECRET": text})


def command(port: int, folder: Path) -> Command:
    code = "import sys, urllib.request as u; u.urlopen(sys.argv[1], sys.stdin.buffer.read(), 60)"
    return Command([sys.executable, "-c", code, f"http://127.0.0.1:{port}"])


def email(port: int, folder: Path) -> Email:
    password = secret(CANARY)
    return Email("127.0.0.1", port, "a@example.org", ["b@example.org"], user="", password=password, security="none")


#: Name -> what makes one that sends to a port of this machine, or writes into a folder. Each has its line here.
MAKERS: dict[str, Callable[[int, Path], Receiver]] = {
    "apprise": lambda port, folder: Apprise(secret(f"json://127.0.0.1:{port}/{CANARY}")),
    "command": command,
    "email": email,
    "pager": lambda port, folder: Pager(),
    "slack": lambda port, folder: Slack(webhook=secret(f"http://127.0.0.1:{port}/{CANARY}"), http=Http(loopback=True)),
    "webhook": lambda port, folder: Webhook(
        secret(f"http://127.0.0.1:{port}/{CANARY}"), secret(CANARY), http=Http(loopback=True)
    ),
}

#: Name of a receiver that writes into the folder -> what reads back what arrived there.
READ_BACK: dict[str, Callable[[Path], str]] = {}


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: FakeServer) -> None:
    """A package with two receivers of its own and two that are none; where the pager leads to is in its variable."""
    monkeypatch.setenv("PAGER_URL", f"http://127.0.0.1:{server.port}/{CANARY}")
    install(tmp_path, monkeypatch, GROUP, {**OUTSIDE, **BROKEN})


def test_every_receiver_is_tried_here() -> None:
    """The table, and what is found by an entry point; what cannot be loaded is left out and spoils nothing."""
    assert {*RECEIVERS, *OUTSIDE} <= set(receiver_classes())
    assert set(MAKERS) == set(receiver_classes())


def test_what_cannot_be_loaded_is_said_with_its_reason() -> None:
    """When it is asked for, in one sentence, and not before."""
    with pytest.raises(ConfigError, match=r"no.such.module:X cannot be loaded \(ModuleNotFoundError: No module"):
        make_receivers(Rules.to("lost"))
    with pytest.raises(ConfigError, match=r"`odd` cannot be made: tests.*FakeServer is no Receiver\."):
        make_receivers(Rules.to("odd"))


@pytest.mark.parametrize("name", MAKERS)
def test_a_setting_that_there_is_not_is_refused_in_a_sentence(name: str) -> None:
    """It names the setting and the receiver."""
    rules = Rules(routes=Rules.to("mine").routes, receivers={"mine": {"type": name, "colour": "red"}})
    with pytest.raises(ConfigError, match=r"The receiver `mine` cannot be made: `colour` is nothing that can be set"):
        make_receivers(rules)


@pytest.mark.parametrize("name", MAKERS)
def test_a_message_says_what_how_bad_and_since_when(name: str, server: FakeServer, tmp_path: Path) -> None:
    """Whatever the way: the kind, the severity, the step and the sentence arrive."""
    mails = FakeSmtp() if name == "email" else None
    receiver = MAKERS[name](server.port if mails is None else mails.port, tmp_path)
    receiver.send(SHAPES["critical"], 20.0)
    if mails is not None:
        mails.join(5.0)
    if name in READ_BACK:
        heard = READ_BACK[name](tmp_path)
    else:
        heard = mails.mail if mails is not None else server.got[0].body.decode("utf-8")

    assert "CRITICAL" in heard
    assert "loss diverges since step 2,009" in heard
    assert SHAPES["critical"].items[0].message in heard


class PagerDown(Exception):
    """A fault as somebody else's client has it."""


class Failing(Receiver):
    """Fails in its own words."""

    def send(self, notification: Notification, timeout: float) -> None:
        raise PagerDown(f"https://example.org/{CANARY}")


def test_a_receiver_that_raises_whatever_it_likes_holds_up_no_other() -> None:
    """It is tried again as any other, and its words, which may hold a secret, are not told."""
    other = Collecting()
    rules = Rules.to(Failing(), other)
    dispatcher = Dispatcher(Run("gpt"), "run-1", make_receivers(rules), rules)
    dispatcher.submit([Finding(Kind.NONFINITE, Severity.CRITICAL, 7, 7, "loss is nan")], [])
    dispatcher.tick()
    dispatcher.abandon()

    assert 1 == len(other.got)
    assert ("alerts to failing", "0 sent, 1 failed tries, 1 not sent yet: told when the run resumes") == (
        dispatcher.rows()[0][0],
        dispatcher.rows()[0][1].split(" (")[0],
    )
    assert dispatcher.rows()[0][1].endswith("(the receiver failed (PagerDown))")


@pytest.mark.parametrize("name", [name for name in MAKERS if name not in READ_BACK])
def test_an_end_that_says_nothing_is_left_in_time_and_no_secret_is_shown(
    name: str, server: FakeServer, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """It is a DeliveryError within the time of the attempt; its frames, the receiver and the logs hold no secret."""
    receiver = MAKERS[name](server.port, tmp_path)
    attempt = STARTING_SECONDS if name in STARTS else ATTEMPT_SECONDS
    server.behave = server.hold
    caplog.set_level("DEBUG")
    began = time.monotonic()
    with pytest.raises(DeliveryError) as caught:
        receiver.send(SHAPES["warning"], attempt)
    took = time.monotonic() - began
    shown = repr(receiver) + repr(vars(receiver)) + caplog.text + "".join(capfd.readouterr())

    assert took < attempt + MORE_SECONDS
    assert CANARY not in shown + with_locals(caught.value)
