"""Sends the messages of one receiver, one at a time: tries, pauses, gives up, switches off, counts."""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import final

from scalewatch.alert.dedup import HOUR_SECONDS, LogEntry
from scalewatch.alert.notification import Notification, Status
from scalewatch.alert.notification_log import PendingNotifications
from scalewatch.alert.receiver import Receiver
from scalewatch.alert.secret import DeliveryError
from scalewatch.guard import attempt
from scalewatch.text import duration

__all__ = ["Counters", "DeliveryQueue"]

_log = logging.getLogger("scalewatch")

#: Longest time for one attempt, and for all attempts to send one message [s].
ATTEMPT_SECONDS, MESSAGE_SECONDS = 5.0, 60.0
#: Pauses between attempts: 1, 2, 4 ... 32 [s], each shortened by up to a half at random.
FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 1.0, 32.0
#: Pause after a message that was given up; what it said is then decided anew, and told as it is by then [s].
GIVEN_UP_SECONDS = 120.0
#: Slack takes about a message a second from one sender.
APART_SECONDS = 1.0
#: Messages that wait behind the one that is being sent: begin and end of a run, a digest.
MAX_WAITING = 16


@final
@dataclass(slots=True)
class Counters:
    """What became of the messages of one receiver [count].

    Attributes:
        sent: taken by the other side. tries: attempts, each message at least one. given_up: messages that were
            not taken within 60 s; what they said is told in a later one. lost: messages that nothing will tell.
    """

    sent: int = 0
    tries: int = 0
    given_up: int = 0
    lost: int = 0

    @property
    def text(self) -> str:
        """The numbers in a line, those that are 0 left out."""
        retried = self.tries - self.sent
        words = [f"{self.sent:,} sent"]
        words += [f"{retried:,} failed tries"] if retried else []
        words += [f"{self.given_up:,} put off"] if self.given_up else []
        words += [f"{self.lost:,} LOST"] if self.lost else []
        return ", ".join(words)

    def __add__(self, other: Counters) -> Counters:
        return Counters(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@final
class _Tried:
    """How often the message that is on its way was tried, and since when [s]."""

    def __init__(self) -> None:
        self.times = 0
        self._first_at: float | None = None

    def add(self, now: float) -> None:
        self.times += 1
        self._first_at = self.since(now)

    def since(self, now: float) -> float:
        return now if self._first_at is None else self._first_at


@final
class DeliveryQueue:
    """Sends to one receiver. All of it runs on the background thread.

    Args:
        name: of the receiver, for people. receiver: takes the messages. outbox: what it was sent, kept by the log.
        save: puts the log on the disk. chance: a number from 0 to 1, for pauses that differ between runs; None for
            a generator of its own, because the global one is the training's, and this is another thread.
    """

    def __init__(
        self,
        name: str,
        receiver: Receiver,
        outbox: PendingNotifications,
        save: Callable[[], object],
        *,
        chance: Callable[[], float] | None = None,
    ) -> None:
        self.name, self.receiver = name, receiver
        self._save, self._chance = save, random.Random().random if chance is None else chance
        self.adopt(outbox)
        self.counters = Counters()
        #: Why nothing is sent any more; empty while it is.
        self.off = ""
        #: Why the last attempt failed; empty if it did not.
        self.trouble = ""
        self._waiting: deque[Notification] = deque()
        self._tried = _Tried()
        self._lost_told = 0
        self._not_before = 0.0

    def adopt(self, outbox: PendingNotifications) -> None:
        """Go on from what is in `outbox`."""
        self.outbox = outbox
        self.receiver.remember(outbox.memory, self._save)

    @property
    def is_free(self) -> bool:
        """Whether another message may be decided on: none is on its way."""
        return not self.off and self.outbox.pending is None and not self._waiting

    def is_due(self, now: float) -> bool:
        """Whether an attempt may be made at `now` [s]."""
        return not self.off and now >= self._not_before

    @property
    def unsent(self) -> int:
        """Messages that are on their way [count]."""
        return (self.outbox.pending is not None) + len(self._waiting)

    def hurry(self) -> None:
        """The run ends: make the next attempt now, whatever pause was meant."""
        self._not_before = 0.0

    def put(self, notification: Notification) -> None:
        """Have a message sent that no incident brings about."""
        if self.off or len(self._waiting) >= MAX_WAITING:
            self.counters.lost += 1
        else:
            self._waiting.append(notification)

    def begin(self, notification: Notification, entries: dict[str, LogEntry]) -> None:
        """Write down that a message is about to be sent; `entries` is what the receiver then knows, by kind."""
        rows = (*notification.rows, *self._gap(notification.at_unix_s))
        self.outbox.pending, self.outbox.entries = replace(notification, rows=rows), entries
        self._tried = _Tried()
        self._save()

    def _gap(self, now: float) -> list[tuple[str, str]]:
        """The row that tells of messages before this one that did not arrive."""
        log, lost = self.outbox.sent, self.counters.lost - self._lost_told
        seconds = now - log.failing_since if log.failing_since else 0.0
        words = [f"failed for {duration(seconds)} before this message"] if seconds >= MESSAGE_SECONDS else []
        words += [f"{lost:,} message{'s' * (lost > 1)} before this one never arrived"] if lost else []
        why = f" ({log.why})" if log.why else ""
        return [("delivery", "; ".join(words) + why)] if words else []

    def step(self, now: float, findings: int, *, timeout: float = ATTEMPT_SECONDS) -> bool:
        """Make one attempt if one is due; whether one was made.

        Args:
            now: [Unix seconds]. findings: of the run so far. timeout: of the attempt [s].
        """
        if not self.is_due(now):
            return False
        if self.outbox.pending is None:
            if not self._waiting:
                return False
            self.begin(self._waiting.popleft(), {})
        pending = self.outbox.pending
        if pending is None:
            return False
        self.counters.tries += 1
        self._tried.add(now)
        fault = self._attempt(pending, min(timeout, ATTEMPT_SECONDS))
        if fault is None:
            self._sent(now, findings)
        else:
            self._failed(fault, now)
        return True

    def _attempt(self, notification: Notification, timeout: float) -> DeliveryError | None:
        fault, why = attempt(self._send, notification, timeout)
        # of a receiver of somebody else's the words may hold an address that is a secret, the class does not
        return DeliveryError(f"the receiver failed ({why.partition(':')[0]})") if why else fault

    def _send(self, notification: Notification, timeout: float) -> DeliveryError | None:
        try:
            self.receiver.send(notification, timeout)
        except DeliveryError as fault:
            return fault
        return None

    def _sent(self, now: float, findings: int) -> None:
        log = self.outbox.sent
        log.entries.update(self.outbox.entries)
        log.sent_at = [*(at for at in log.sent_at if at > now - HOUR_SECONDS), now]
        if self.outbox.entries:
            log.last_at, log.findings_counted = now, findings
        self._had_digest(now)
        self.trouble, log.failing_since, log.why = "", 0.0, ""
        log.unheard = {kind: at for kind, at in log.unheard.items() if kind not in self.outbox.entries}
        self._lost_told = self.counters.lost
        self.counters.sent += 1
        self._not_before = now + APART_SECONDS
        self._clear()

    def _had_digest(self, now: float) -> None:
        pending, log = self.outbox.pending, self.outbox.sent
        if pending is not None and pending.status is Status.DIGEST:
            log.digest_at, log.digest_step = now, pending.step

    def _clear(self) -> None:
        self.outbox.pending, self.outbox.entries = None, {}
        self._tried = _Tried()
        self._save()

    def _failed(self, fault: DeliveryError, now: float) -> None:
        first, self.trouble = not self.trouble, str(fault)
        log = self.outbox.sent
        log.failing_since, log.why = log.failing_since or now, self.trouble
        if fault.fatal:
            self._switch_off(str(fault))
            return
        if first:
            _log.warning("scalewatch: alerts to %s are delayed: %s.", self.name, self.trouble)
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (self._tried.times - 1), MAX_PAUSE_SECONDS) * (
            1.0 - 0.5 * self._chance()
        )
        if fault.retry_after is not None:
            pause = max(fault.retry_after, pause)
        if fault.useless or now + pause - self._tried.since(now) + ATTEMPT_SECONDS > MESSAGE_SECONDS:
            pause = max(pause, GIVEN_UP_SECONDS)
            self._give_up(now, useless=fault.useless)
        self._not_before = now + pause

    def _give_up(self, now: float, *, useless: bool) -> None:
        """Put the message off: incidents and digests are decided anew, the end of a run is tried again as it is."""
        pending, of_incidents = self.outbox.pending, bool(self.outbox.entries)
        self.outbox.sent.unheard.update({kind: entry.opened_at for kind, entry in self.outbox.entries.items()})
        again = pending is not None and not useless and pending.status is Status.ENDED
        is_due = pending is not None and not useless and pending.status is Status.DIGEST
        self.counters.given_up += again or is_due or (of_incidents and not useless)
        if pending is not None and again:
            self.put(replace(pending, may_repeat=True))
        elif useless and of_incidents:  # it would be refused as long as it says the same
            self.outbox.sent.entries.update(self.outbox.entries)
            self.counters.lost += 1
        elif pending is not None and not of_incidents and not is_due and pending.status is not Status.STARTED:
            self.counters.lost += 1  # a beginning that is not told is told by the first alert
            self._had_digest(now)
        self._clear()

    def _switch_off(self, why: str) -> None:
        self.off = why
        self.counters.lost += self.unsent
        self._waiting.clear()
        _log.warning(
            "scalewatch: alerts to %s are off for the rest of this run: %s. Check its address and rights, then"
            " `scalewatch alert test %s`.",
            self.name,
            why,
            self.name,
        )
        self._clear()
