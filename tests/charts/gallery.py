"""One of each chart, as large as it gets, with names that try to be more than names."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from scalewatch import charts
from scalewatch.finding import Finding, Kind, Phase, Severity

#: What a run, a column or a title may be called by somebody who means harm, or by accident.
HOSTILE = '</script><script>alert(1)</script> {"signal": "width"} \'x\' \\ [a.b] \u202e\x07 & < > é 漢'
PLAIN = "a name"

RUNS = 400


def _frame(name: str, *, dark: bool) -> charts.Frame:
    return charts.Frame(name, [name], dark=dark, unit="nats/token")


def _runs(count: int = RUNS) -> tuple[np.ndarray, ...]:
    """Size, tokens, compute and loss of runs on twelve budgets."""
    rng = np.random.default_rng(0)
    budget = np.repeat(np.geomspace(1e17, 1e21, 12), math.ceil(count / 12))[:count]
    size = np.sqrt(budget / 120) * np.exp(rng.uniform(-1.5, 1.5, count))
    tokens = budget / (6 * size)
    loss = (1.8 + 480 * size**-0.35 + 2000 * tokens**-0.37) * np.exp(0.003 * rng.standard_normal(count))
    return size, tokens, budget, loss


def isoflop(name: str, *, dark: bool = False) -> Any:
    """Valleys, minima and the line through them."""
    size, _, flops, loss = _runs()
    budgets = np.unique(flops)
    best = np.sqrt(budgets / 120)
    minima = charts.Minima(budgets, best, 0.8 * best, 1.25 * best, np.linspace(3.5, 2.2, 12))
    line = charts.Ribbon(name, budgets, best, 0.9 * best, 1.1 * best)
    return charts.isoflop(size, loss, flops, _frame(name, dark=dark), minima=minima, allocation=line)


def isoloss(name: str, *, dark: bool = False) -> Any:
    """Contours, frontier and runs."""
    size, _, flops, loss = _runs()
    grid = np.geomspace(1e7, 1e11, 200)
    levels = [
        charts.Contour(level, 6e19 * (grid / 1e9) ** 0.3 / (level - 1.8) ** 3 + 0 * grid, grid)
        for level in np.linspace(2.0, 3.5, 30).tolist()
    ]
    x = np.geomspace(1e17, 1e21, 40)
    frontier = charts.Ribbon(name, x, np.sqrt(x / 120), 0.9 * np.sqrt(x / 120), 1.1 * np.sqrt(x / 120))
    return charts.isoloss(
        levels,
        _frame(name, dark=dark),
        frontier=frontier,
        flops=flops,
        parameters=size,
        loss=loss,
    )


def loss_against_compute(name: str, *, dark: bool = False) -> Any:
    """Runs and the law, on both kinds of axes."""
    _, _, flops, loss = _runs(20_000)
    x = np.geomspace(1e17, 1e22, 200)
    mid = 1.8 + 3e3 * x**-0.18
    law = charts.Ribbon(name, x, mid, 0.98 * mid, 1.02 * mid)
    return charts.loss_against_compute(flops, loss, _frame(name, dark=dark), law=law)


def residuals(name: str, *, dark: bool = False) -> Any:
    """Residuals with two runs far off."""
    size, tokens, flops, loss = _runs(20_000)
    percent = np.random.default_rng(1).standard_normal(len(loss))
    percent[[3, 7]] = 40.0, -25.0
    return charts.residuals(
        size,
        tokens,
        flops,
        percent,
        _frame(name, dark=dark),
        scale_percent=1.0,
        outliers=[3, 7],
        names=[name] * len(loss),
    )


def ladder(name: str, *, dark: bool = False) -> Any:
    """Rungs, law, target and outcome."""
    size = np.geomspace(2e7, 3e8, 5)
    grid = np.geomspace(2e7, 7e9, 60)
    law = charts.Ribbon(name, grid, *(k * (1.8 + 400 * grid**-0.34) for k in (1.0, 0.99, 1.01)))
    target = charts.Target(7e9, 1.98, 1.955, 2.005, 0.8, 1.984)
    loss = 1.8 + 400 * size**-0.34
    return charts.ladder(
        size,
        loss,
        _frame(name, dark=dark),
        law=law,
        target=target,
        other_parameters=size,
        other_loss=1.05 * loss,
    )


def collapse(name: str, *, dark: bool = False) -> Any:
    """A hundred curves of twenty sizes, with deviations."""
    progress = np.linspace(0.001, 1.0, 3_000)
    curves = [
        charts.NormalisedCurve(1e6 * 1.5**k, progress, progress**-0.4 * (1 + 0.001 * seed))
        for k in range(20)
        for seed in range(5)
    ]
    at = np.linspace(0.02, 1.0, 900)
    return charts.collapse(
        curves,
        _frame(name, dark=dark),
        progress=at,
        deviation=0.1 * (1 - at),
        noise_floor=0.02 + 0 * at,
    )


def three_approaches(name: str, *, dark: bool = False) -> Any:
    """Two that disagree, and one without an answer."""
    answers = [
        charts.Answer(f"1 {name}", 0.46, 0.44, 0.48, math.log(2e9) - 0.46 * math.log(1e21), (1e17, 1e20)),
        charts.Answer(f"2 {name}", None, -math.inf, math.inf, math.nan, (math.nan, math.nan), name),
        charts.Answer(f"3 {name}", 0.54, 0.52, math.inf, math.log(7e9) - 0.54 * math.log(1e21), (1e17, 1e21)),
    ]
    return charts.three_approaches(answers, _frame(name, dark=dark))


def loss_against_law(name: str, *, dark: bool = False) -> Any:
    """A long run with its promise, its forecast and two pages."""
    step = np.arange(1.0, 100_001.0)
    mid = 2.0 + 8.0 * step**-0.4
    loss = mid * np.exp(0.02 * np.random.default_rng(0).standard_normal(len(step)))
    band = charts.Band(name, step, mid, 0.98 * mid, 1.02 * mid)
    pages = [
        Finding(kind=Kind.SPIKE, severity=Severity.WARNING, step=at, start_step=at, message=name)
        for at in (500, 60_000)
    ]
    return charts.loss_against_law(step, loss, _frame(name, dark=dark), baseline=band, findings=pages)


def valleys(name: str, *, dark: bool = False) -> Any:
    """Valleys of a law, their bottoms, runs, and one pointed out."""
    size, _, flops, loss = _runs()
    grid = np.geomspace(1e7, 1e11, 300)
    lines = [
        charts.Valley(budget, grid, 1.8 + 480 * grid**-0.35 + 2000 * (budget / 6 / grid) ** -0.37, (budget**0.46, 2.5))
        for budget in np.unique(flops).tolist()
    ]
    here = charts.Placed(name, 3e19, 4e8, 2.6, 2.5, 2.7)
    return charts.valleys(
        lines,
        _frame(name, dark=dark),
        parameters=size,
        loss=loss,
        flops=flops,
        here=here,
    )


def _findings(name: str) -> list[Finding]:
    """A note, a page that became critical and closed, and one that is open."""

    def made(kind: Kind, severity: Severity, step: int, phase: Phase = Phase.OPENED) -> Finding:
        return Finding(kind=kind, severity=severity, step=step, start_step=step - 1, message=name, phase=phase)

    return [
        made(Kind.BAD_BATCH, Severity.INFO, 30_000),
        made(Kind.SPIKE, Severity.WARNING, 55_000),
        made(Kind.SPIKE, Severity.CRITICAL, 55_400, Phase.ESCALATED),
        made(Kind.SPIKE, Severity.INFO, 56_000, Phase.CLOSED),
        made(Kind.OFF_LAW, Severity.WARNING, 90_000),
    ]


def run_panel(name: str, *, dark: bool = False) -> Any:
    """A run of 100,000 steps on its way, with all that can be drawn beside it."""
    step = np.arange(1.0, 100_001.0)
    rng = np.random.default_rng(0)
    mid = 2.0 + 8.0 * step**-0.4
    loss = mid * np.exp(0.02 * rng.standard_normal(len(step)))
    loss[[30_000, 80_000]] = 17.0, math.nan
    grid = np.geomspace(500, 160_000, 300)
    law, ahead = 2.0 + 8.0 * grid**-0.4, np.linspace(1e5, 1.6e5, 60)
    most = 2.0 + 8.0 * ahead**-0.4
    others = [charts.OtherRun(f"{place} {name}", step, loss * (1 + 0.02 * place)) for place in range(8)]
    return charts.run_panel(
        charts.RunRows(
            step,
            loss,
            learning_rates=3e-4 * np.minimum(step / 2_000, 1.0),
            grad_norms=np.exp(0.3 * rng.standard_normal(len(step))),
        ),
        _frame(name, dark=dark),
        axis=charts.RunAxis(end=1.6e5),
        beside=charts.Beside(
            baseline=charts.Ribbon(name, grid, law, 0.98 * law, 1.02 * law),
            fan=charts.Fan(f"{name} now", ahead, most, ((0.97 * most, 1.03 * most), (0.99 * most, 1.01 * most))),
            registered=charts.Ending(name, 1.6e5, 2.06, 2.02, 2.1),
            today=charts.Ending(name, 1.6e5, 2.07, 2.05, 2.09),
            incidents=charts.incidents_of(_findings(name), {Kind.OFF_LAW}, 100_000),
            others=others,
            reference=charts.OtherRun(name, step, loss * 0.9),
        ),
    )


def health(name: str, *, dark: bool = False) -> Any:
    """A run with residuals, eight gauges and incidents."""
    step = np.arange(1.0, 100_001.0)
    sigmas = np.random.default_rng(0).standard_normal(len(step))
    sigmas[30_000] = 90.0
    gauge = [charts.Gauge(f"{place} {name}", step[::8], np.exp(1e-4 * step[::8]), 1e3) for place in range(8)]
    return charts.health(
        step,
        sigmas,
        _frame(name, dark=dark),
        thresholds=[charts.Threshold(4.0, name), charts.Threshold(6.0, name)],
        gauges=gauge,
        incidents=charts.incidents_of(_findings(name), {Kind.OFF_LAW}, 100_000),
    )


def forecast_history(name: str, *, dark: bool = False) -> Any:
    """Forty looks, a promise, the outcome and the count."""
    at = np.linspace(5.0, 100.0, 40)
    mid = 2.5 + 0.1 * np.exp(-at / 30)
    bands = [(mid - wide * (1 - at / 110), mid + wide * (1 - at / 110)) for wide in (0.2, 0.1, 0.05)]
    kept = [charts.Kept(level, round(18 * level), 20) for level in (0.5, 0.8, 0.95)]
    before = charts.Ending(name, 0.0, 2.52, 2.4, 2.6)
    return charts.forecast_history(
        at,
        mid,
        bands,
        _frame(name, dark=dark),
        registered=before,
        truth=2.51,
        kept=kept,
    )


def schedule_comparison(name: str, *, dark: bool = False) -> Any:
    """The plan and eight schedules."""
    steps = np.arange(50_000.0, 100_001.0)
    plan = charts.Choice(name, 2.5, 0.0, 0.0, 0.0, "B", steps, np.linspace(3e-4, 0, len(steps)), is_plan=True)
    others = [
        charts.Choice(f"{off} {name}", 2.4, off, off - 0.02, off + 0.02, "C", steps, 3e-4 + 0 * steps)
        for off in (-0.03, -0.01, 0.02, 0.05)
    ]
    return charts.schedule_comparison([plan, *others], _frame(name, dark=dark))


def way_ahead(name: str, *, dark: bool = False) -> Any:
    """A forecast half-way through a run of 100,000 steps."""
    step = np.arange(1.0, 100_001.0)
    mid = 2.0 + 8.0 * step**-0.4
    return charts.way_ahead(charts.Band(name, step, mid, 0.98 * mid, 1.02 * mid), _frame(name, dark=dark), step=50_000)


def law_curve(name: str, *, dark: bool = False) -> Any:
    """Ten lines of a law, of which six are drawn, with what lies beyond its runs."""
    x = np.geomspace(1e8, 1e13, 2_000)
    lines = [
        charts.LawLine(f"{name} {size}", x, 1.8 + 480 * (1e7 * 3**size) ** -0.35 + 2_000 * x**-0.37, (1e9, 1e12))
        for size in range(10)
    ]
    return charts.law_curve(lines, _frame(name, dark=dark), x_title="tokens", y_title="loss  [nats/token]")


def intervals(name: str, *, dark: bool = False) -> Any:
    """Sixty predictions, one of them without an end."""
    loss = np.linspace(3.0, 2.0, 60)
    high = np.where(np.arange(60) == 3, np.inf, 1.02 * loss)
    return charts.intervals(
        loss, 0.98 * loss, high, [f"{place} {name}" for place in range(60)], _frame(name, dark=dark)
    )


CHARTS: dict[str, Callable[..., Any]] = {
    "collapse": collapse,
    "forecast_history": forecast_history,
    "health": health,
    "intervals": intervals,
    "isoflop": isoflop,
    "isoloss": isoloss,
    "ladder": ladder,
    "law_curve": law_curve,
    "loss_against_compute": loss_against_compute,
    "loss_against_law": loss_against_law,
    "schedule_comparison": schedule_comparison,
    "residuals": residuals,
    "run_panel": run_panel,
    "three_approaches": three_approaches,
    "valleys": valleys,
    "way_ahead": way_ahead,
}
