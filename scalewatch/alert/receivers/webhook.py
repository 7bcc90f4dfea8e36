"""Signed JSON to any address: a CloudEvents envelope around the message.

    POST, Content-Type: application/cloudevents+json
    {"specversion": "1.0", "id": ..., "source": "/scalewatch/runs/<run id>", "type": "dev.scalewatch.alert.firing",
     "time": "2026-01-31T12:00:00Z", "subject": <run name>, "datacontenttype": "application/json",
     "dataschema": "urn:scalewatch:notification:1", "data": <Notification.to_json()>}

`id` is the same for each attempt to send one message, so that the other side can drop what it has. The header
`X-Scalewatch-Signature: t=<Unix seconds>,v1=<hex>` holds the HMAC-SHA256 of `<t>.<body>` with the secret in
SCALEWATCH_WEBHOOK_SECRET; without that variable nothing is signed. Old times are to be refused by who checks it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, final

from scalewatch.alert.notification import Notification
from scalewatch.alert.receiver import Receiver, settings_of
from scalewatch.alert.secret import Secret
from scalewatch.alert.transport.http import Http, refuse

__all__ = ["Webhook", "cloud_event", "signature"]


def cloud_event(notification: Notification) -> dict[str, Any]:
    """Return the message in its CloudEvents 1.0 envelope (cloudevents.io, structured mode)."""
    return {
        "specversion": "1.0",
        "id": notification.id,
        "source": f"/scalewatch/runs/{notification.run_id}",
        "type": f"dev.scalewatch.alert.{notification.status.value}",
        "time": datetime.fromtimestamp(notification.at_unix_s, UTC).isoformat().replace("+00:00", "Z"),
        "subject": notification.run or "run",
        "datacontenttype": "application/json",
        "dataschema": "urn:scalewatch:notification:1",
        "data": notification.to_json(),
    }


def signature(secret: bytes, unix_s: int, body: bytes) -> str:
    """Return the value of the signature header.

    >>> signature(b"key", 0, b"{}")[:20]
    't=0,v1=7314351dd949a'
    """
    digest = hmac.new(secret, b"%d." % unix_s + body, hashlib.sha256).hexdigest()
    return f"t={unix_s},v1={digest}"


@final
class Webhook(Receiver):
    """POSTs signed JSON.

    Args:
        address: where to. secret: what it is signed with, None to sign nothing. http: how it is sent.
    """

    name: ClassVar[str] = "webhook"

    def __init__(self, address: Secret, secret: Secret | None = None, *, http: Http | None = None) -> None:
        super().__init__()
        self._address, self._secret = address, secret
        self._http = Http() if http is None else http
        self._http.check(address)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Webhook:
        """Make one; settings `url_env`, `secret_env`: names of variables, and `loopback`: allow this machine.

        Raises:
            ConfigError: if there is no address, or one that may not be.
        """
        chosen = settings_of(
            settings, url_env="SCALEWATCH_WEBHOOK_URL", secret_env="SCALEWATCH_WEBHOOK_SECRET", loopback=False
        )
        is_signed = "secret_env" in settings or chosen["secret_env"] in os.environ
        secret = Secret(chosen["secret_env"]) if is_signed else None
        return cls(Secret(chosen["url_env"]), secret, http=Http(loopback=chosen["loopback"]))

    def send(self, notification: Notification, timeout: float) -> None:
        """Send one message.

        Raises:
            DeliveryError: if the answer is not 2xx.
        """
        body = json.dumps(cloud_event(notification), allow_nan=False).encode("ascii")
        headers = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
        answer = self._http.post(self._address, body, {**headers, **self._signed(body)}, timeout)
        if not 200 <= answer.status < 300:
            refuse(answer)

    def _signed(self, body: bytes) -> dict[str, str]:
        if self._secret is None:
            return {}
        return {"X-Scalewatch-Signature": signature(self._secret.reveal().encode(), int(time.time()), body)}
