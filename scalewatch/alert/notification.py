"""What is sent: one message about one run, the same for every receiver, as plain data."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, final

from scalewatch.advice import gain_text
from scalewatch.errors import ConfigError
from scalewatch.finding import Severity
from scalewatch.kinds import kind_name, kind_row
from scalewatch.plain import from_plain, to_plain

__all__ = ["Item", "Notification", "Recommendation", "Status", "began", "clean", "plain_text"]

#: A text from outside is cut here [characters]: what is longer is no sentence.
MAX_TEXT = 600
#: Incidents in one message: a phone shows no more, and there are hardly more kinds.
MAX_ITEMS = 10
#: Recommendations in one message.
MAX_ADVICE = 3
#: Labels in one message.
MAX_LABELS = 10


def began(kind: str, step: int) -> str:
    """Return since when it is so, or when it was.

    >>> began("spike", 1000), began("bad_batch", 1000)
    ('since step 1,000', 'at step 1,000')
    """
    return f"{kind_row(kind).joined} step {step:,}"


def clean(text: object, limit: int = MAX_TEXT) -> str:
    """Return `text` as one line without control, format, bidirectional and lone surrogate characters.

    >>> clean("a\\n\\u202eb\\x1b[31m", 20)
    'a b[31m'
    """
    string = str(text)[: 4 * limit]
    if not (string.isascii() and string.isprintable()):
        string = "".join(
            " " if c in "\n\r\t\v\f\u2028\u2029\u0085" else c
            for c in string
            if c in "\n\r\t\v\f\u2028\u2029\u0085" or unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
        )
    string = " ".join(string.split())
    return string if len(string) <= limit else string[: limit - 1].rstrip() + "…"


#: Reason of a first message, as `Reason.NEW` of dedup.py.
NEWS = "it is new."


@final
class Status(StrEnum):
    """What a message is about."""

    FIRING = "firing"
    RESOLVED = "resolved"
    STARTED = "started"
    ENDED = "ended"
    DIGEST = "digest"
    TEST = "test"


@final
@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to do: an `Advice` as words.

    Attributes:
        action, reason: what and why. grade: how good the evidence is, A to C.
        gain: what it should gain [nats/token], None where nobody knows; gain_interval: 80 % interval of it.
        would_change: what would change it, a sentence. unit: of the gain, as it stands behind a number.
    """

    action: str
    reason: str
    grade: str
    gain: float | None = None
    gain_interval: tuple[float, float] | None = None
    would_change: str = ""
    unit: str = ""

    @property
    def text(self) -> str:
        """What to do and why, how sure that is and what it gains, in a sentence or two."""
        sure = {
            "A": "measured in published comparisons",
            "B": "reported by large runs, or by a calibrated law",
            "C": "a rule of thumb",
        }
        gain = gain_text(self.gain, self.gain_interval, self.unit)
        action = self.action.replace("_", " ")
        graded = sure.get(self.grade, self.grade)
        return f"{action[:1].upper()}{action[1:]}: {self.reason} ({graded}{f'; {gain}' if gain else ''})"


@final
@dataclass(frozen=True, slots=True)
class Item:
    """One incident, as a message tells it.

    Attributes:
        kind: what was found. severity: the worst it has been. over: whether it is resolved.
        message: one sentence with numbers. start_step, step: where it began, newest word of it.
        since_unix_s: when it opened [s]. times: how often it opened, 1 unless it flaps.
        news: whether this message is about it; else it is listed because it goes on.
    """

    kind: str
    severity: Severity
    over: bool
    message: str
    start_step: int
    step: int
    since_unix_s: float
    times: int = 1
    news: bool = True


@final
@dataclass(frozen=True, slots=True)
class Notification:
    """One message.

    Attributes:
        id: the same for each attempt to send this message.
        status: what it is about. severity: the worst in it. run, run_id: which run. step: its newest step.
        at_unix_s: when it was made [s]. reason: why it is sent now, in words.
        items: incidents. advice: what to do. rows: (label, text) lines, of an end or a digest.
        folded: findings since the last message that have no place of their own here [count].
        may_repeat: whether it may have arrived before (the process was killed while it was sent).
        link: where to look, empty if nowhere. mentions, labels: as the rules say.
        curve: (step, loss [nats/token]) points for a picture; not kept when the process ends.
    """

    id: str
    status: Status
    severity: Severity
    run: str
    run_id: str
    step: int
    at_unix_s: float
    reason: str = ""
    headline: str = ""
    items: tuple[Item, ...] = ()
    advice: tuple[Recommendation, ...] = ()
    rows: tuple[tuple[str, str], ...] = ()
    folded: int = 0
    may_repeat: bool = False
    link: str = ""
    mentions: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    curve: tuple[tuple[int, float], ...] = field(default=(), compare=False)

    @property
    def because(self) -> str:
        """Why it is sent, for people; "" where that is plain: it is news."""
        return "" if self.reason == NEWS else self.reason

    @property
    def title(self) -> str:
        """Status, run and what it is, in one line for a lock screen."""
        return f"{self.badge} {self.run}: {self.what}"

    @property
    def badge(self) -> str:
        """How bad it is, in one word."""
        if self.status is Status.FIRING:
            return {Severity.INFO: "NOTE", Severity.WARNING: "WARNING", Severity.CRITICAL: "CRITICAL"}[self.severity]
        if self.status is Status.ENDED and self.severity is Severity.CRITICAL:
            return "CRASHED"
        return self.status.value.upper()

    @property
    def what(self) -> str:
        """What it is about, without the run."""
        if self.headline:
            return self.headline.removeprefix("crashed ") if self.badge == "CRASHED" else self.headline
        news = [item for item in self.items if item.news] or list(self.items)
        words = [f"{kind_row(i.kind).firing} {began(i.kind, i.start_step)}" for i in news if not i.over]
        words += [f"{kind_name(i.kind)} is over" for i in news if i.over]
        more = f" (and {len(words) - 2} more)" if len(words) > 2 else ""
        return "; ".join(words[:2]) + more

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data; the picture's points are left out."""
        plain: dict[str, Any] = to_plain(self)
        del plain["curve"]
        return plain | {"title": self.title, "labels": dict(self.labels)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Notification:
        """Return the notification that `to_json` wrote.

        Raises:
            ConfigError: if it is none.
        """
        try:
            few = {"items": data["items"][:MAX_ITEMS], "advice": data["advice"][:MAX_ADVICE]}
            labels = [list(label) for label in data["labels"].items()]
            return from_plain(cls, {**data, **few, "labels": labels, "curve": []})
        except (LookupError, TypeError, ValueError, AttributeError) as fault:
            raise ConfigError(f"This is no notification ({type(fault).__name__}).") from None


def plain_text(notification: Notification) -> str:
    """Return the whole message as text: for e-mail, for a screen reader, for a terminal."""
    lines = [notification.title]
    if notification.may_repeat:
        lines.append("(This may have reached you before: the process was killed while it was sent.)")
    for item in notification.items:
        state = "over" if item.over else str(item.severity)
        often = f", {item.times:,} times" if item.times > 1 else ""
        newest = f", newest word at step {item.step:,}" if item.step != item.start_step else ""
        since = f"{began(item.kind, item.start_step)}{newest}{often}"
        lines.append(f"\n[{state}] {kind_row(item.kind).firing} ({since})\n  {item.message}")
    for index, advice in enumerate(notification.advice):
        lines.append(("\nWhat to do: " if not index else "or: ") + advice.text)
        if advice.would_change:
            lines.append(f"  Ignore this if {advice.would_change}")
    if notification.rows:
        width = max(len(label) for label, _ in notification.rows)
        lines.append("")
        lines += [f"{label:<{width}}  {text}" for label, text in notification.rows]
    if notification.folded:
        lines.append(f"\n{notification.folded:,} further findings since the last message are in the journal only.")
    if notification.labels:
        lines.append("\n" + ", ".join(f"{name}={value}" for name, value in notification.labels))
    if notification.link:
        lines.append(f"\n{notification.link}")
    if notification.because:
        lines.append(f"\nSent because {notification.because}")
    return "\n".join(lines)
