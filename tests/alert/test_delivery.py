"""Delivery over real sockets: whatever the other side does, in time, counted, and never on the training thread."""

from __future__ import annotations

import email.utils
import os
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scalewatch import Run
from scalewatch.alert import DeliveryError, Dispatcher, Http, Receiver, Rules, Secret, Status
from scalewatch.alert.notification import Notification
from scalewatch.alert.receivers.webhook import Webhook
from scalewatch.alert.transport.http import retry_after_seconds
from scalewatch.finding import Finding, Kind, Severity
from tests.alert.fake_server import UNHELD_SECONDS, FakeServer, answers, babbles, in_turn, resets
from tests.alert.timetable import Collecting

NAN = Finding(Kind.NONFINITE, Severity.CRITICAL, 7, 7, "loss is nan at step 7")
NOTICE = Notification("id-1", Status.TEST, Severity.INFO, "gpt", "run-1", 7, 0.0)


def webhook(server: FakeServer) -> Webhook:
    return Webhook(Secret("URL", {"URL": server.url}), http=Http(loopback=True))


def dispatcher(*receivers: Receiver, folder: Path | None = None) -> Dispatcher:
    named = {f"{receiver.name}-{n}": receiver for n, receiver in enumerate(receivers)}
    return Dispatcher(Run("gpt"), "run-1", named, Rules.to(*named), folder=folder)


@pytest.fixture
def running(server: FakeServer) -> Iterator[Callable[..., Dispatcher]]:
    """Starts alerters that send to the server, and closes them."""
    started: list[Dispatcher] = []

    def start(*more: Receiver, folder: Path | None = None) -> Dispatcher:
        made = dispatcher(webhook(server), *more, folder=folder)
        made.begin()
        started.append(made)
        return made

    yield start
    server.close()
    for made in started:
        made.close(0.2)


def fault_of(receiver: Receiver, timeout: float = 0.5) -> tuple[DeliveryError, float]:
    began = time.monotonic()
    with pytest.raises(DeliveryError) as caught:
        receiver.send(NOTICE, timeout)
    return caught.value, time.monotonic() - began


@pytest.mark.parametrize("how", ["hold", "trickle", "trickle_headers"])
def test_an_attempt_ends_in_time_whatever_the_server_does(server: FakeServer, how: str) -> None:
    """Silence and single bytes alike: the time is that of the whole attempt, not of each read."""
    server.behave = getattr(server, how)
    fault, took = fault_of(webhook(server))

    assert "no answer in time" == str(fault)
    assert 0.4 < took < UNHELD_SECONDS


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        (resets, "the connection broke"),
        (babbles, "the connection broke"),
        (answers(500), "HTTP 500"),
        (answers(503), "HTTP 503"),
    ],
)
def test_what_may_pass_is_tried_again(server: FakeServer, behaviour: object, says: str) -> None:
    """Broken connections and 5xx are nobody's decision."""
    server.behave = behaviour  # type: ignore[assignment]
    fault, _ = fault_of(webhook(server), 5.0)

    assert says in str(fault)
    assert (False, False) == (fault.useless, fault.fatal)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_what_was_refused_for_good_is_not_tried_again(server: FakeServer, status: int) -> None:
    """The address is wrong or gone."""
    server.behave = answers(status)

    assert fault_of(webhook(server), 5.0)[0].fatal


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: FakeServer, status: int) -> None:
    """The address is a secret, and so is what is sent: nobody may lead it elsewhere."""
    other = FakeServer()
    server.behave = answers(status, Location=other.url)
    fault, _ = fault_of(webhook(server), 5.0)
    other.close()

    assert f"HTTP {status}: it leads elsewhere, which is not followed" == str(fault)
    assert 0 == other.connections


def test_nobody_there_is_told_at_once(server: FakeServer) -> None:
    """A refused connection needs no time-out."""
    server.close()
    fault, took = fault_of(webhook(server), 2 * UNHELD_SECONDS)

    assert "the connection was refused" == str(fault)
    assert took < UNHELD_SECONDS


def test_an_address_that_swallows_everything_leaves_time_for_the_next(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken IPv6 route before an IPv4 address that works."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    waiting = [socket.socket() for _ in range(4)]
    for one in waiting:  # the system takes no more of them, and says nothing
        one.setblocking(False)
        one.connect_ex(full.getsockname())
    (good,) = socket.getaddrinfo("127.0.0.1", server.port, type=socket.SOCK_STREAM)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(*good[:4], full.getsockname()), good])
    webhook(server).send(NOTICE, 1.0)
    for one in (*waiting, full):
        one.close()

    assert 1 == len(server.got)


def test_an_answer_of_ten_megabytes_is_not_read(server: FakeServer) -> None:
    """64 KiB of an answer are enough of it."""
    server.behave = answers(200, b"x" * 10_000_000)
    webhook(server).send(NOTICE, 5.0)

    assert 1 == len(server.got)


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        (None, None),
        ("", None),
        ("3", 3.0),
        (" 0 ", 0.0),
        ("2.5", 2.5),
        ("1000000000", 300.0),
        ("-5", None),
        ("nan", None),
        ("inf", 300.0),
        ("soon", None),
        (email.utils.formatdate(1_000_010, usegmt=True), 10.0),
        (email.utils.formatdate(999_000, usegmt=True), None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 300.0),
        ("Wed, 99 Foo 2026 99:99:99 GMT", None),
        ("1" * 5000, 300.0),
    ],
)
def test_retry_after_is_understood_in_all_its_forms(header: str | None, pause: float | None) -> None:
    """Seconds, a date, nothing, garbage: a pause of at most 300 s, or none that is asked for."""
    assert pause == retry_after_seconds(header, 1_000_000.0)


def test_a_server_that_asks_for_a_pause_gets_it(server: FakeServer, running: Callable[..., Dispatcher]) -> None:
    """429 with Retry-After: 1 is tried again after a second, and arrives once."""
    server.behave = in_turn(answers(429, Retry_After="1"), answers(200, b"ok"))
    made = running()
    made.submit([NAN], [])
    first, second = server.wait_for(2)

    assert 0.9 <= second.at - first.at <= UNHELD_SECONDS
    assert first.json["id"] == second.json["id"]


def test_an_alert_that_waits_for_no_other_arrives_soon(server: FakeServer, running: Callable[..., Dispatcher]) -> None:
    """From the finding to the message at the other side: a second or so, and on a busy machine some more."""
    made = running()
    began = time.monotonic()
    made.submit([NAN], [])
    (got,) = server.wait_for(1)

    assert got.at - began < 20.0
    assert "loss is nan at step 7" == got.json["data"]["items"][0]["message"]


def test_a_receiver_that_hangs_does_not_keep_another_waiting(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs the others the time of one attempt, here half a second, and no more than that."""
    monkeypatch.setattr("scalewatch.alert.dispatcher.ATTEMPT_SECONDS", 0.5)
    server.behave = server.hold
    other = Collecting()
    made = dispatcher(webhook(server), other)
    made.begin()
    made.submit([NAN], [])
    deadline = time.monotonic() + UNHELD_SECONDS
    while not other.got and time.monotonic() < deadline:
        time.sleep(0.02)
    server.close()
    made.close(0.2)

    assert ["CRITICAL gpt: loss is NaN or infinite since step 7"] == [notification.title for notification in other.got]


def test_a_dead_endpoint_costs_the_training_thread_nothing(
    server: FakeServer, running: Callable[..., Dispatcher]
) -> None:
    """A step and a finding are appends: CPU time of the thread, the median of a thousand, is a few microseconds."""
    server.behave = server.hold
    made = running()
    made.submit([NAN], [])
    server.wait_for(1)
    costs = []
    for step in range(2_000):
        began = time.thread_time_ns()
        made.observe(step, 3.0)
        costs.append(time.thread_time_ns() - began)

    assert statistics.median(costs) < 5_000


@pytest.mark.parametrize("how", ["hold", "trickle"])
def test_close_returns_in_time(server: FakeServer, running: Callable[..., Dispatcher], how: str) -> None:
    """Within the second that it is given; what was not sent is said, and closing again does no harm."""
    server.behave = getattr(server, how)
    made = running()
    made.submit([NAN], [])
    server.wait_for(1)
    made.end("as planned", Severity.INFO, [])
    began = time.monotonic()
    done = made.close(1.0)
    took = time.monotonic() - began
    again = made.close(0.1)

    assert (False, False) == (done, again)
    assert took < UNHELD_SECONDS
    assert "not sent yet" in made.rows()[0][1]


def test_what_is_held_back_is_sent_at_the_end(server: FakeServer) -> None:
    """A spike whose group still waits and the end itself are two messages, in that order, and then it is quiet."""
    made = dispatcher(webhook(server))
    made.begin()
    made.submit([Finding(Kind.SPIKE, Severity.WARNING, 9, 9, "up")], [])
    made.end("as planned", Severity.INFO, [("final loss", "2.9")])

    assert made.close(2.0)
    assert ["dev.scalewatch.alert.firing", "dev.scalewatch.alert.ended"] == [got.json["type"] for got in server.got]


def test_close_before_begin_and_twice_is_harmless(server: FakeServer) -> None:
    """Also where the run ended before its first step."""
    made = dispatcher(webhook(server))

    assert (True, True) == (made.close(), made.close())


def test_where_no_thread_can_be_had_close_sends(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter on its way out refuses threads: nothing is raised, and the message is sent all the same."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    made = dispatcher(webhook(server))
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        made.begin()
        made.submit([NAN], [])
    made.close()

    assert 1 == len(server.wait_for(1))


CHILD = """
import os, sys, time
from scalewatch import Run
from scalewatch.alert import Dispatcher, Http, Rules, Secret
from scalewatch.alert.receivers.webhook import Webhook
from scalewatch.finding import Finding, Kind, Severity
hook = Webhook(Secret("URL"), http=Http(loopback=True))
made = Dispatcher(Run("gpt"), "run-1", {"w": hook}, Rules.to("w"))
made.begin()
nan = Finding(Kind.NONFINITE, Severity.CRITICAL, 7, 7, "loss is nan")
"""


def run_child(server: FakeServer, code: str, *, stop: int | None = None) -> tuple[int, str, float]:
    began = time.monotonic()
    env = {**os.environ, "URL": server.url}
    child = subprocess.Popen([sys.executable, "-c", CHILD + code], env=env, stderr=subprocess.PIPE, text=True)
    if stop is not None:
        server.wait_for(1, 240.0)
        began = time.monotonic()
        child.send_signal(stop)
    _, err = child.communicate(timeout=240)
    return child.returncode, err, time.monotonic() - began


def test_a_process_that_just_ends_sends_what_it_has(server: FakeServer) -> None:
    """No close, no atexit of the user's: the message arrives, and nothing is printed."""
    code, err, _ = run_child(server, "made.submit([nan], [])")

    assert (0, "") == (code, err)
    assert 1 == len(server.wait_for(1))


def test_a_process_ends_in_time_while_the_endpoint_hangs(server: FakeServer) -> None:
    """Interrupted while the endpoint hangs: it is over long before that lets go, with no traceback of a thread.

    Whether the attempt is given up, and that said, before the process ends is a matter of milliseconds.
    """
    server.behave = server.hold
    code, err, took = run_child(
        server,
        "made.submit([nan], [])\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    pass",
        stop=signal.SIGINT,
    )

    assert (0, "") == (code, err.removeprefix("scalewatch: alerts to w are delayed: no answer in time.\n"))
    assert took < UNHELD_SECONDS


def test_a_forked_child_sends_nothing(server: FakeServer) -> None:
    """Workers of a data loader inherit the alerts; only the parent sends, and the child does not hang."""
    code, err, _ = run_child(
        server,
        """
made.inbox._folding.acquire()
pid = os.fork()
if pid == 0:
    for _ in range(1000):
        made.submit([nan], [])
    made.end("as planned", Severity.INFO, [])
    os._exit(0 if made.close() and len(made.inbox) == 0 else 1)
made.inbox._folding.release()
assert os.waitpid(pid, 0)[1] == 0
made.submit([nan], [])
made.close()
""",
    )

    assert (0, "") == (code, err)
    assert 1 == len(server.wait_for(2, 0.3))


@pytest.mark.parametrize(("host", "trusted"), [("localhost", True), ("localhost", False), ("localtest", True)])
def test_over_tls_only_whom_the_certificate_names_is_talked_to(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, host: str, trusted: bool
) -> None:
    """A trusted certificate of another name, or one that nobody vouches for: the address is not even sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = FakeServer(context)
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *rest, **more: resolve("127.0.0.1", *rest, **more))
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    hook = Webhook(Secret("URL", {"URL": f"https://{host}:{server.port}/CANARY"}))
    if trusted and host == "localhost":
        hook.send(NOTICE, 5.0)
    else:
        fault, _ = fault_of(hook, 5.0)
        assert "no safe connection (TLS)" == str(fault)
    server.close()

    assert int(trusted and host == "localhost") == len(server.got)


def test_a_server_that_speaks_no_tls_is_not_talked_to(server: FakeServer) -> None:
    """An https address that answers in plain text."""
    server.behave = babbles
    fault, _ = fault_of(Webhook(Secret("URL", {"URL": f"https://localhost:{server.port}/CANARY"})), 0.5)

    assert any(why in str(fault) for why in ("no safe connection (TLS)", "no answer in time", "the connection broke"))
    assert [] == [got for got in server.got if "CANARY" in str(got)]
