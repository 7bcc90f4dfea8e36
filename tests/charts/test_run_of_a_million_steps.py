"""The picture of a run holds what happened in it, in a size that a browser can draw."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from scalewatch import Finding, Kind, Phase, Severity
from scalewatch.charts import Band, Frame, loss_against_law
from scalewatch.errors import ConfigError

ROWS = 1_000_000
STEPS = np.arange(1, ROWS + 1)
LOSSES = 2.0 + 3.0 * STEPS**-0.2
#: What a browser draws without a pause: rows of data in a series, and bytes of a chart.
MOST_POINTS = 2_000
MOST_BYTES = 300_000


def band(label: str = "promised by the law", steps: int = 1_000) -> Band:
    at = np.linspace(100, ROWS, steps)
    mid = 2.0 + 3.0 * at**-0.2
    return Band(label, at, mid, mid - 0.1, mid + 0.1)


def page(
    step: int, kind: Kind = Kind.SPIKE, phase: Phase = Phase.OPENED, severity: Severity = Severity.WARNING
) -> Finding:
    return Finding(kind, severity, step, step, "what happened", phase=phase)


def spec(**change: Any) -> dict[str, Any]:
    """The chart of a run of a million rows, with something changed."""
    of = {"steps": STEPS, "losses": LOSSES, "frame": Frame("a run")} | change
    made: dict[str, Any] = loss_against_law(**of).to_dict()
    return made


def rows_in(part: Any) -> Iterator[dict[str, Any]]:
    """Every row of data, in all layers of a chart."""
    if isinstance(part, dict):
        values = part.get("values")
        if isinstance(values, str):
            values = json.loads(values, parse_constant=pytest.fail)
        if isinstance(values, list) and values and isinstance(values[0], dict):
            yield from values
        for name, each in part.items():
            if name != "values":
                yield from rows_in(each)
    elif isinstance(part, list):
        for each in part:
            yield from rows_in(each)


def drawn(made: dict[str, Any], name: str) -> list[Any]:
    """All that is drawn under one name."""
    return [row[name] for row in rows_in(made) if name in row]


def text_of(made: dict[str, Any]) -> str:
    return json.dumps(made, allow_nan=False)


def test_a_million_rows_are_a_few_hundred_points() -> None:
    """The chart with all its layers stays small."""
    made = spec(baseline=band(), forecast=band("forecast at 30 %"), findings=[page(500_000)] * 50)

    assert 100 < len(drawn(made, "step")) < 3 * MOST_POINTS
    assert len(text_of(made)) < MOST_BYTES


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("at", [200_000, 999_990])
def test_a_spike_of_one_step_in_a_million_is_drawn(at: int, log: bool) -> None:
    """On either kind of axis."""
    losses = LOSSES.copy()
    losses[at] = 17.0

    assert 17.0 == max(drawn(spec(losses=losses, log_x=log, log_y=log), "high"))


def test_the_law_the_forecast_and_their_names_are_in_it() -> None:
    """And a second panel with the distance to the law, in nats."""
    plain, full = spec(), spec(baseline=band("my law"), forecast=band("my forecast"))

    assert "my law" in text_of(full)
    assert "my forecast" in text_of(full)
    assert [] == drawn(plain, "gap")
    assert pytest.approx(0.0, abs=0.02) == np.median(drawn(full, "gap"))


def test_pages_are_marked_and_notes_are_not() -> None:
    """What was worth waking someone has a line with its name; what closed or was a note has none."""
    notes = [page(300_000, Kind.BAD_BATCH, severity=Severity.INFO), page(310_000, Kind.SPIKE, Phase.CLOSED)]
    text = text_of(spec(findings=[page(200_000, Kind.DIVERGENCE), *notes]))

    assert "divergence" in text
    assert "200,000" in text
    assert "bad batch" not in text
    assert "310,000" not in text
    assert "page" in text
    assert "page" not in text_of(spec(findings=notes)).replace("/page", "")


def test_rows_that_cannot_be_drawn_are_left_out() -> None:
    """NaN, infinity and, on logarithmic axes, what has no logarithm."""
    losses = LOSSES.copy()
    losses[[100, 200_000, 300_000, 400_000]] = math.nan, math.inf, -1.0, 0.0

    assert min(drawn(spec(losses=losses, log_y=True), "low")) > 1.9
    assert max(drawn(spec(losses=losses, log_y=True), "high")) <= 5.0
    assert -1.0 == min(drawn(spec(losses=losses), "low"))


@pytest.mark.parametrize(
    ("steps", "losses"),
    [([], []), ([1, 2], [math.nan, math.inf]), ([0, -1], [3.0, 3.0]), ([math.nan], [3.0]), ([1, 2], [-1.0, 0.0])],
)
def test_no_loss_to_draw_is_a_clear_error(steps: list[float], losses: list[float]) -> None:
    """An empty picture would look like a fault of the browser."""
    with pytest.raises(ConfigError, match=r"no finite positive loss to draw"):
        loss_against_law(steps, losses, Frame("x"), log_y=True)


def test_steps_and_losses_that_do_not_match_are_a_clear_error() -> None:
    """With both shapes."""
    with pytest.raises(ConfigError, match=r"\(3,\).*\(2,\)"):
        loss_against_law([1, 2, 3], [3.0, 3.0], Frame("x"))


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize(
    "losses",
    [[3.0], [3.0, 3.0, 3.0], [1e308, 3.0, 2.0], [5e-324, 3.0], [1e-300] * 4, [1e308] * 4, [3.0, 2.0]],
    ids=["one-row", "level", "beyond", "least", "tiny", "huge", "two"],
)
def test_odd_logs_give_a_chart_of_finite_numbers(losses: list[float], log: bool) -> None:
    """One row, no spread at all, values at the ends of what a float holds: strict JSON, never a warning."""
    steps = np.arange(1, len(losses) + 1)

    assert text_of(loss_against_law(steps, losses, Frame("x"), log_x=log, log_y=log, baseline=band()).to_dict())


def test_a_title_is_text() -> None:
    """Whatever a run is called, the name stands in the chart unchanged, as data."""
    title = '</script><script>alert("1")</script>'

    assert json.dumps(title)[1:-1] in text_of(spec(frame=Frame(title)))
