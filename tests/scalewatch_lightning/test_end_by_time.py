"""A run that the clock ends says at which step that will be, by the speed of its steps so far."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from scalewatch.journal import Journal
from scalewatch_lightning.end_by_time import TellsEnd
from tests.scalewatch_lightning.conftest import TinyText

SECONDS = 1_000.0
SENTENCE = re.compile(r"by `max_time` .* after about ([\d,]+) steps \(80 %: ([\d,]+) to ([\d,]+)\)")


def told(speeds: Callable[[float], float]) -> tuple[list[tuple[int, int, int]], int]:
    """What is told of a run whose steps per second are a function of the time, and at which step it really ends."""
    now, step, notes = 0.0, 0, list[str]()
    end = TellsEnd(SECONDS, lambda: now, notes.append)
    while now < SECONDS:
        now += 1.0 / speeds(now)
        step += 1
        end.after_step(step)
    found = [SENTENCE.search(note) for note in notes]
    return [tuple(int(part.replace(",", "")) for part in m.groups()) for m in found if m], step  # type: ignore[misc]


def test_a_steady_run_ends_where_it_was_told_to() -> None:
    """Twice told, at a tenth and at half of the time; a slow start is left out."""
    ends, step = told(lambda now: 2.0 if now < 15 else 20.0)

    assert 2 == len(ends)
    for middle, low, high in ends:
        assert low <= step <= high
        assert pytest.approx(step, rel=0.01) == middle


def test_the_interval_holds_what_it_says_where_speeds_scatter() -> None:
    """Stretches of 20 s that are 10 % faster or slower than the run, by chance."""
    inside = []
    for seed in range(60):
        factors = np.exp(0.1 * np.random.default_rng(seed).standard_normal(60))
        ends, step = told(lambda now, factors=factors: 10.0 * float(factors[min(int(now / 20), 59)]))  # type: ignore[misc]
        inside += [low <= step <= high for _, low, high in ends]

    assert 120 == len(inside)
    assert 0.75 <= np.mean(inside) <= 0.97


def test_a_fit_under_max_time_tells_its_end_on_the_way(watched: Callable[..., Journal]) -> None:
    """In the journal too, where there is a note of why there is no forecast."""
    journal = watched(TinyText(), max_steps=-1, max_epochs=200_000, max_time={"seconds": 1})
    notes = [record["text"] for record in journal.others if record["type"] == "note"]

    assert any("it is `max_time` that ends it" in note for note in notes)
    assert any(SENTENCE.search(note) for note in notes)
