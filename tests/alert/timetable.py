"""A timetable: what happens when, and which messages are wanted when; on a clock that is turned by hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from scalewatch import Run
from scalewatch.alert import DeliveryError, Dispatcher, Notification, Receiver, Rules
from scalewatch.finding import Finding, Kind, Phase, Severity

#: 2026-01-05, a Monday, 00:00 UTC [Unix seconds].
MIDNIGHT = 1767571200.0


class Collecting(Receiver):
    """Keeps what it is sent; refuses while it is told to."""

    name = "test"

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Notification] = []
        self.refuses: DeliveryError | None = None

    def send(self, notification: Notification, timeout: float) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.got.append(notification)


class Message(NamedTuple):
    clock: str
    title: str
    notification: Notification


def seconds(clock: str) -> float:
    hours, minutes, rest = clock.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


def clock(at: float) -> str:
    whole = round(at - MIDNIGHT)
    return f"{whole // 3600:02}:{whole % 3600 // 60:02}:{whole % 60:02}"


class Timetable:
    """`at("19:00:00").opens("spike")`, then `run("20:00:00")` returns the messages with their times."""

    def __init__(self, rules: Rules | None = None, folder: Path | None = None, begins: str = "00:00:00") -> None:
        self.now = MIDNIGHT + seconds(begins)
        self.receiver = Collecting()
        self.rules = Rules.to("test") if rules is None else rules
        self.folder = folder
        self.dispatcher = self._new()
        self._plan: deque[tuple[float, Callable[[], None]]] = deque()
        self._at = self.now
        self.step = 0
        self.messages: list[Message] = []

    def _new(self) -> Dispatcher:
        return Dispatcher(
            Run("gpt"), "run-1", {"test": self.receiver}, self.rules, folder=self.folder, clock=lambda: self.now
        )

    def at(self, clock: str) -> Timetable:
        self._at = MIDNIGHT + seconds(clock)
        return self

    def _say(self, kind: str, severity: str, phase: Phase, step: int | None) -> Timetable:
        def happens() -> None:
            at = self.step if step is None else step
            self.dispatcher.submit([Finding(Kind(kind), Severity(severity), at, at, f"{kind} {phase}", {}, phase)], [])

        return self.does(happens)

    def does(self, what: Callable[[], None]) -> Timetable:
        self._plan.append((self._at, what))
        return self

    def opens(self, kind: str, severity: str = "warning", step: int | None = None) -> Timetable:
        return self._say(kind, severity, Phase.OPENED, step)

    def escalates(self, kind: str, step: int | None = None) -> Timetable:
        return self._say(kind, "critical", Phase.ESCALATED, step)

    def closes(self, kind: str, step: int | None = None) -> Timetable:
        return self._say(kind, "info", Phase.CLOSED, step)

    def restarts(self, step: int | None = None) -> Timetable:
        """Killed without a word, and started again from a checkpoint of `step`."""

        def happens() -> None:
            self.dispatcher.abandon()
            self.dispatcher = self._new()
            self.step = self.step if step is None else step

        return self.does(happens)

    def run(self, until: str, *, every: float = 1.0, moving: bool = True) -> list[tuple[str, str]]:
        """Turn the clock; a step of training takes a second. What arrives, and when."""
        end = MIDNIGHT + seconds(until)
        self._plan = deque(sorted(self._plan, key=lambda entry: entry[0]))
        while self.now <= end:
            self.step += moving
            while self._plan and self._plan[0][0] <= self.now:
                self._plan.popleft()[1]()
            if moving:
                self.dispatcher.observe(self.step, 3.0)
            self.dispatcher.tick()
            while len(self.receiver.got) > len(self.messages):
                notification = self.receiver.got[len(self.messages)]
                self.messages.append(Message(clock(self.now), notification.title, notification))
            self.now += every
        return [(message.clock, message.title) for message in self.messages]
