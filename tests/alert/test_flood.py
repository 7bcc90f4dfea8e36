"""A flood of findings: memory flat, few messages, everything counted."""

from __future__ import annotations

import gc
import tracemalloc
from itertools import pairwise

import pytest

from scalewatch import Run
from scalewatch.alert import Dispatcher, Rules
from scalewatch.finding import Finding, Kind, Phase, Severity
from tests.alert.timetable import MIDNIGHT, Collecting

KINDS = [kind for kind in Kind if kind is not Kind.REWOUND]


def flood(count: int, *, rounds: int = 20) -> tuple[Dispatcher, Collecting, int]:
    """`count` findings in ten seconds; the bytes that the last tenth of them have left behind."""
    now = [MIDNIGHT]
    receiver = Collecting()
    dispatcher = Dispatcher(Run("gpt"), "run-1", {"test": receiver}, Rules.to("test"), clock=lambda: now[0])
    for index in range(count):
        kind = KINDS[index % len(KINDS)]
        phase = (Phase.OPENED, Phase.CLOSED)[index // len(KINDS) % 2]
        severity = Severity.WARNING if phase is Phase.OPENED else Severity.INFO
        dispatcher.submit([Finding(kind, severity, index, index, f"{kind} {index}", {}, phase)], [])
        if index % (count // rounds) == 0:
            now[0] += 10.0 / rounds
            dispatcher.tick()
        if index == count - count // 10:
            tracemalloc.start()
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    for _ in range(720):
        now[0] += 10.0
        dispatcher.tick()
    dispatcher.close()
    return dispatcher, receiver, grown


def check(count: int) -> None:
    dispatcher, receiver, grown = flood(count)
    times = [notification.at_unix_s for notification in receiver.got]
    counted = sum(item.times for item in receiver.got[0].items if item.news) + receiver.got[0].folded

    assert grown < 128 * 1024
    assert count == dispatcher.inbox.taken
    assert 1 <= len(times) <= 20
    assert all(later - sooner >= 1.0 for sooner, later in pairwise(times))
    assert abs(counted - count / 2) <= len(KINDS), "each opening is told or counted"


def test_a_hundred_thousand_findings_in_ten_seconds() -> None:
    """They are a handful of messages, and every opening is told or counted in one of them."""
    check(100_000)


@pytest.mark.soak
def test_a_million_findings_in_ten_seconds() -> None:
    """The same, ten times as many."""
    check(1_000_000)
