"""Out through a proxy that is really there: a tunnel to a server that speaks TLS, and what a proxy may do wrong."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from scalewatch.alert import DeliveryError, Secret
from scalewatch.alert.notification import Notification, Status
from scalewatch.alert.receivers.webhook import Webhook
from scalewatch.alert.transport.http import Http
from scalewatch.finding import Severity
from tests.alert.fake_server import FakeServer

NOTICE = Notification("id-1", Status.TEST, Severity.INFO, "gpt", "run-1", 7, 0.0)


class FakeProxy:
    """Takes CONNECT and carries bytes to the one server that there is, whatever name it is asked for."""

    def __init__(self, to: int, says: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> None:
        self.heads: list[str] = []
        self.carried = b""
        self._to, self._says = to, says
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(1)
            self.heads.append(head.decode())
            if self._says == b"":
                time.sleep(5.0)
            client.sendall(self._says)
            if b" 200 " in self._says:
                with socket.create_connection(("127.0.0.1", self._to)) as server:
                    self._carry(client, server)

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        while True:
            for one in select.select([client, server], [], [], 5.0)[0]:
                data = one.recv(65536)
                if not data:
                    return
                self.carried += data
                (server if one is client else client).sendall(data)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def tls_server(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """A server for the name `localhost` that is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return FakeServer(context)


def hook(server: FakeServer, host: str = "localhost") -> Webhook:
    return Webhook(Secret("URL", {"URL": f"https://{host}:{server.port}/CANARY"}))


def fault_of(receiver: Webhook, timeout: float = 60.0) -> str:
    with pytest.raises(DeliveryError) as caught:
        receiver.send(NOTICE, timeout)
    return str(caught.value)


def test_a_message_goes_through_the_proxy_of_the_environment(
    tls_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tunnel to the host, TLS inside it: the proxy learns the name of the host, and sees neither path nor words."""
    proxy = FakeProxy(tls_server.port)
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:pa%20ss@127.0.0.1:{proxy.port}")
    hook(tls_server).send(NOTICE, 5.0)
    proxy.close()
    tls_server.close()

    assert ["/CANARY"] == [got.path for got in tls_server.got]
    assert proxy.heads[0].startswith(f"CONNECT localhost:{tls_server.port} HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic bWU6cGEgc3M=\r\n" in proxy.heads[0]
    assert len(proxy.carried) > 500
    assert b"CANARY" not in proxy.carried


@pytest.mark.parametrize("exempt", ["localhost", "*", "example.org, .localhost"])
def test_hosts_that_are_exempt_are_asked_directly(
    tls_server: FakeServer, monkeypatch: pytest.MonkeyPatch, exempt: str
) -> None:
    """NO_PROXY holds names, domains and the star."""
    proxy = FakeProxy(tls_server.port)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", exempt)
    hook(tls_server).send(NOTICE, 5.0)
    proxy.close()
    tls_server.close()

    assert (1, []) == (len(tls_server.got), proxy.heads)


def test_a_relay_on_this_machine_is_never_behind_the_proxy(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain HTTP would tell the proxy everything."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    Webhook(Secret("URL", {"URL": server.url}), http=Http(loopback=True)).send(NOTICE, 5.0)

    assert 1 == len(server.got)


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "the proxy opens no tunnel (HTTP 407)"),
        (b"HTTP/1.1 403 CANARY\r\n\r\n", "the proxy opens no tunnel (HTTP 403)"),
        (b"220 smtp.example.org\r\n\r\n", "the proxy gives no answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, "the proxy gives no answer in HTTP"),
        (b"", "no answer in time"),
    ],
)
def test_a_proxy_that_opens_no_tunnel_is_told(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, says: bytes, why: str
) -> None:
    """In words of ours, within the time of the attempt, to be tried again."""
    proxy = FakeProxy(server.port, says)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
    fault = fault_of(hook(server), 60.0 if says else 1.0)
    proxy.close()

    assert why == fault


def test_a_proxy_that_opens_up_tls_is_found_out(
    certificate: tuple[Path, Path], server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its certificate is not the host's: the address is not even sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    middle = FakeServer(context)
    proxy = FakeProxy(middle.port)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    fault = fault_of(hook(server, "hooks.slack.com"))
    proxy.close()
    middle.close()

    assert ("no safe connection (TLS)", []) == (fault, middle.got)


@pytest.mark.parametrize("address", ["socks5://127.0.0.1:1080", "https://proxy.example.org", "http://:80", "http://["])
def test_a_proxy_of_another_kind_is_told(server: FakeServer, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Rather than to go out without it."""
    monkeypatch.setenv("HTTPS_PROXY", address)

    assert "the proxy in HTTPS_PROXY is no http:// address" == fault_of(hook(server))
