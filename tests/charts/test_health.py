"""The picture of a run's health."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scalewatch.charts import Frame, Gauge, Threshold, health, incidents_of
from scalewatch.errors import ConfigError
from scalewatch.finding import Finding, Kind, Severity
from tests.charts.reading import layers_of, texts_of, values_of

STEP = np.arange(1.0, 200_001.0)
QUIET = np.random.default_rng(0).standard_normal(len(STEP)).astype(np.float32)
LINES = [Threshold(4.0, "a spike"), Threshold(6.0, "a bad batch")]


def test_the_thresholds_are_seen_on_a_quiet_run() -> None:
    """Without them one does not know that the scatter is nothing."""
    chart = health(STEP, np.clip(QUIET, -2, 2), Frame("t"), thresholds=LINES)
    domain = layers_of(chart, "line")[0]["encoding"]["y"]["scale"]["domain"]

    assert domain[1] > 6.0
    assert {"a spike", "a bad batch"} == set(texts_of(chart))


def test_one_row_far_above_is_in_the_picture() -> None:
    """As high as it was, if by an arrow."""
    sigmas = QUIET.copy()
    sigmas[123_456] = 90.0
    chart = health(STEP, sigmas, Frame("t"), thresholds=LINES)

    assert 90.0 == max(row["high"] for row in chart.to_dict()["datasets"]["rows"])
    assert "90.0 sigma" in chart.to_dict()["usermeta"]["scalewatch"]["sentence"]


def test_each_gauge_has_its_panel_with_its_limit_where_it_comes_near() -> None:
    """A limit that is a thousand times away would press the line flat."""
    far, near = (Gauge(name, STEP[::8], high + 0 * STEP[::8], 1e3) for name, high in (("far", 1.0), ("near", 900.0)))
    panels = health(STEP, QUIET, Frame("t"), gauges=[far, near]).to_dict()["vconcat"]
    limits = [{"values": [{"value": 1e3}]} in [layer.get("data") for layer in panel["layer"]] for panel in panels]

    assert ["far", "near"] == [panel["title"]["text"] for panel in panels[1:]]
    assert [False, False, True] == limits


def test_a_row_of_bars_for_each_kind_of_incident() -> None:
    """What is open says so."""
    findings = [
        Finding(Kind.SPIKE, Severity.WARNING, 100, 90, "up"),
        Finding(Kind.BAD_BATCH, Severity.INFO, 5, 5, "odd"),
    ]
    chart = health(STEP, QUIET, Frame("t"), incidents=incidents_of(findings, {Kind.SPIKE}, 200_000))
    bars = [row for layer in layers_of(chart, "rule") for row in values_of(layer) if "incident" in row]

    assert {"spike", "bad batch"} == {row["what"] for row in bars}
    assert "open" in json.dumps(chart.to_dict()["vconcat"][-1])


def test_a_run_whose_level_is_not_known_yet_says_so() -> None:
    """In a sentence that says what it takes."""
    with pytest.raises(ConfigError, match="takes some rows"):
        health(STEP[:3], np.full(3, np.nan), Frame("t"))
