"""Alerts by Weights & Biases: to whom its settings say, by e-mail or Slack."""

from __future__ import annotations

import sys
from typing import final

from scalewatch.alert import DeliveryError, Notification, Receiver, plain_text
from scalewatch.alert.notification import clean
from scalewatch.finding import Severity

__all__ = ["WandbAlerts"]

#: Characters of a title, fewer than this (W&B documents it).
MAX_TITLE_CHARACTERS = 64
#: What W&B calls each severity.
LEVELS = {Severity.INFO: "INFO", Severity.WARNING: "WARN", Severity.CRITICAL: "ERROR"}
#: Seconds in which W&B drops a second alert of the same title: none, for what repeats is decided before.
WAIT_SECONDS = 1


@final
class WandbAlerts(Receiver):
    """Sends what is worth waking someone as an alert of the run of W&B that is open: `alerts=[WandbAlerts()]`.

    Nothing is sent unless it is asked for so. W&B queues an alert and sends it in a process of its own.
    """

    name = "wandb"

    def send(self, notification: Notification, timeout: float) -> None:
        """Queue one message.

        Raises:
            DeliveryError: if no run is open.
        """
        run = getattr(sys.modules.get("wandb"), "run", None)
        if run is None:
            raise DeliveryError("no run of W&B is open in this process")
        title = clean(notification.title, MAX_TITLE_CHARACTERS - 1)
        run.alert(title, plain_text(notification), LEVELS[notification.severity], WAIT_SECONDS)
