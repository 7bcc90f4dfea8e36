"""What is measured inside the model is a note when it jumps, and evidence for whoever looks for a cause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pytest

from scalewatch.detect import DetectorSet
from scalewatch.detect.precursor import MAX_NAMES, MAX_NOTES, Precursor
from scalewatch.finding import Finding, Kind, Phase, Severity
from scalewatch.guard import Guard
from scalewatch.observation import Observation
from scalewatch.run import Run


def show(rows: Iterable[Mapping[str, Any] | None], watch: DetectorSet | None = None) -> list[Finding]:
    """The findings about precursors, one row every 8 steps, with a loss that says nothing."""
    watch = watch or DetectorSet(Run("test"), Guard())
    noise = np.random.default_rng(3)
    found = []
    for step, row in enumerate(rows, start=1):
        found += watch.observe(Observation(8 * step, 3.0 + noise.normal(0, 0.01), precursors=row))
    return [finding for finding in found if finding.kind is Kind.PRECURSOR]


def series(name: str, rows: int = 200, level: float = 1.0, scatter: float = 0.1, seed: int = 0) -> list[dict[str, Any]]:
    values = level * np.exp(np.random.default_rng(seed).normal(0, scatter, rows))
    return [{name: float(v)} for v in values]


@pytest.mark.parametrize(
    ("name", "level", "jump"),
    [("update_rms", 1.0, 4.0), ("log_z", 6.0, 14.0), ("attention_logit", 12.0, 60.0), ("grad_norm/head", 0.2, 2.0)],
)
def test_a_jump_is_one_note_that_opens_and_closes(name: str, level: float, jump: float) -> None:
    """At the row where it happens, with its value, its level and its name; never more than info."""
    rows = series(name, level=level, scatter=0.04)
    rows[120] = {name: jump}

    found = show(rows)

    assert [(Phase.OPENED, 8 * 121), (Phase.CLOSED, 8 * 129)] == [(f.phase, f.step) for f in found]
    assert {Severity.INFO} == {f.severity for f in found}
    assert (name, jump) == (found[0].evidence["precursor"], found[0].evidence["value"])
    assert pytest.approx(level, rel=0.1) == found[0].evidence["level"]


@pytest.mark.parametrize("name", ["update_rms", "attention_logit", "noise_scale", "grad_norm/mlp"])
@pytest.mark.parametrize("scatter", [0.02, 0.1, 0.3])
def test_noise_is_no_note(name: str, scatter: float) -> None:
    """5,000 rows of log-normal scatter, that is 40,000 steps."""
    assert [] == show(series(name, 5000, level=2.0, scatter=scatter))


@pytest.mark.parametrize("scatter", [0.02, 0.1, 0.5])
def test_noise_of_log_z_is_no_note(scatter: float) -> None:
    """It is a logarithm already, so its scatter is that of a sum."""
    values = np.random.default_rng(0).normal(-6.0, scatter, 5000)

    assert [] == show([{"log_z": float(v)} for v in values])


def test_a_slow_change_is_no_note() -> None:
    """What doubles over 2,000 steps, as norms do in the course of a training, is its level."""
    rows = [{"grad_norm/mlp": 0.1 * 2 ** (i / 250) * (1 + 0.05 * (i % 3))} for i in range(500)]

    assert [] == show(rows)


def test_an_update_that_is_not_large_is_no_note() -> None:
    """2 times its level but below 2.3, which no spike is known to follow."""
    rows = series("update_rms", level=0.9, scatter=0.01)
    rows[100] = {"update_rms": 2.0}

    assert [] == show(rows)


def test_the_attention_logit_speaks_at_the_limits_that_are_known() -> None:
    """However slowly it gets there: at 1,000 and at 10,000, once each, and the incident stays open."""
    watch = DetectorSet(Run("test"), Guard())

    found = show([{"attention_logit": 10 * 1.01**i} for i in range(750)], watch)

    assert [1e3, 1e4] == [f.evidence["level"] for f in found]
    assert [Phase.OPENED, Phase.ESCALATED] == [f.phase for f in found]
    assert "every run above 10,000" in found[1].message
    assert Kind.PRECURSOR in {f.kind for f in watch.open_incidents}


def test_one_name_is_the_reason_of_a_few_notes_only() -> None:
    """A name that jumps again and again is silent from the fourth time on; the evidence for causes goes on."""
    watch = DetectorSet(Run("test"), Guard())
    rows = series("update_rms", 800, scatter=0.02)
    for at in range(50, 800, 50):
        rows[at] = {"update_rms": 5.0}

    found = show(rows, watch)

    assert MAX_NOTES == sum(f.phase is Phase.OPENED for f in found)
    detector = next(d for d in watch._detectors.values() if isinstance(d, Precursor))
    assert (8 * 751, 8 * 751, ["update_rms"]) == (detector.high_step, detector.high_last, detector.up)


def test_names_that_rise_together_are_one_note() -> None:
    """The farthest first; a further one later adds a finding to the same incident."""
    noise = np.random.default_rng(0).normal(0, 0.03, (200, 3))
    rows = [{"update_rms": float(np.exp(a)), "log_z": 6 + b, "grad_norm/mlp": float(np.exp(c))} for a, b, c in noise]
    for at, name, value in [(100, "update_rms", 9.0), (100, "grad_norm/mlp", 4.0), (103, "log_z", 19.0)]:
        rows[at][name] = value

    found = show(rows)

    assert [Phase.OPENED, Phase.ESCALATED, Phase.CLOSED] == [f.phase for f in found]
    assert "update_rms, grad_norm/mlp" == found[0].evidence["names"]
    assert "update_rms, grad_norm/mlp, log_z" == found[1].evidence["names"]


def test_a_new_level_is_taken_up() -> None:
    """What stays up is usual after the rows that its level is made of; then the same jump is seen from there."""
    rows = series("noise_scale", 300, level=1.0, scatter=0.03)
    for row in rows[100:]:
        row["noise_scale"] *= 5.0
    rows[250] = {"noise_scale": 25.0}

    found = show(rows)

    assert [101, 251] == [f.step // 8 for f in found if f.phase is Phase.OPENED]


def test_rows_without_precursors_are_passed_over() -> None:
    """They neither calm an incident nor count as anything."""
    rows: list[dict[str, Any] | None] = []
    for row in [*series("update_rms", 60, scatter=0.02), {"update_rms": 6.0}, *series("update_rms", 7, scatter=0.02)]:
        rows += [row, None, None]

    assert [Phase.OPENED] == [f.phase for f in show(rows)]


@pytest.mark.parametrize(
    "odd", [[], "abc", {"update_rms": "4"}, {"update_rms": float("nan")}, {3: 9.0}, {"log_z": 1e308}, {"a": -1.0}]
)
def test_odd_values_are_no_measurement(odd: Any) -> None:
    """They are passed over, and the next jump is found as ever."""
    rows: list[Any] = series("update_rms", scatter=0.02)
    rows[90:90] = [odd] * 5
    rows[150] = {"update_rms": 5.0}

    assert [151] == [f.step // 8 for f in show(rows) if f.phase is Phase.OPENED]


def test_there_is_room_for_so_many_names() -> None:
    """More than 32 are not followed: memory is bounded."""
    watch = DetectorSet(Run("test"), Guard())

    show([{f"name_{i}": 1.0 for i in range(200)}] * 40, watch)

    detector = next(d for d in watch._detectors.values() if isinstance(d, Precursor))
    assert MAX_NAMES == len(detector.tracks.tracks)
