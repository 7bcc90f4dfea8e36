"""The picture of a run on its way holds what happened, what was promised and what is forecast, whatever the window."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
import vl_convert
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scalewatch.charts import Beside, Ending, Fan, Frame, OtherRun, Ribbon, RunAxis, RunRows, incidents_of, run_panel
from scalewatch.errors import ConfigError
from scalewatch.finding import Finding, Kind, Phase, Severity
from tests.charts.gallery import CHARTS, PLAIN
from tests.charts.reading import layers_of, values_of

ROWS = 1_000_000
STEP = np.arange(1.0, ROWS + 1.0)
LOSS = (2.0 + 3.0 * STEP**-0.2).astype(np.float32)
#: What one answer of the server may take, with room for a slow machine [s], and its size [bytes].
CPU_SECONDS, MOST_BYTES = 0.5, 300_000


def spiked(at: int, height: float = 17.0) -> np.ndarray:
    loss = LOSS.copy()
    loss[at] = height
    return loss


def rows_of(chart: Any) -> list[dict[str, Any]]:
    """The stretches that the panels draw."""
    rows: list[dict[str, Any]] = chart.to_dict()["datasets"]["rows"]
    return rows


def y_domain(chart: Any, panel: int = 0) -> list[float]:
    layers = chart.to_dict()["vconcat"][panel]["layer"]
    scales = (layer["encoding"].get("y", {}).get("scale") for layer in layers)
    domain: list[float] = next(scale["domain"] for scale in scales if scale)
    return domain


def page(step: int, kind: Kind = Kind.SPIKE, severity: Severity = Severity.WARNING) -> Finding:
    return Finding(kind, severity, step, step, "what happened")


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("at", [40_000, 654_321, 999_999])
def test_a_spike_of_one_step_in_a_million_is_drawn_with_its_height(at: int, log: bool) -> None:
    """Its stretch reaches up to it, and where it leaves the axis an arrow tells how high it is."""
    chart = run_panel(RunRows(STEP, spiked(at)), Frame("t"), axis=RunAxis(log=log), log_y=log)

    assert 17.0 == max(row["high"] for row in rows_of(chart))
    arrows = [row["high"] for layer in layers_of(chart, "point") for row in values_of(layer) if "high" in row]
    assert [17.0] == arrows
    assert y_domain(chart)[1] < 10


def test_a_window_holds_its_rows_one_by_one_and_its_spike_whole() -> None:
    """Zooming in draws finer, until each row is there; the spike then fits the axis."""
    chart = run_panel(RunRows(STEP, spiked(500_000)), Frame("t"), axis=RunAxis(window=(499_901, 500_100)))

    assert np.arange(499_901, 500_101).tolist() == [row["x"] for row in rows_of(chart)]
    assert y_domain(chart)[1] > 17
    assert chart.to_dict()["usermeta"]["scalewatch"]["zoomed"]


def test_all_panels_lie_over_one_axis_and_only_the_lowest_labels_it() -> None:
    """So that what the gradient norm did stands under what the loss did."""
    chart = run_panel(RunRows(STEP, LOSS, learning_rates=LOSS, grad_norms=LOSS), Frame("t"), axis=RunAxis(log=True))
    panels = chart.to_dict()["vconcat"]
    xs = [
        [layer["encoding"]["x"] for layer in panel["layer"] if layer["encoding"].get("x", {}).get("scale")]
        for panel in panels
    ]

    assert 3 == len(panels)
    assert 1 == len({json.dumps(x["scale"]) for panel in xs for x in panel})
    assert [False, False, True] == [all(x["axis"]["labels"] for x in panel) for panel in xs]


def test_a_panel_without_values_is_left_out() -> None:
    """No gradient norms, no panel of them."""
    chart = run_panel(RunRows(STEP, LOSS, learning_rates=LOSS, grad_norms=np.nan * LOSS), Frame("t"))

    assert 2 == len(chart.to_dict()["vconcat"])


def test_what_a_click_needs_stands_in_each_mark_of_an_incident() -> None:
    """Its place among the findings; the worst it became, from its beginning to its close."""
    findings = [
        page(100, Kind.BAD_BATCH, Severity.INFO),
        page(300_000),
        Finding(Kind.SPIKE, Severity.CRITICAL, 300_100, 300_000, "worse", phase=Phase.ESCALATED),
        Finding(Kind.SPIKE, Severity.INFO, 320_000, 300_000, "over", phase=Phase.CLOSED),
        page(900_000, Kind.OFF_LAW),
    ]
    incidents = incidents_of(findings, {Kind.OFF_LAW}, ROWS)
    chart = run_panel(RunRows(STEP, LOSS), Frame("t"), beside=Beside(incidents=incidents))
    marked = {
        row["incident"]: row for layer in layers_of(chart, "point") for row in values_of(layer) if "incident" in row
    }

    assert [0, 1, 4] == sorted(marked)
    assert ("critical", 300_000, 320_000) == (marked[1]["severity"], marked[1]["x"], marked[1]["end"])
    assert ROWS == marked[4]["end"]
    # not by colour alone
    assert 3 == len({row["shape"] for row in marked.values()})


def test_of_a_thousand_incidents_the_pages_are_kept() -> None:
    """The picture does not become a carpet of notes, nor an answer of megabytes."""
    notes = [page(step, Kind.BAD_BATCH, Severity.INFO) for step in range(1_000, 900_000, 900)]
    chart = run_panel(
        RunRows(STEP, LOSS), Frame("t"), beside=Beside(incidents=incidents_of([*notes, page(950_000)], set(), ROWS))
    )
    marked = [row for layer in layers_of(chart, "point") for row in values_of(layer) if "incident" in row]

    assert "spike" in {row["what"] for row in marked}
    assert len(marked) < 200


def test_the_promise_the_fan_and_both_predictions_of_the_end_are_drawn() -> None:
    """Up to the planned end, which the axis holds."""
    grid = np.linspace(1e5, 1.5e6, 300)
    law = 2.0 + 3.0 * grid**-0.2
    ahead = law[-80:]
    chart = run_panel(
        RunRows(STEP, LOSS),
        Frame("t"),
        axis=RunAxis(end=1.5e6),
        beside=Beside(
            baseline=Ribbon("the law", grid, law, 0.99 * law, 1.01 * law),
            fan=Fan("now", grid[-80:], ahead, tuple((ahead * (1 - w), ahead * (1 + w)) for w in (0.03, 0.02, 0.01))),
            registered=Ending("registered", 1.5e6, 2.2, 2.1, 2.3),
            today=Ending("today", 1.5e6, 2.25, 2.2, 2.3),
        ),
    )
    text = json.dumps(chart.to_dict())
    said = {row.get("what") for layer in layers_of(chart, "rule") for row in values_of(layer)}

    assert 4 == len(layers_of(chart, "area"))
    assert {"registered", "today"} <= said
    assert chart.to_dict()["usermeta"]["scalewatch"]["domain"][1] >= 1.5e6
    assert "the law" in text
    assert "2.250" in chart.to_dict()["usermeta"]["scalewatch"]["sentence"]


def test_rows_without_a_loss_are_marked() -> None:
    """A gap of three steps in a million would not be seen."""
    loss = LOSS.copy()
    loss[700_000:700_003] = math.nan
    points = layers_of(run_panel(RunRows(STEP, loss), Frame("t")), "point")
    crosses = [row for layer in points for row in values_of(layer) if set(row) == {"x", "rows"}]

    assert [3] == [row["rows"] for row in crosses]
    assert pytest.approx(700_000, rel=0.01) == crosses[0]["x"]


def test_the_zoom_and_the_hair_line_are_signals_of_the_page() -> None:
    """The front end listens to `zoom`, which holds a part of the x axis."""
    vega = vl_convert.vegalite_to_vega(CHARTS["run_panel"](PLAIN).to_dict())

    assert {"zoom", "hover"} <= {signal["name"] for signal in vega["signals"]}


@pytest.mark.parametrize("name", ["run_panel", "health", "forecast_history", "schedule_comparison"])
def test_a_plain_specification_follows_the_schema(name: str) -> None:
    """It is written without altair, which would have checked it."""
    CHARTS[name](PLAIN).to_dict(validate=True)


def test_it_is_made_in_milliseconds_and_without_altair() -> None:
    """A server makes it anew every few seconds, of a million rows."""
    run_panel(RunRows(STEP, LOSS), Frame("t"))
    began = time.process_time()
    spec = run_panel(RunRows(STEP, LOSS, learning_rates=LOSS, grad_norms=LOSS), Frame("t")).to_dict()

    assert time.process_time() - began < CPU_SECONDS
    assert len(json.dumps(spec, allow_nan=False)) < MOST_BYTES
    code = "from tests.charts.gallery import run_panel as draw; import sys; draw('t'); print('altair' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "False" == found.stdout.strip()


odd = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -1.0, 1e38, 1e-38, 3.0])


@given(
    st.integers(1, 40).flatmap(
        lambda n: st.tuples(*(hnp.arrays(np.float32, n, elements=st.floats(2, 5, width=32) | odd) for _ in range(3)))
    ),
    st.none() | st.tuples(st.floats(-10, 60), st.floats(-10, 60)),
    st.booleans(),
    st.booleans(),
)
def test_whatever_the_rows_and_the_window_the_numbers_are_finite_or_it_says_why(
    columns: tuple[np.ndarray, ...], window: tuple[float, float] | None, log_x: bool, log_y: bool
) -> None:
    """Strict JSON with axes that go up, or a sentence."""
    loss, rates, norms = columns
    step = np.arange(1.0, len(loss) + 1.0)
    try:
        chart = run_panel(
            RunRows(step, loss, learning_rates=rates, grad_norms=norms),
            Frame("t"),
            axis=RunAxis(window=window, log=log_x),
            log_y=log_y,
        )
    except ConfigError:
        assert not np.any(np.isfinite(loss) & ((loss > 1e-30) | (not log_y)))
        return
    json.dumps(chart.to_dict(), allow_nan=False)
    for panel in range(len(chart.to_dict()["vconcat"])):
        low, high = y_domain(chart, panel)
        assert low < high


def test_a_window_beyond_the_rows_shows_what_is_forecast_there() -> None:
    """Or, without a forecast, says that nothing is known."""
    ahead = np.linspace(1e6, 2e6, 50)
    fan = Fan("now", ahead, 0 * ahead + 2.2, ((0 * ahead + 2.1, 0 * ahead + 2.3),))
    chart = run_panel(
        RunRows(STEP, LOSS), Frame("t"), axis=RunAxis(window=(1.5e6, 1.8e6), end=2e6), beside=Beside(fan=fan)
    )

    assert [1.5e6, 1.8e6] == chart.to_dict()["usermeta"]["scalewatch"]["domain"]
    low, high = y_domain(chart)
    assert low < 2.1
    assert high > 2.3


def test_other_runs_are_told_apart_without_colour() -> None:
    """Eight at most, each with its own pair of colour and dashes, and the reference apart."""
    others = [OtherRun("the same name", STEP, LOSS * (1 + 0.1 * place)) for place in range(12)]
    spec = run_panel(
        RunRows(STEP, LOSS), Frame("t"), beside=Beside(others=others, reference=OtherRun("best", STEP, LOSS))
    ).to_dict()
    dashes = spec["vconcat"][0]["layer"][0]["encoding"]["strokeDash"]["scale"]

    assert 1 + 8 + 1 == len(dashes["domain"]) == len(set(dashes["domain"]))
    assert len({tuple(dash) for dash in dashes["range"]}) >= 4


@pytest.mark.parametrize("bad", [{"losses": LOSS[1:]}, {"grad_norms": LOSS[1:]}, {"learning_rates": LOSS[:1]}])
def test_columns_that_do_not_match_are_refused(bad: dict[str, np.ndarray]) -> None:
    """With the shape that they should have."""
    with pytest.raises(ConfigError, match=r"shape of `x` \(got \(1000000,\)\)"):
        run_panel(RunRows(**{"x": STEP, "losses": LOSS} | bad), Frame("t"))


def test_a_run_without_a_finite_loss_says_so() -> None:
    """An empty picture would look like a fault of the page."""
    with pytest.raises(ConfigError, match="no finite loss to draw"):
        run_panel(RunRows(STEP[:9], np.nan * STEP[:9]), Frame("t"))
