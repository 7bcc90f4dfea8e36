"""What people may want to set, and defaults good enough that nobody needs to.

The same from Python (`Rules(...)`) and from a TOML file (`load_rules`).
"""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import math
import os
import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from itertools import count
from pathlib import Path
from typing import Any, TypeVar, final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from scalewatch.alert.receiver import Receiver
from scalewatch.errors import ConfigError
from scalewatch.finding import Severity

__all__ = ["Quiet", "Route", "Rules", "Silence", "Threshold", "load_rules", "seconds"]

T = TypeVar("T")

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: A rules file larger than this is none [bytes].
MAX_RULES_BYTES = 256 * 1024
#: Dots in one line of them: Python's TOML reader takes minutes over a name of 30,000 parts. By hand.
MOST_DOTS = 250
#: A digest that comes more often is noise [s].
LEAST_DIGEST_SECONDS = 3600.0
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def seconds(value: object, name: str = "duration") -> float:
    """Return a duration [s] from a number of seconds or a text like "30s", "5m", "4h", "2d".

    Raises:
        ConfigError: if it is neither, or negative.

    >>> seconds("5m")
    300.0
    """
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match:
        return float(match[1]) * _UNITS[match[2]]
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value)
    raise ConfigError(f'`{name}` must be a time such as "30s", "5m", "4h" or "2d" (got {value!r:.60}).')


def _digest(value: object) -> float:
    every = seconds({"daily": "1d", "hourly": "1h"}.get(value, value) if isinstance(value, str) else value, "digest")
    if 0 < every < LEAST_DIGEST_SECONDS:
        raise ConfigError(f'`digest` must be "daily", an hour or more, or 0 for never (got {value!r:.60}).')
    return every


def _texts(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(v, str) and v for v in value):
        raise ConfigError(f'`{name}` must be a list of words, such as ["{name}"] (got {value!r:.60}).')
    return tuple(value)


def _severity(name: str, value: object) -> Severity:
    try:
        return Severity(value)  # type: ignore[arg-type]  # whatever it is, it is one of the three or refused
    except ValueError:
        raise ConfigError(f"`{name}` must be one of {', '.join(Severity)} (got {value!r:.60}).") from None


def _between(name: str, value: object, low: float, high: float) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        return float(value)
    raise ConfigError(f"`{name}` must be a number from {low:g} to {high:g} (got {value!r:.60}).")


@final
@dataclass(frozen=True, slots=True)
class Route:
    """Which incidents go to which receivers.

    Args:
        receivers: names of receivers, at least one.
        severity: the least that is sent.
        kinds: kinds that are sent; empty for all. runs: patterns of run names (`gpt-*`); empty for all.
        mentions: whom Slack calls: member ids `U...`, group ids `S...`, "channel" or "here".
        labels: go with each message.
        ends: whether the end of a run is told, also a healthy one.
    """

    receivers: tuple[str, ...]
    severity: Severity = Severity.WARNING
    kinds: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    ends: bool = True

    def __post_init__(self) -> None:
        for name in ("receivers", "kinds", "runs", "mentions"):
            object.__setattr__(self, name, _texts(name, getattr(self, name)))
        if not self.receivers:
            raise ConfigError('`receivers` must name at least one receiver, such as ["slack"].')
        object.__setattr__(self, "severity", _severity("severity", self.severity))
        for who in self.mentions:
            if not re.fullmatch(r"[UWS][A-Z0-9]{2,20}|channel|here", who):
                raise ConfigError(
                    f"`mentions` must hold Slack ids such as U012AB3CD, `channel` or `here` (got {who!r})."
                )
        if not isinstance(self.labels, Mapping) or not all(isinstance(v, str) for v in self.labels.values()):
            raise ConfigError(f"`labels` must be a table of texts (got {self.labels!r:.60}).")
        if not isinstance(self.ends, bool):
            raise ConfigError(f"`ends` must be true or false (got {self.ends!r:.60}).")

    def matches(self, run: str, kind: str, severity: Severity) -> bool:
        """Whether an incident of this run, kind and severity goes this way."""
        return severity.rank >= self.severity.rank and (not self.kinds or kind in self.kinds) and self.is_for(run)

    def is_for(self, run: str) -> bool:
        """Whether this run is among `runs`."""
        return not self.runs or any(fnmatch.fnmatchcase(run, pattern) for pattern in self.runs)


@final
@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours in which only what is bad enough is sent; the rest waits for their end.

    That a run has ended is told all the same: nobody is left to tell it later.

    Args:
        start, end: "22:00", "07:00"; an end before the start is on the next day.
        days: days on which they start ("mon"); empty for every day.
        zone: such as "Europe/Zurich"; empty for the zone of the machine.
        passes: the least severity that is sent all the same.
    """

    start: str
    end: str
    days: tuple[str, ...] = ()
    zone: str = ""
    passes: Severity = Severity.CRITICAL

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            value = getattr(self, name)
            if not isinstance(value, str) or not _CLOCK.fullmatch(value):
                raise ConfigError(f'`{name}` must be a time of day such as "22:00" (got {value!r:.60}).')
        if self.start == self.end:
            raise ConfigError(f"`start` and `end` must differ (got {self.start!r} twice): no hour is always quiet.")
        object.__setattr__(self, "days", _texts("days", self.days))
        if set(self.days) - set(DAYS):
            raise ConfigError(f"`days` must be among {', '.join(DAYS)} (got {', '.join(self.days)}).")
        object.__setattr__(self, "passes", _severity("passes", self.passes))
        self._zone()

    def _zone(self) -> tzinfo | None:
        try:
            return ZoneInfo(self.zone) if self.zone else None
        except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
            raise ConfigError(f'`zone` must be a time zone such as "Europe/Zurich" (got {self.zone!r:.60}).') from None

    def holds(self, severity: Severity, now: float) -> bool:
        """Whether something of this severity has to wait at `now` [Unix seconds]."""
        if severity.rank >= self.passes.rank:
            return False
        here = datetime.fromtimestamp(now, UTC).astimezone(self._zone())
        clock, today = f"{here:%H:%M}", here.weekday()
        if self.start < self.end:
            return self.start <= clock < self.end and self._on(today)
        return (clock >= self.start and self._on(today)) or (clock < self.end and self._on(today - 1))

    def _on(self, weekday: int) -> bool:
        return not self.days or DAYS[weekday % 7] in self.days


@final
@dataclass(frozen=True, slots=True)
class Silence:
    """A time in which nothing of some kinds is sent.

    Args:
        until_unix_s: its end [Unix seconds]. from_unix_s: its begin.
        kinds: what is silenced; empty for everything. comment: why, for those who wonder.
    """

    until_unix_s: float
    from_unix_s: float = 0.0
    kinds: tuple[str, ...] = ()
    comment: str = ""

    def holds(self, kind: str, now: float) -> bool:
        """Whether `kind` is silenced at `now` [Unix seconds]."""
        return self.from_unix_s <= now < self.until_unix_s and (not self.kinds or kind in self.kinds)


@final
@dataclass(frozen=True, slots=True)
class Threshold:
    """Page when the forecast says that the run will miss its target.

    Args:
        target: final loss that is wanted [nats/token]. by: how far above it is a miss [nats/token].
        probability: how sure the forecast must be, 0.5 to 0.999. severity: how loud it then is.
    """

    target: float
    by: float = 0.0
    probability: float = 0.9
    severity: Severity = Severity.WARNING

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", _between("target", self.target, 1e-6, 1e6))
        object.__setattr__(self, "by", _between("by", self.by, 0.0, 1e6))
        object.__setattr__(self, "probability", _between("probability", self.probability, 0.5, 0.999))
        object.__setattr__(self, "severity", _severity("severity", self.severity))


@final
@dataclass(frozen=True, slots=True)
class Rules:
    """How findings become messages. Times in seconds, or texts such as "5m".

    Args:
        routes: what goes where. quiet: quiet hours. thresholds: targets that the forecast is held against.
        receivers: settings of receivers by name, where `type` says which one if the name does not; or receivers.
        group_wait: how long the first incident waits for others that belong to it; critical ones do not.
        group_interval: least time between two messages about an unresolved group; escalation passes it.
        repeat_interval: after this, what goes on is told again. resolve_after: clean time before "over" is told.
        budget_per_hour: messages of one run to one receiver; two of them are kept for what is critical.
        stall_after: without a step for so long, and ten times longer than ever before, the run has stalled.
        digest: how often the state of the run is told, whatever it is: "daily", or a time of an hour or more; 0 for
            never. Not in quiet hours, and not to a route for what is critical only.
        link: of TensorBoard or another page, shown in each message.
    """

    routes: tuple[Route, ...] = ()
    quiet: tuple[Quiet, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    receivers: Mapping[str, Mapping[str, Any] | Receiver] = field(default_factory=dict)
    group_wait: float = 30.0
    group_interval: float = 300.0
    repeat_interval: float = 4 * 3600.0
    resolve_after: float = 300.0
    budget_per_hour: int = 20
    stall_after: float = 1800.0
    digest: float = 0.0
    link: str = ""

    def __post_init__(self) -> None:
        for name in ("group_wait", "group_interval", "repeat_interval", "resolve_after", "stall_after"):
            object.__setattr__(self, name, seconds(getattr(self, name), name))
        object.__setattr__(self, "digest", _digest(self.digest))
        if type(self.budget_per_hour) is not int or not 1 <= self.budget_per_hour <= 1000:
            raise ConfigError(
                f"`budget_per_hour` must be a whole number from 1 to 1000 (got {self.budget_per_hour!r})."
            )
        if not isinstance(self.link, str) or (self.link and not re.fullmatch(r"https?://[^\s<>|]{1,500}", self.link)):
            raise ConfigError(f"`link` must be an http or https address (got {self.link!r:.80}).")

    @classmethod
    def to(cls, *receivers: str | Receiver) -> Rules:
        """Return the defaults, with everything worth waking someone going to `receivers`: names, or receivers.

        Raises:
            ConfigError: if one of them is neither.
        """
        made: dict[str, Receiver] = {}
        names = [_name_of(receiver, made) for receiver in receivers]
        return cls(routes=(Route(tuple(names)),), receivers=made)

    @property
    def names(self) -> tuple[str, ...]:
        """The receivers that any route leads to, each once."""
        return tuple(dict.fromkeys(name for route in self.routes for name in route.receivers))

    def for_receiver(self, receiver: str, run: str) -> tuple[Route, ...]:
        """The routes of this run that lead to `receiver`."""
        return tuple(route for route in self.routes if receiver in route.receivers and route.is_for(run))


def _name_of(receiver: object, made: dict[str, Receiver]) -> str:
    """The name of a receiver in the rules; one that was made by hand is put into `made`, under a name of its own."""
    if isinstance(receiver, Receiver):
        plain = receiver.name or type(receiver).__name__.lower()
        name = next(name for n in count(1) if (name := plain if n == 1 else f"{plain}-{n}") not in made)
        made[name] = receiver
        return name
    if isinstance(receiver, str) and receiver:
        return receiver
    hint = f": write {receiver.__name__}()" if isinstance(receiver, type) and issubclass(receiver, Receiver) else ""
    raise ConfigError(f'a receiver must be a name such as "slack", or a Receiver (got {receiver!r:.80}){hint}.')


def load_rules(path: str | os.PathLike[str]) -> Rules:
    """Read rules from a TOML file.

    Raises:
        ConfigError: if it cannot be read or says something it may not, naming file, place and what it may say.
    """
    file = Path(path)
    text = _text_of(file)
    if any(line.count(".") > MOST_DOTS for line in text.splitlines()):
        raise ConfigError(f"{file}: a line with more than {MOST_DOTS} dots; no rule has a name of so many parts.")
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as fault:  # also an integer of more digits than Python reads
        raise ConfigError(f"{file}: this is no TOML: {str(fault)[:200]}.") from None
    try:
        return _rules(data)
    except ConfigError as fault:
        raise ConfigError(f"{file}: {fault}") from None
    except OverflowError:
        raise ConfigError(f"{file}: a number in it is larger than any that can be meant.") from None


def _text_of(file: Path) -> str:
    try:
        # a pipe that nobody writes to would hang an open, so look before opening
        if not stat.S_ISREG(os.stat(file).st_mode):
            raise ConfigError(f"{file}: a rules file must be a regular file.")
        with file.open("rb") as stream:
            raw = stream.read(MAX_RULES_BYTES + 1)
        if len(raw) > MAX_RULES_BYTES:
            raise ConfigError(f"{file}: a rules file must be smaller than {MAX_RULES_BYTES // 1024} KiB.")
        return raw.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise ConfigError(f"{file}: this is no TOML: {str(fault)[:200]}.") from None
    except OSError as fault:
        raise ConfigError(f"The alert rules {str(file)!r} cannot be read: {fault.strerror or fault}.") from None


def _rules(data: dict[str, Any]) -> Rules:
    parts: dict[str, Any] = dict(data)
    for word, name, kind in (
        ("route", "routes", Route),
        ("quiet", "quiet", Quiet),
        ("threshold", "thresholds", Threshold),
    ):
        if word in data:
            parts.pop(word)
            parts[name] = tuple(_made(kind, f"[[{word}]]", table) for table in _tables(word, data[word]))
    if "receiver" in data:
        receivers = parts.pop("receiver")
        if not isinstance(receivers, dict) or not all(isinstance(table, dict) for table in receivers.values()):
            raise ConfigError("`receiver` must be tables such as [receiver.pager].")
        parts["receivers"] = receivers
    rules = _made(
        Rules, "the file", parts, shown={"routes": "route", "thresholds": "threshold", "receivers": "receiver"}
    )
    if not rules.routes:
        raise ConfigError('there must be at least one [[route]] with `receivers = ["slack"]`.')
    return rules


def _tables(word: str, value: object) -> list[dict[str, Any]]:
    if isinstance(value, list) and all(isinstance(table, dict) for table in value):
        return value
    raise ConfigError(f"`{word}` must be written as [[{word}]], with two brackets.")


def _made(kind: type[T], where: str, table: Mapping[str, Any], shown: Mapping[str, str] | None = None) -> T:
    known = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]  # each is a dataclass
    for key in table:
        if key not in known:
            names = [(shown or {}).get(name, name) for name in known]
            near = difflib.get_close_matches(key, names, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"it may be {', '.join(names)}."
            raise ConfigError(f"in {where}, `{key}` is nothing that can be set: {hint}")
    try:
        return kind(**table)
    except ConfigError as fault:
        raise ConfigError(f"in {where}: {fault}") from None
    except TypeError:
        needed = [
            f.name
            for f in dataclasses.fields(kind)  # type: ignore[arg-type]
            if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING and f.name not in table
        ]
        raise ConfigError(f"in {where}, `{needed[0] if needed else '?'}` is missing.") from None
