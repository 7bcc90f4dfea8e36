"""The receiver `apprise`, against a server on loopback through apprise's own `json://`."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

import psutil
import pytest

from scalewatch.alert import DeliveryError, Rules, Secret, make_receivers
from scalewatch.alert.receivers.apprise import Apprise
from scalewatch.errors import ConfigError
from tests.alert.fake_server import UNHELD_SECONDS, FakeServer, Got, answers, resets
from tests.scalewatch_slack.gallery import DIVERGES, HOSTILE, SHAPES

pytest.importorskip("apprise")


def apprise(server: FakeServer, scheme: str = "json") -> Apprise:
    return Apprise(Secret("URL", {"URL": f"{scheme}://127.0.0.1:{server.port}/CANARY"}))


def test_a_message_goes_through_apprise(server: FakeServer) -> None:
    """Title, all the words, and how loud it is."""
    apprise(server).send(SHAPES["critical"], 10.0)
    (got,) = server.got

    assert "CRITICAL gpt-760m: loss diverges since step 2,009" == got.json["title"]
    assert DIVERGES.message in got.json["message"]
    assert ("failure", "/CANARY") == (got.json["type"], got.path)


@pytest.mark.parametrize("how", ["hold", "trickle"])
def test_a_service_that_hangs_is_left_in_time(server: FakeServer, how: str) -> None:
    """Also one that sends a byte now and then, which apprise alone would wait for; and no process is left."""
    receiver = apprise(server)
    before = psutil.Process().children(recursive=True)  # what other tests keep
    server.behave = getattr(server, how)
    began = time.monotonic()
    with pytest.raises(DeliveryError, match="no answer in time"):
        receiver.send(SHAPES["warning"], 4.0)

    assert time.monotonic() - began < UNHELD_SECONDS
    assert 1 == len(server.got), "it was reached"
    assert before == psutil.Process().children(recursive=True)


@pytest.mark.parametrize("behaviour", [answers(500), answers(302, Location="http://127.0.0.1:1/x"), resets])
def test_what_a_service_does_not_take_is_tried_again(
    server: FakeServer, behaviour: Callable[[object, Got], None]
) -> None:
    """Nothing is said but that; a redirect is not followed."""
    receiver = apprise(server)
    server.behave = behaviour
    with pytest.raises(DeliveryError, match=r"^apprise could not deliver it$") as caught:
        receiver.send(SHAPES["warning"], 10.0)

    assert not caught.value.useless


def test_the_address_is_in_no_log_and_in_no_list_of_processes(
    server: FakeServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Apprise logs addresses: whatever it says stays in a process whose arguments and environment are clean."""
    receiver = apprise(server)
    server.behave = server.hold
    caplog.set_level(logging.DEBUG)
    faults: list[str] = []
    before = psutil.Process().children()  # what other tests keep

    def send() -> None:
        try:
            receiver.send(SHAPES["warning"], 4.0)
        except DeliveryError as fault:
            faults.append(repr(fault))

    thread = threading.Thread(target=send)
    thread.start()
    server.wait_for(1)
    seen = [str((child.cmdline(), child.environ())) for child in psutil.Process().children() if child not in before]
    thread.join()
    shown = "".join([*faults, *seen, repr(receiver), repr(vars(receiver)), caplog.text, *capfd.readouterr()])

    assert (1, 1) == (len(seen), len(faults))
    assert "CANARY" not in shown


def test_what_comes_from_outside_calls_nobody(server: FakeServer) -> None:
    """Whatever the service would make of it: no `@everyone`, no `<!channel>`, no link in angle brackets."""
    apprise(server).send(HOSTILE["names"], 10.0)
    text = server.got[0].json["message"] + server.got[0].json["title"]

    assert not any(call in text for call in ("<!", "<@", "<#", "<http", "@U1"))


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("nosuchservice://CANARY", "must be one that apprise understands"),
        ("CANARY", "must be one that apprise understands"),
        ("json://a/CANARY json://b/CANARY", "must be one that apprise understands"),
        ("", "must hold the secret, and it is not set"),
    ],
)
def test_an_address_that_is_none_is_told_when_the_run_is_set_up(
    monkeypatch: pytest.MonkeyPatch, address: str, says: str
) -> None:
    """By the name of its variable."""
    monkeypatch.setenv("SCALEWATCH_APPRISE_URL", address)
    with pytest.raises(ConfigError, match=says) as caught:
        make_receivers(Rules.to("apprise"))

    assert "SCALEWATCH_APPRISE_URL" in str(caught.value)
    assert "CANARY" not in str(caught.value)


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that can be pasted."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'scalewatch\[apprise\]'"):
        Apprise(Secret("URL", {"URL": "json://x"}))


def test_several_services_are_several_receivers(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with a variable of its own, so that one that fails does not make the other repeat itself."""
    for name in ("PHONE", "DESK"):
        monkeypatch.setenv(name, f"json://127.0.0.1:{server.port}/{name}")
    settings = {name: {"type": "apprise", "url_env": name.upper()} for name in ("phone", "desk")}
    made = make_receivers(Rules(routes=Rules.to("phone", "desk").routes, receivers=settings))
    for receiver in made.values():
        receiver.send(SHAPES["warning"], 10.0)

    assert ["/PHONE", "/DESK"] == [got.path for got in server.got]
    assert os.environ["PHONE"]
