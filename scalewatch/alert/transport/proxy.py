"""The way out of a cluster: through the HTTP proxy that HTTPS_PROXY names, but for the hosts in NO_PROXY.

The proxy is asked for a tunnel (CONNECT) and sees the name of the host and nothing else: TLS goes from here to there,
and the certificate that is checked is the host's. So a proxy that opens up TLS is found out.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping
from typing import NamedTuple, Protocol, final
from urllib.parse import unquote, urlsplit

__all__ = ["Proxy", "ProxyError", "proxy_for", "tunnel"]

#: Variables that name the proxy; the first that is set counts.
VARIABLES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
#: More than this of its answer is no answer [bytes].
MAX_ANSWER_BYTES = 16 * 1024
DEFAULT_PORT = 3128


class TwoWay(Protocol):
    """A connection, as far as a tunnel needs it."""

    def sendall(self, data: bytes) -> None:
        """Send all of it."""

    def unbuffered(self) -> io.RawIOBase:
        """Return what reads from it, and takes no byte more than it is asked for."""


@final
class ProxyError(OSError):
    """The proxy opens no tunnel; the text says why and holds neither an address nor a password."""


@final
class Proxy(NamedTuple):
    """Where the proxy is, and what it has to be told about who asks; empty for nothing."""

    host: str
    port: int
    who: str

    def __repr__(self) -> str:
        return "<proxy: redacted>"  # the address may hold a password


def proxy_for(host: str, env: Mapping[str, str] | None = None) -> Proxy | None:
    """Return the proxy on the way to an https host; None if there is none.

    Raises:
        ProxyError: if one is named that cannot be talked to.

    >>> proxy_for("hooks.slack.com", {"HTTPS_PROXY": "http://proxy:8080"}).port
    8080
    >>> proxy_for("hooks.slack.com", {"HTTPS_PROXY": "proxy:8080", "NO_PROXY": "localhost,.slack.com"})
    """
    env = os.environ if env is None else env
    text = next((env[name] for name in VARIABLES if env.get(name)), "")
    exempt = env.get("no_proxy") or env.get("NO_PROXY") or ""
    if not text or _is_exempt(host, exempt):
        return None
    try:
        url = urlsplit(text if "://" in text else f"http://{text}")
        place, port = url.hostname or "", url.port or DEFAULT_PORT
    except ValueError:
        place, port, url = "", 0, urlsplit("")
    if url.scheme != "http" or not place or not text.isprintable():
        raise ProxyError("the proxy in HTTPS_PROXY is no http:// address")
    who = ""
    if url.username is not None:
        words = f"{unquote(url.username)}:{unquote(url.password or '')}"
        who = "Basic " + base64.b64encode(words.encode("utf-8")).decode("ascii")
    return Proxy(place, port, who)


def _is_exempt(host: str, names: str) -> bool:
    """Whether NO_PROXY holds the host, a domain that it is in, or a star."""
    known = [name.strip().lower().lstrip(".") for name in names.split(",")]
    return any(name == "*" or host == name or host.endswith(f".{name}") for name in known if name)


def tunnel(line: TwoWay, proxy: Proxy, host: str, port: int) -> None:
    """Ask the proxy at the other end of `line` for a tunnel to a host.

    Raises:
        ProxyError: if it opens none.
        OSError: if the line breaks or its time is up.
    """
    place = f"{host}:{port}"
    asked = [f"CONNECT {place} HTTP/1.1", f"Host: {place}", "User-Agent: scalewatch"]
    asked += [f"Proxy-Authorization: {proxy.who}"] if proxy.who else []
    line.sendall(("\r\n".join(asked) + "\r\n\r\n").encode("ascii"))
    answer = b""
    stream = line.unbuffered()
    while not answer.endswith(b"\r\n\r\n"):
        byte = stream.read(1)  # what follows belongs to the tunnel
        answer += byte or b""
        if not byte or len(answer) > MAX_ANSWER_BYTES:
            raise ProxyError("the proxy gives no answer in HTTP")
    first = answer.split(b"\r\n", 1)[0].split()
    if len(first) < 2 or not first[0].startswith(b"HTTP/1.") or not first[1].isdigit():
        raise ProxyError("the proxy gives no answer in HTTP")
    if not first[1].startswith(b"2"):
        raise ProxyError(f"the proxy opens no tunnel (HTTP {first[1][:3].decode('ascii')})")
