"""Sends through apprise (extra `apprise`), which knows a hundred services: Discord, Telegram, ntfy, Matrix, ...

Each message is sent by a process of its own, for a fraction of a second. Why: in the training process apprise has no
limit for a whole attempt (a server that sends a byte a second holds it for ever), and the addresses it is given, which
are secrets, would be in its logs and in the frames of its exceptions. The process gets the address on its standard
input; what it prints goes nowhere; when its time is up it is killed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Any, ClassVar, final

from scalewatch.alert.notification import Notification, Status, plain_text
from scalewatch.alert.receiver import Receiver, settings_of
from scalewatch.alert.receivers import apprise_sender
from scalewatch.alert.receivers.apprise_sender import NOT_UNDERSTOOD, TAKEN
from scalewatch.alert.secret import DeliveryError, Secret
from scalewatch.alert.transport.subprocess import run_program
from scalewatch.errors import ConfigError
from scalewatch.finding import Severity

__all__ = ["Apprise"]

#: Longest time for apprise to say whether it understands the address [s]; a busy machine may take it all.
CHECK_SECONDS = 20.0
#: Variables that the process gets: what finds Python, the network and the desktop. No secrets of ours.
_NEEDED = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH", "DISPLAY", "WAYLAND_DISPLAY"),
    *("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"),
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9]*://\S+")


@final
class Apprise(Receiver):
    """Sends messages to one address of apprise's; for another, name another receiver of this type.

    Args:
        address: such as `discord://...`; see apprise's list. It should be of a kind that is encrypted.

    Raises:
        ConfigError: if the extra is not installed or apprise does not understand the address.
    """

    name: ClassVar[str] = "apprise"

    def __init__(self, address: Secret) -> None:
        super().__init__()
        if importlib.util.find_spec("apprise") is None:
            raise ConfigError("It needs the extra: pip install 'scalewatch[apprise]'.")
        self._address = address
        if _SCHEME.fullmatch(address.reveal()) is None or self._run({}, CHECK_SECONDS) == NOT_UNDERSTOOD:
            raise ConfigError(f"The address in `{address.source}` must be one that apprise understands.")

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Apprise:
        """Make one; setting `url_env`, the name of the variable that holds the address.

        Raises:
            ConfigError: if there is no address, or it is none.
        """
        return cls(Secret(settings_of(settings, url_env="SCALEWATCH_APPRISE_URL")["url_env"]))

    def send(self, notification: Notification, timeout: float) -> None:
        """Send one message.

        Raises:
            DeliveryError: if the service did not take it in time.
        """
        title, _, body = plain_text(notification).partition("\n")
        words = {
            "title": _calls_nobody(title),
            "body": _calls_nobody(body.strip() or title),
            "type": _type(notification),
        }
        ended = self._run(words, timeout)
        if ended == NOT_UNDERSTOOD:
            raise DeliveryError("apprise does not understand the address", fatal=True)
        if isinstance(ended, str):
            raise DeliveryError("no answer in time" if "time" in ended else f"apprise {ended}")
        if ended != TAKEN:
            raise DeliveryError("apprise could not deliver it")

    def _run(self, words: Mapping[str, str], timeout: float) -> int | str:
        """The exit code of the process, or why there is none; the secret is in no frame but this one's."""
        data = json.dumps({"address": self._address.reveal(), **words}).encode("ascii")
        env = {name: os.environ[name] for name in _NEEDED if name in os.environ}
        env |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
        return run_program([sys.executable, "-P", apprise_sender.__file__], data, env, timeout)


def _type(notification: Notification) -> str:
    if notification.status is Status.RESOLVED:
        return "success"
    return {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "failure"}[notification.severity]


def _calls_nobody(text: str) -> str:
    """Return `text` with nothing in it that one service or another would take for a call or a link.

    >>> _calls_nobody("<!channel> @everyone <https://x|y> loss < 3")
    '< !channel> @ everyone < https://x|y> loss < 3'
    """
    return re.sub(r"([@<])(?=\S)", r"\1 ", text)
