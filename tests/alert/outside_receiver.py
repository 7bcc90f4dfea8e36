"""A receiver as another package would bring it: it says its name and sends."""

from __future__ import annotations

from typing import final

from scalewatch.alert import DeliveryError, Http, Notification, Receiver, Secret, plain_text


@final
class Pager(Receiver):
    """POSTs the text to the address in PAGER_URL."""

    name = "pager"

    def send(self, notification: Notification, timeout: float) -> None:
        answer = Http(loopback=True).post(Secret("PAGER_URL"), plain_text(notification).encode(), {}, timeout)
        if answer.status != 200:
            raise DeliveryError(f"HTTP {answer.status}")
