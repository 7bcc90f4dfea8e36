"""The charts of the Run, Health and Forecast panels, from records as the server holds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalewatch.charts.x_axis import XUnit
from scalewatch.laws import load_law
from scalewatch_tensorboard.runs.columns import Columns
from scalewatch_tensorboard.runs.registry import RunRegistry
from scalewatch_tensorboard.views.figures import FIGURES
from scalewatch_tensorboard.views.figures.across import Across
from scalewatch_tensorboard.views.request import AxesRequest, ChartRequest
from tests.scalewatch_tensorboard.logs import DONE, HOSTILE, SPIKE_STEP, TOTAL, event_log, zoo
from tests.scalewatch_tensorboard.registries import registry_of
from tests.synthetic import TOKENS_PER_STEP

#: Bytes of one chart.
MOST_BYTES = 300_000


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> RunRegistry:
    """One run of each kind, and a law."""
    folder = tmp_path_factory.mktemp("zoo")
    law = zoo(folder)
    return registry_of(folder, law, load_law(law))


def drawn(registry: RunRegistry, chart: str, run: str, **asked: Any) -> dict[str, Any]:
    """One chart, as strict JSON."""
    state = registry.find(run)
    assert state is not None
    spec = FIGURES[chart](state, ChartRequest(**asked), registry)
    assert len(json.dumps(spec, allow_nan=False)) < MOST_BYTES
    return spec


def meta(spec: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = spec["usermeta"]["scalewatch"]
    return found


def test_a_run_on_its_way_has_its_law_its_fan_and_its_spike(registry: RunRegistry) -> None:
    """What was registered stands against what is forecast now, and the spike is the finding of its place."""
    spec = drawn(registry, "run", "live", dark=True)
    text, state = json.dumps(spec), registry.find("live")
    assert state is not None

    assert "its law, before the start: ends at" in text
    assert "forecast now: ends at" in text
    domain = meta(spec)["domain"]
    assert domain[1] >= TOTAL
    marked = [
        row
        for layer in spec["vconcat"][0]["layer"]
        for row in layer.get("data", {}).get("values", [])
        if "incident" in row
    ]
    kinds = {state.findings[row["incident"]].kind: row for row in marked}
    assert SPIKE_STEP - 5 <= kinds["spike"]["x"] <= SPIKE_STEP + 5
    assert kinds["spike"]["end"] < DONE


@pytest.mark.parametrize(("unit", "end"), [("tokens", TOTAL * TOKENS_PER_STEP), ("flops", None), ("steps", TOTAL)])
def test_the_axis_that_was_asked_for_reaches_to_the_planned_end(
    registry: RunRegistry, unit: XUnit, end: float | None
) -> None:
    """In its own unit; compute is six times parameters and tokens."""
    state = registry.find("live")
    assert state is not None
    expected = 6.0 * (state.run.parameters or 0) * TOTAL * TOKENS_PER_STEP if end is None else end

    assert expected <= meta(drawn(registry, "run", "live", axes=AxesRequest(x=unit)))["domain"][1] <= 1.05 * expected


def test_hours_go_on_at_the_pace_of_the_last_rows(registry: RunRegistry) -> None:
    """Half a second a step, also of the steps that are to come."""
    state = registry.find("old")
    assert state is not None
    across = Across("hours", state.columns(), state.run)

    assert pytest.approx([0.0, 0.5 * (TOTAL - 1) / 3600], abs=1e-6) == across.of([1, TOTAL]).tolist()


def test_an_axis_that_a_run_does_not_have_is_said(registry: RunRegistry) -> None:
    """With what is missing."""
    assert "no axis of hours" in drawn(registry, "run", "live", axes=AxesRequest(x="hours"))["empty"]


def test_a_clock_that_was_set_back_never_turns_the_axis_round() -> None:
    """Nor does a row without a time leave a hole in it."""
    none = np.full(5, np.nan, np.float32)
    seconds = np.array([100.0, 160.0, np.nan, 130.0, 280.0])
    columns = Columns(np.arange(1, 6), none, none, none, seconds, none, none)
    across = Across("hours", columns, None)  # type: ignore[arg-type]  # hours need nothing of the plan

    assert bool(np.all(np.diff(across.rows) >= 0))
    assert bool(np.all(np.isfinite(across.of([0, 1, 3, 9]))))


def test_a_window_is_cut_to_its_rows(registry: RunRegistry) -> None:
    """Each row of it is drawn."""
    spec = drawn(registry, "run", "live", axes=AxesRequest(window=(SPIKE_STEP - 10.0, SPIKE_STEP + 10.0)))

    assert 21 == len(spec["datasets"]["rows"])
    assert meta(spec)["zoomed"]


def test_runs_are_compared_by_name(registry: RunRegistry) -> None:
    """Whatever they are called."""
    other, best = registry.find(HOSTILE), registry.find("old")
    assert other is not None
    assert best is not None
    text = json.dumps(drawn(registry, "run", "live", compare=(other,), reference=best))

    assert json.dumps(HOSTILE)[1:-1] in text
    assert "reference: old" in text


def test_health_shows_the_noise_and_what_was_wrong(registry: RunRegistry) -> None:
    """With the thresholds of the detectors themselves."""
    spec = drawn(registry, "health", "live")
    titles = [panel.get("title", {}).get("text", "") for panel in spec["vconcat"]]

    assert "noise of one row of the loss [%]" in titles
    assert "incidents" == titles[-1]
    assert "two rows running are a spike" in json.dumps(spec)


def test_the_forecast_is_held_against_what_came(registry: RunRegistry) -> None:
    """Once for each stretch that is over; the promise stands beside it."""
    said = meta(drawn(registry, "forecast", "live"))["sentence"]

    assert "registered before the start" in said
    assert "80 % band" in said


def test_a_run_without_a_known_end_says_what_to_do(tmp_path: Path) -> None:
    """And one without a finite loss says that."""
    event_log(tmp_path / "lost", np.full(30, np.nan))
    registry = registry_of(tmp_path)

    assert "planned" in drawn(registry, "forecast", "lost")["empty"]
    assert "no finite loss" in drawn(registry, "run", "lost")["empty"]
    assert "level" in drawn(registry, "health", "lost")["empty"]
