"""Charts of what was told: calibration by source, and error against progress."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt
from _forecast_tables import by_source, coverage, error, mean_of_sources
from _forecast_told import LEVELS, OURS, Told

from scalewatch.charts import save_chart
from scalewatch.charts.frame import Frame, finished
from scalewatch.charts.records import data
from scalewatch.charts.theme import DARK, LIGHT, Theme

MODES = {"own": "the run alone", "ladder": "with a ladder of smaller runs"}
#: Shapes that tell sources apart without a colour.
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-left", "triangle-right")


def draw(told: Sequence[Told], folder: Path) -> list[Path]:
    """Write both charts in both themes; return the files."""
    files = []
    for dark in (False, True):
        ending = "dark" if dark else "light"
        for name, make in (("calibration", calibration), ("error", error_against_progress)):
            files.append(save_chart(make(told, DARK if dark else LIGHT), folder / f"forecast-{name}-{ending}.png"))
    return files


def calibration(told: Sequence[Told], theme: Theme) -> Any:
    """Nominal against observed, a line a source."""
    ours = [each for each in told if each.who == OURS]
    modes = [mode for mode in MODES if any(each.mode == mode for each in ours)]
    sources = list(by_source(ours))
    panels = []
    for mode in modes:
        own = [each for each in ours if each.mode == mode]
        rows = [
            {"source": source, "nominal": 100 * level, "observed": 100 * coverage(part, n)}
            for source, part in by_source(own).items()
            for n, level in enumerate(LEVELS)
        ]
        mean = [
            {"nominal": 100 * level, "observed": 100 * mean_of_sources(own, lambda p, n=n: coverage(p, n))}
            for n, level in enumerate(LEVELS)
        ]
        panels.append(_calibration_panel(rows, mean, sources, MODES[mode], theme))
    runs = len({each.run.run.name for each in ours})
    asked = ", ".join(f"{fraction:.0%}" for fraction in sorted({each.fraction for each in ours}))
    chart = alt.hconcat(*panels, spacing=36)
    return finished(
        chart,
        Frame(
            "How often the forecast's interval held the outcome",
            [
                f"{runs} public runs, asked at {asked}.",
                "On the dashed line an interval holds what it says; below it is too narrow. Thick: mean over sources.",
            ],
            dark=theme is DARK,
        ),
    )


def _calibration_panel(
    rows: list[dict[str, Any]], mean: list[dict[str, Any]], sources: list[str], title: str, theme: Theme
) -> Any:
    x = alt.X("nominal:Q", title="interval  [%]", scale=alt.Scale(domain=[40, 100]), axis=alt.Axis(values=[50, 80, 95]))
    y = alt.Y("observed:Q", title="outcomes in it  [%]", scale=alt.Scale(domain=[0, 100]), axis=alt.Axis(tickCount=6))
    shape = alt.Shape("source:N", scale=alt.Scale(domain=sources, range=list(SHAPES)), title=None)
    ideal = alt.Chart(data([{"nominal": 40, "observed": 40}, {"nominal": 100, "observed": 100}]))
    base = alt.Chart(data(rows)).encode(x=x, y=y)
    layers = [
        ideal.mark_line(color=theme.law, strokeDash=[6, 3], strokeWidth=1.5).encode(x=x, y=y),
        base.mark_line(color=theme.grey, strokeWidth=1).encode(detail="source:N"),
        base.mark_point(color=theme.ink, size=52, strokeWidth=1.5, filled=False, opacity=1).encode(shape=shape),
        alt.Chart(data(mean)).mark_line(color=theme.forecast, strokeWidth=3).encode(x=x, y=y),
    ]
    return alt.layer(*layers).properties(width=300, height=300, title=title)


def error_against_progress(told: Sequence[Told], theme: Theme) -> Any:
    """Mean absolute error over sources at each tenth, a line a forecaster."""
    who = list(dict.fromkeys(each.who for each in told))
    fractions = sorted({each.fraction for each in told})
    colours = dict(zip(who, (theme.forecast, theme.grey, theme.alarm, theme.law), strict=False))
    values = []
    for mode in MODES:
        for name in who:
            for fraction in fractions:
                here = [e for e in told if e.mode == mode and e.who == name and e.fraction == fraction]
                if here:
                    row = {"who": name, "progress": 100 * fraction, "error": mean_of_sources(here, error)}
                    values.append({**row, "mode": mode})
    modes = [mode for mode in MODES if any(row["mode"] == mode for row in values)]
    low, high = min(r["error"] for r in values), max(r["error"] for r in values)
    ticks = [t for t in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if 0.7 * low <= t <= 1.5 * high]
    scale = alt.Scale(type="log", domain=[min(0.8 * low, ticks[0]), max(1.2 * high, ticks[-1])], nice=False)
    panels = []
    for mode in modes:
        axis = alt.Axis(values=[0, 20, 40, 60, 80, 100])
        x = alt.X("progress:Q", title="part of the run that was seen  [%]", scale=alt.Scale(domain=[0, 100]), axis=axis)
        y = alt.Y("error:Q", title="error of the final loss  [%]", scale=scale, axis=alt.Axis(values=ticks))
        colour = alt.Color("who:N", scale=alt.Scale(domain=who, range=[colours[w] for w in who]), title=None)
        base = alt.Chart(data([row for row in values if row["mode"] == mode])).encode(x=x, y=y, color=colour)
        ours = base.transform_filter(alt.datum.who == OURS)
        points = base.mark_point(size=26, filled=True)
        panel = alt.layer(base.mark_line(strokeWidth=1.8), points, ours.mark_line(strokeWidth=3.4))
        panels.append(panel.properties(width=300, height=300, title=MODES[mode]))
    return finished(
        alt.hconcat(*panels, spacing=36),
        Frame(
            "How far off the forecast of the final loss is",
            [f"Mean over {len(by_source(told))} sources of the mean absolute error, by how much of the run was seen."],
            dark=theme is DARK,
        ),
    )
