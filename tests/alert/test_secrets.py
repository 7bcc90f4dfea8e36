"""A secret is in the one place that it is sent to, and nowhere else."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scalewatch import Run
from scalewatch.alert import Dispatcher, Http, Receiver, Rules, Secret
from scalewatch.alert.notification import Notification, Status
from scalewatch.alert.receivers.email import Email
from scalewatch.alert.receivers.webhook import Webhook
from scalewatch.errors import ConfigError
from scalewatch.finding import Finding, Kind, Severity
from scalewatch_slack import Slack
from tests.alert.fake_server import FakeServer, answers, babbles, resets

CANARY = "CANARY"
NAN = Finding(Kind.NONFINITE, Severity.CRITICAL, 7, 7, "loss is nan")
NOTICE = Notification("1", Status.TEST, Severity.INFO, "gpt", "run-1", 7, 0.0)


class Everything:
    """All that a process says and keeps, as one text."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shown = io.StringIO()

    def text(self) -> str:
        files = [path.read_bytes().decode("utf-8", "replace") for path in self.folder.rglob("*") if path.is_file()]
        return "\n".join([self.shown.getvalue(), *files])


@pytest.fixture
def everything(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Everything]:
    """Logs of every logger at DEBUG, warnings, stdout and stderr, and the files of a run."""
    kept = Everything(tmp_path)
    handler = logging.StreamHandler(kept.shown)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield kept
    root.removeHandler(handler)
    root.setLevel(level)
    kept.shown.write("".join(map(str, caught)) + "".join(capfd.readouterr()))
    assert CANARY not in kept.text()


def with_locals(fault: BaseException) -> str:
    """An exception as the most talkative reporter shows it: all frames, causes and contexts, with their locals."""
    shown = traceback.TracebackException.from_exception(fault, capture_locals=True)
    return repr(fault) + "".join(shown.format(chain=True)) + repr(fault.__context__) + repr(fault.__cause__)


def receivers(server: FakeServer) -> list[Receiver]:
    """Each receiver that has a secret, the secret being the canary."""
    http = Http(loopback=True)
    api = f"http://127.0.0.1:{server.port}/api/"
    password = Secret("PW", {"PW": CANARY})
    return [
        Webhook(Secret("URL", {"URL": server.url}), Secret("KEY", {"KEY": CANARY}), http=http),
        Slack(webhook=Secret("URL", {"URL": server.url}), http=http),
        Slack(token=Secret("TOKEN", {"TOKEN": f"xoxb-{CANARY}"}), channel="C1", http=http, api=api),
        Email("localhost", server.port, "a@b.org", ["c@d.org"], user="u", password=password, security="none"),
    ]


BEHAVIOURS: dict[str, Callable[[FakeServer], object]] = {
    "accepts": lambda server: answers(200, b"ok"),
    "hangs": lambda server: server.hold,
    "trickles": lambda server: server.trickle,
    "resets": lambda server: resets,
    "babbles": lambda server: babbles,
    "redirects": lambda server: answers(302, Location=f"http://127.0.0.1:{server.port}/other"),
    "refuses": lambda server: answers(403, b"no"),
    "is busy": lambda server: answers(429, Retry_After="Fri, 31 Dec 9999 23:59:59 GMT"),
    "fails": lambda server: answers(500),
    "is gone": lambda server: server.close(),
}


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_no_error_tells_a_secret(server: FakeServer, everything: Everything, behaviour: str) -> None:
    """Whatever the other side does: not the message, not a traceback with the locals of its frames, not a repr."""
    made = receivers(server)
    server.behave = BEHAVIOURS[behaviour](server) or server.behave  # type: ignore[assignment]
    for receiver in made:
        try:
            receiver.send(NOTICE, 0.15)
        except Exception as fault:
            everything.shown.write(with_locals(fault))
        everything.shown.write(repr(receiver) + repr(vars(receiver)) + repr(receiver.memory))


def test_a_run_with_alerts_keeps_no_secret(server: FakeServer, everything: Everything) -> None:
    """State file, checkpoint, rows of the end, logs: while it sends, fails and is switched off."""
    named = {f"{receiver.name}{n}": receiver for n, receiver in enumerate(receivers(server)[:3])}
    server.behave = answers(404)
    dispatcher = Dispatcher(Run("gpt"), "run-1", named, Rules.to(*named), folder=everything.folder)
    dispatcher.submit([NAN], [])
    dispatcher.tick()
    dispatcher.end("as planned", Severity.INFO, [])
    dispatcher.close()
    everything.shown.write(
        json.dumps(dispatcher.state()) + repr(dispatcher.rows()) + repr(vars(dispatcher)) + repr(named)
    )

    assert 3 == sum("off: HTTP 404" in text for _, text in dispatcher.rows())
    assert (everything.folder / "alerts.json").is_file()


@pytest.mark.parametrize("store", [pickle.dumps, copy.deepcopy, lambda secret: json.dumps(secret)])
def test_a_secret_cannot_be_stored(store: Callable[[Secret], object]) -> None:
    """Neither in a checkpoint nor in a configuration."""
    secret = Secret("NAME", {"NAME": CANARY})
    with pytest.raises(TypeError) as caught:
        store(secret)

    assert CANARY not in str(caught.value) + str(secret) + repr(secret) + f"{secret}"


def test_a_receiver_of_somebody_elses_may_fail_with_a_secret_in_its_words(everything: Everything) -> None:
    """Of an exception that is not ours, the class is told and the words are not."""

    class Careless(Receiver):
        name = "careless"

        def send(self, notification: Notification, timeout: float) -> None:
            raise ValueError(f"cannot reach https://example.org/{'CAN' + 'ARY'}")

    dispatcher = Dispatcher(Run("gpt"), "run-1", {"x": Careless()}, Rules.to("x"), folder=everything.folder)
    dispatcher.submit([NAN], [])
    dispatcher.tick()
    dispatcher.close()
    everything.shown.write(repr(dispatcher.rows()))

    assert "the receiver failed (ValueError)" in dispatcher.rows()[0][1]


def test_a_secret_that_is_not_set_is_named_by_its_variable() -> None:
    """And one of several lines is none."""
    with pytest.raises(ConfigError, match="`NAME` must hold the secret, and it is not set"):
        Secret("NAME", {})
    with pytest.raises(ConfigError, match="one line") as caught:
        Secret("NAME", {"NAME": f"{CANARY}\n{CANARY}"})

    assert CANARY not in str(caught.value)
