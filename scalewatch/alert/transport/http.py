"""One HTTP exchange that ends in time, whatever the other side does, and never tells where it went.

Why not `urllib` or a vendor's client: their timeout is one of each read, so a server that sends a byte a second
holds them for hours (measured: 19.5 s with a timeout of 5 s); they follow a redirect to any host, and take the
bearer token along (measured); and their exceptions and debug logs hold the address, which for a webhook is the
secret.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, NoReturn, final
from urllib.parse import urlsplit

from scalewatch.alert.secret import DeliveryError, Secret
from scalewatch.alert.transport.proxy import ProxyError, proxy_for, tunnel
from scalewatch.errors import ConfigError

__all__ = ["DeadlineSocket", "Http", "Response", "connect", "refuse", "retry_after_seconds"]

#: More of an answer is not read [bytes].
MAX_BODY_BYTES = 64 * 1024
#: Addresses of a host that are tried.
MAX_ADDRESSES = 4
#: A server that asks for a longer pause is not believed [s].
MAX_RETRY_AFTER_SECONDS = 300.0
#: Refusals that trying again does not cure: the address is wrong, gone, or not for us.
FATAL = frozenset({401, 403, 404, 410})
_HOST = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_LOOPBACK = ("127.0.0.1", "localhost")


@final
class Response(NamedTuple):
    """What a server answered: the body cut at 64 KiB, the headers' names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@final
class DeadlineSocket:
    """A socket on which everything together has to be done by a deadline [monotonic s]."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def _arm(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)

    def secured(self, host: str) -> DeadlineSocket:
        """Return the line over TLS, the name of the other side checked."""
        self._arm()
        return DeadlineSocket(
            ssl.create_default_context().wrap_socket(self._sock, server_hostname=host), self._deadline
        )

    def sendall(self, data: Any) -> None:
        """Send all of it by the deadline."""
        self._arm()
        self._sock.sendall(data)

    def makefile(self, *_: object, **__: object) -> io.BufferedReader:
        """Return what reads from it by the deadline."""
        return io.BufferedReader(self.unbuffered())

    def unbuffered(self) -> io.RawIOBase:
        """Return what reads from it by the deadline, and takes no byte more than it is asked for."""
        return _Reader(self._sock, self._arm)

    def close(self) -> None:
        """For `http.client`, which closes its socket while the answer is still to be read: not yet."""

    def shut(self) -> None:
        """Close it now."""
        self._sock.close()


@final
class _Reader(io.RawIOBase):
    def __init__(self, sock: socket.socket, arm: Any) -> None:
        self._sock, self._arm = sock, arm

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._arm()
        return self._sock.recv_into(buffer)


def connect(host: str, port: int, deadline: float, *, tls: bool) -> DeadlineSocket:
    """Return a connection that everything has to be done with by `deadline` [monotonic s].

    Resolving a name is the one thing that the system lets nobody limit.

    Raises:
        OSError: if there is none.
    """
    fault: OSError = OSError("no address")
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[:MAX_ADDRESSES]
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock = socket.socket(family, kind, protocol)
        try:
            # one that swallows everything, as a broken IPv6 route does, must leave time for the others
            sock.settimeout(left / (len(addresses) - tried))
            sock.connect(address)
            line = DeadlineSocket(sock, deadline)
            return line.secured(host) if tls else line
        except OSError as why:
            sock.close()
            fault = why
    raise fault


@final
class Http:
    """POSTs to addresses that are secrets.

    Args:
        hosts: hosts that may be talked to; empty for any name of a host (never a number).
        loopback: also plain HTTP to this machine, for a relay that runs on it and for tests.
    """

    def __init__(self, hosts: frozenset[str] = frozenset(), *, loopback: bool = False) -> None:
        self._hosts, self._loopback = hosts, loopback

    def check(self, address: Secret) -> None:
        """Say what is wrong with an address without saying the address.

        Raises:
            ConfigError: if it is no https address of a host that may be talked to.
        """
        why = self._wrong(address.reveal())
        if why:
            raise ConfigError(f"The address in `{address.source}` must be an https address{why}.")

    def _wrong(self, text: str) -> str:
        if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
            return " without spaces or special characters"
        try:
            url = urlsplit(text)
            host, port = url.hostname or "", url.port
        except ValueError:
            return ""
        if self._loopback and url.scheme == "http" and host in _LOOPBACK and "@" not in url.netloc:
            return ""
        if url.scheme != "https":
            return " (it begins with something else)"
        if "@" in url.netloc:
            return " without a user name in it"
        if not _HOST.fullmatch(host) or host.endswith(".") or host.startswith("xn--") or ".xn--" in host:
            return " with a plain host name"
        if _is_number(host):
            return " with a host name, not a number"
        if self._hosts and (host not in self._hosts or port not in (None, 443)):
            return f" of {' or '.join(sorted(self._hosts))}"
        return ""

    def post(
        self,
        address: Secret,
        body: bytes,
        headers: Mapping[str, str],
        timeout: float,
        *,
        bearer: Secret | None = None,
    ) -> Response:
        """Send `body` and return the answer, within `timeout` [s] all in all; redirects are not followed.

        Args:
            address, body, headers: what goes where. timeout: [s]. bearer: token that says who we are.

        Raises:
            DeliveryError: if there was no answer.
        """
        # no secret is in a frame that the exception will hold on to: `_exchange` has returned by then
        answer = self._exchange(address, body, headers, time.monotonic() + timeout, bearer)
        if isinstance(answer, str):
            raise DeliveryError(answer)
        return answer

    def _exchange(
        self, address: Secret, body: bytes, headers: Mapping[str, str], deadline: float, bearer: Secret | None
    ) -> Response | str:
        text = address.reveal()
        if self._wrong(text):
            return "the address may not be talked to"
        url = urlsplit(text)
        tls = url.scheme == "https"
        host, port = url.hostname or "", url.port or (443 if tls else 80)
        link = http.client.HTTPConnection(host, port)
        line: DeadlineSocket | None = None
        try:
            link.sock = line = _line_to(host, port, deadline, tls=tls)
            path = (url.path or "/") + (f"?{url.query}" if url.query else "")
            who = {} if bearer is None else {"Authorization": f"Bearer {bearer.reveal()}"}
            link.request("POST", path, body, {"User-Agent": "scalewatch", "Connection": "close", **headers, **who})
            answer = link.getresponse()
            headers_in = {name.lower(): value for name, value in answer.getheaders()}
            return Response(answer.status, headers_in, answer.read(MAX_BODY_BYTES))
        except TimeoutError:
            return "no answer in time"
        except ProxyError as fault:
            return str(fault)
        except ssl.SSLError:
            return "no safe connection (TLS)"
        except socket.gaierror:
            return "the name of the host is unknown"
        except ConnectionRefusedError:
            return "the connection was refused"
        except (OSError, http.client.HTTPException, ValueError) as fault:
            return f"the connection broke ({type(fault).__name__})"
        finally:
            if line is not None:
                line.shut()


def _line_to(host: str, port: int, deadline: float, *, tls: bool) -> DeadlineSocket:
    """A connection to a host, through the proxy of the environment if there is one; plain HTTP is for this machine."""
    proxy = proxy_for(host) if tls else None
    if proxy is None:
        return connect(host, port, deadline, tls=tls)
    line = connect(proxy.host, proxy.port, deadline, tls=False)
    try:
        tunnel(line, proxy, host, port)
        return line.secured(host)
    except OSError:
        line.shut()
        raise


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.replace(".", "").isdigit() or host.startswith("0x")
    return True


def retry_after_seconds(value: str | None, now: float) -> float | None:
    """Return the pause [s] that a Retry-After header asks for, at most 300; None if it says nothing of use.

    Args:
        value: seconds or an HTTP date. now: Unix seconds.

    >>> retry_after_seconds("7", 0.0), retry_after_seconds("soon", 0.0), retry_after_seconds("-3", 0.0)
    (7.0, None, None)
    """
    text = (value or "").strip()[:100]
    try:
        pause = float(text)
    except ValueError:
        try:
            pause = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, TypeError, IndexError, OverflowError, OSError):
            return None
    return min(pause, MAX_RETRY_AFTER_SECONDS) if pause >= 0 else None


def refuse(answer: Response) -> NoReturn:
    """Raise what an answer other than 2xx means.

    Raises:
        DeliveryError: always: to be tried again for 3xx, 429, 5xx, 408 and 425, not for the rest.
    """
    status = answer.status
    if status == 429 or status >= 500 or status in (408, 425):
        pause = retry_after_seconds(answer.headers.get("retry-after"), time.time())
        raise DeliveryError(f"HTTP {status}", retry_after=pause)
    if 300 <= status < 400:
        raise DeliveryError(f"HTTP {status}: it leads elsewhere, which is not followed")
    raise DeliveryError(f"HTTP {status}", fatal=status in FATAL, useless=True)
