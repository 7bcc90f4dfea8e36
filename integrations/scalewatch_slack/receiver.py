"""Sends notifications to Slack: through an incoming webhook, or as a bot that keeps one thread a run."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any, ClassVar, final
from urllib.parse import urlencode

from scalewatch.alert import DeliveryError, Http, Notification, Receiver, Secret, Status
from scalewatch.alert.receiver import settings_of
from scalewatch.alert.transport.http import Response, refuse
from scalewatch.errors import ConfigError
from scalewatch.finding import Severity
from scalewatch_slack.message import message, summary
from scalewatch_slack.picture import png

__all__ = ["Slack"]

WEBHOOK_HOSTS = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})
API_HOSTS = frozenset({"slack.com", "files.slack.com"})
API = "https://slack.com/api/"
#: What Slack says when it is worth trying again; all else that it refuses stays refused.
TEMPORARY = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "ratelimited"})
#: What it says about a message that has to be simpler.
TOO_MUCH = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"})
#: What it says about this one message; another may be taken.
ABOUT_MESSAGE = TOO_MUCH | {"no_text", "invalid_arguments", "message_not_found", "cant_update_message"}
#: Longest time to draw the curve, in a process of its own, and to upload it [s].
PICTURE_SECONDS, UPLOAD_SECONDS = 10.0, 5.0
#: With less time than this for a message the run is ending, and draws nothing [s].
LEISURE_SECONDS = 4.0
#: What the curve is shown with.
WITH_PICTURE = frozenset({Status.FIRING, Status.DIGEST})
JSON = {"Content-Type": "application/json; charset=utf-8"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@final
class Slack(Receiver):
    """Sends to Slack.

    Args:
        webhook: address of an incoming webhook. token: of a bot with `chat:write`, and `files:write` for pictures;
            one of the two. channel: where the bot writes. pictures: whether it uploads the curve.
        http: how it is sent. api: where Slack's methods are.

    Raises:
        ConfigError: if there is neither, or the address is not Slack's.
    """

    name: ClassVar[str] = "slack"

    def __init__(
        self,
        webhook: Secret | None = None,
        token: Secret | None = None,
        channel: str = "",
        *,
        pictures: bool = True,
        http: Http | None = None,
        api: str = API,
    ) -> None:
        super().__init__()
        if (webhook is None) == (token is None):
            raise ConfigError("Slack needs an incoming webhook or the token of a bot, one of the two.")
        if token is not None and not channel:
            raise ConfigError("`channel` must say where the bot writes, such as C0123ABCD; or set SLACK_CHANNEL.")
        self._webhook, self._token, self._channel, self._api = webhook, token, channel, api
        self._pictures = pictures
        self._http = Http(API_HOSTS if webhook is None else WEBHOOK_HOSTS) if http is None else http
        if webhook is not None:
            self._http.check(webhook)
        self.opens = token is not None

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Slack:
        """Make one from the environment; settings `channel`, `pictures`, `url_env`, `token_env`.

        Raises:
            ConfigError: if no secret is set, or a setting is wrong.
        """
        chosen = settings_of(
            settings, channel="", pictures=True, url_env="SLACK_WEBHOOK_URL", token_env="SLACK_BOT_TOKEN"
        )
        channel = chosen["channel"] or os.environ.get("SLACK_CHANNEL", "")
        url, token = chosen["url_env"], chosen["token_env"]
        if os.environ.get(token) and (channel or not os.environ.get(url)):
            return cls(token=Secret(token), channel=channel, pictures=chosen["pictures"])
        if not os.environ.get(url):
            raise ConfigError(
                f"Slack needs a secret in the environment: `{url}`, the address of an incoming webhook, or"
                f" `{token}` with `SLACK_CHANNEL`, for a bot that keeps a thread a run."
            )
        return cls(webhook=Secret(url))

    def send(self, notification: Notification, timeout: float) -> None:
        """Send one message.

        Raises:
            DeliveryError: if Slack did not take it.
        """
        deadline = time.monotonic() + timeout
        if self._webhook is not None:
            self._to_webhook(self._webhook, notification, deadline)
        else:
            self._to_thread(notification, deadline)

    # --- incoming webhook -------------------------------------------------------------------------

    def _to_webhook(self, address: Secret, notification: Notification, deadline: float) -> None:
        answer = self._post(address, message(notification), deadline)
        if answer.status == 400:  # of the blocks it may not like one; the words are what has to arrive
            answer = self._post(address, message(notification, blocks=False), deadline)
        if not 200 <= answer.status < 300:
            refuse(answer)
        if answer.body.strip() != b"ok":
            raise DeliveryError("an answer that is not Slack's: something is in between")

    def _post(self, address: Secret, body: Mapping[str, Any], deadline: float) -> Response:
        data = json.dumps(body, allow_nan=False).encode("ascii")
        return self._http.post(address, data, JSON, deadline - time.monotonic())

    # --- bot --------------------------------------------------------------------------------------

    def _to_thread(self, notification: Notification, deadline: float) -> None:
        memory, in_haste = self.memory, deadline - time.monotonic() < LEISURE_SECONDS
        if "thread" not in memory:
            self._open(notification, deadline)
        if notification.status is Status.STARTED:
            return
        if memory.get("posted") != notification.id:
            loud = notification.severity is Severity.CRITICAL or notification.status is Status.ENDED
            self._say(notification, deadline, thread_ts=memory["thread"], **({"reply_broadcast": True} if loud else {}))
            memory["posted"] = notification.id
            self.keep()  # a picture takes seconds, and a kill meanwhile must not have the message sent again
        # what follows may fail: the message has arrived, and must not be sent again for the sake of its trimmings
        try:
            self._call("chat.update", deadline, channel=memory["channel"], ts=memory["thread"], **summary(notification))
            if self._pictures and notification.status in WITH_PICTURE and not in_haste:
                self._picture(notification)
        except DeliveryError:
            return

    def _open(self, notification: Notification, deadline: float) -> None:
        answered = self._call("chat.postMessage", deadline, channel=self._channel, **summary(notification))
        self.memory["thread"] = str(answered.get("ts", ""))
        self.memory["channel"] = str(answered.get("channel") or self._channel)
        self.keep()

    def _say(self, notification: Notification, deadline: float, **where: Any) -> None:
        channel = self.memory["channel"]
        try:
            self._call("chat.postMessage", deadline, channel=channel, **message(notification), **where)
        except DeliveryError as fault:
            if not any(word in str(fault) for word in TOO_MUCH):
                raise
            self._call("chat.postMessage", deadline, channel=channel, **message(notification, blocks=False), **where)

    def _picture(self, notification: Notification) -> None:
        image = png(notification, PICTURE_SECONDS)
        if image is None:
            return
        deadline = time.monotonic() + UPLOAD_SECONDS
        title = f"loss up to step {notification.step:,}"
        place = self._call("files.getUploadURLExternal", deadline, form={"filename": "loss.png", "length": len(image)})
        address = Secret("upload", {"upload": str(place.get("upload_url", "")) or "none"})
        kind = {"Content-Type": "application/octet-stream"}
        answer = self._http.post(address, image, kind, deadline - time.monotonic())
        if answer.status != 200:
            refuse(answer)
        files = [{"id": str(place.get("file_id", "")), "title": title}]
        channel, thread = self.memory["channel"], self.memory["thread"]
        self._call("files.completeUploadExternal", deadline, files=files, channel_id=channel, thread_ts=thread)

    def _call(
        self, method: str, deadline: float, *, form: Mapping[str, Any] | None = None, **body: Any
    ) -> Mapping[str, Any]:
        """Call a method of Slack's Web API and return its answer."""
        data = urlencode(form) if form else json.dumps(body, allow_nan=False)
        answer = self._ask(method, data.encode("ascii"), FORM if form else JSON, deadline)
        if answer.status != 200:
            refuse(answer)
        try:
            answered = json.loads(answer.body)
        except (ValueError, RecursionError):
            answered = None
        if not isinstance(answered, dict) or "ok" not in answered:
            raise DeliveryError("an answer that is not Slack's: something is in between")
        if answered["ok"] is True:
            return answered
        word = "".join(c for c in str(answered.get("error", ""))[:60] if c.isalnum() or c == "_")
        if word in TEMPORARY:
            raise DeliveryError(f"Slack says {word}")
        raise DeliveryError(f"Slack says {word}", fatal=word not in ABOUT_MESSAGE, useless=True)

    def _ask(self, method: str, data: bytes, kind: Mapping[str, str], deadline: float) -> Response:
        address = Secret("slack", {"slack": self._api + method})
        return self._http.post(address, data, kind, deadline - time.monotonic(), bearer=self._token)
