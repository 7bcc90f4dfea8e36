"""The charts of the Run, Health and Forecast panels, from records as the server holds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalewatch.laws import load_law
from scalewatch_tensorboard.runs.columns import Columns
from scalewatch_tensorboard.runs.registry import RunRegistry
from scalewatch_tensorboard.views.figures import FIGURES
from scalewatch_tensorboard.views.figures.across import Across
from scalewatch_tensorboard.views.request import ChartRequest
from tests.scalewatch_tensorboard.logs import DONE, HOSTILE, SPIKE_STEP, TOTAL, event_log, zoo
from tests.scalewatch_tensorboard.records import library_of
from tests.synthetic import TOKENS_PER_STEP

#: Bytes of one chart.
MOST_BYTES = 300_000


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> RunRegistry:
    """One run of each kind, and a law."""
    folder = tmp_path_factory.mktemp("zoo")
    law = zoo(folder)
    return library_of(folder, law, load_law(law))


def drawn(library: RunRegistry, chart: str, run: str, **asked: Any) -> dict[str, Any]:
    """One chart, as strict JSON."""
    record = library.find(run)
    assert record is not None
    spec = FIGURES[chart](record, ChartRequest(**asked), library)
    assert len(json.dumps(spec, allow_nan=False)) < MOST_BYTES
    return spec


def meta(spec: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = spec["usermeta"]["scalewatch"]
    return found


def test_a_run_on_its_way_has_its_law_its_fan_and_its_spike(library: RunRegistry) -> None:
    """What was registered stands against what is forecast now, and the spike is the finding of its place."""
    spec = drawn(library, "run", "live", dark=True)
    text, record = json.dumps(spec), library.find("live")
    assert record is not None

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
    kinds = {record.findings[row["incident"]].kind.value: row for row in marked}
    assert SPIKE_STEP - 5 <= kinds["spike"]["x"] <= SPIKE_STEP + 5
    assert kinds["spike"]["end"] < DONE


@pytest.mark.parametrize(("unit", "end"), [("tokens", TOTAL * TOKENS_PER_STEP), ("flops", None), ("steps", TOTAL)])
def test_the_axis_that_was_asked_for_reaches_to_the_planned_end(
    library: RunRegistry, unit: str, end: float | None
) -> None:
    """In its own unit; compute is six times parameters and tokens."""
    record = library.find("live")
    assert record is not None
    expected = 6.0 * (record.run.parameters or 0) * TOTAL * TOKENS_PER_STEP if end is None else end

    assert expected <= meta(drawn(library, "run", "live", x=unit))["domain"][1] <= 1.05 * expected


def test_hours_go_on_at_the_pace_of_the_last_rows(library: RunRegistry) -> None:
    """Half a second a step, also of the steps that are to come."""
    record = library.find("old")
    assert record is not None
    across = Across("hours", record.columns(), record.run)

    assert pytest.approx([0.0, 0.5 * (TOTAL - 1) / 3600], abs=1e-6) == across.of([1, TOTAL]).tolist()


def test_an_axis_that_a_run_does_not_have_is_said(library: RunRegistry) -> None:
    """With what is missing."""
    assert "no axis of hours" in drawn(library, "run", "live", x="hours")["empty"]


def test_a_clock_that_was_set_back_never_turns_the_axis_round() -> None:
    """Nor does a row without a time leave a hole in it."""
    none = np.full(5, np.nan, np.float32)
    seconds = np.array([100.0, 160.0, np.nan, 130.0, 280.0])
    columns = Columns(np.arange(1, 6), none, none, none, seconds, none, none)
    record = Across("hours", columns, None)  # type: ignore[arg-type]  # hours need nothing of the plan

    assert bool(np.all(np.diff(record.rows) >= 0))
    assert bool(np.all(np.isfinite(record.of([0, 1, 3, 9]))))


def test_a_window_is_cut_to_its_rows(library: RunRegistry) -> None:
    """Each row of it is drawn."""
    spec = drawn(library, "run", "live", from_=SPIKE_STEP - 10.0, to=SPIKE_STEP + 10.0)

    assert 21 == len(spec["datasets"]["rows"])
    assert meta(spec)["zoomed"]


def test_runs_are_compared_by_name(library: RunRegistry) -> None:
    """Whatever they are called."""
    other, best = library.find(HOSTILE), library.find("old")
    assert other is not None
    assert best is not None
    text = json.dumps(drawn(library, "run", "live", compare=(other,), reference=best))

    assert json.dumps(HOSTILE)[1:-1] in text
    assert "reference: old" in text


def test_health_shows_the_noise_and_what_was_wrong(library: RunRegistry) -> None:
    """With the thresholds of the detectors themselves."""
    spec = drawn(library, "health", "live")
    titles = [panel.get("title", {}).get("text", "") for panel in spec["vconcat"]]

    assert "noise of one row of the loss [%]" in titles
    assert "incidents" == titles[-1]
    assert "two rows running are a spike" in json.dumps(spec)


def test_the_forecast_is_held_against_what_came(library: RunRegistry) -> None:
    """Once for each stretch that is over; the promise stands beside it."""
    said = meta(drawn(library, "forecast", "live"))["sentence"]

    assert "registered before the start" in said
    assert "80 % band" in said


def test_a_run_without_a_known_end_says_what_to_do(tmp_path: Path) -> None:
    """And one without a finite loss says that."""
    event_log(tmp_path / "lost", np.full(30, np.nan))
    library = library_of(tmp_path)

    assert "planned" in drawn(library, "forecast", "lost")["empty"]
    assert "no finite loss" in drawn(library, "run", "lost")["empty"]
    assert "level" in drawn(library, "health", "lost")["empty"]
