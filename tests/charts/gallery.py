"""One of each chart, as large as it gets, with names that try to be more than names."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from scalewatch import charts
from scalewatch.finding import Finding, Kind, Severity

#: What a run, a column or a title may be called by somebody who means harm, or by accident.
HOSTILE = '</script><script>alert(1)</script> {"signal": "width"} \'x\' \\ [a.b] \u202e\x07 & < > é 漢'
PLAIN = "a name"

RUNS = 400


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
    return charts.isoflop(size, loss, flops, title=name, subtitle=[name], minima=minima, allocation=line, dark=dark)


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
        levels, title=name, subtitle=[name], frontier=frontier, flops=flops, parameters=size, loss=loss, dark=dark
    )


def loss_against_compute(name: str, *, dark: bool = False) -> Any:
    """Runs and the law, on both kinds of axes."""
    _, _, flops, loss = _runs(20_000)
    x = np.geomspace(1e17, 1e22, 200)
    mid = 1.8 + 3e3 * x**-0.18
    law = charts.Ribbon(name, x, mid, 0.98 * mid, 1.02 * mid)
    return charts.loss_against_compute(flops, loss, title=name, subtitle=[name], law=law, dark=dark)


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
        title=name,
        subtitle=[name],
        scale_percent=1.0,
        outliers=[3, 7],
        names=[name] * len(loss),
        dark=dark,
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
        title=name,
        subtitle=[name],
        law=law,
        target=target,
        other_parameters=size,
        other_loss=1.05 * loss,
        dark=dark,
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
        title=name,
        subtitle=[name],
        progress=at,
        deviation=0.1 * (1 - at),
        noise_floor=0.02 + 0 * at,
        dark=dark,
    )


def three_approaches(name: str, *, dark: bool = False) -> Any:
    """Two that disagree, and one without an answer."""
    answers = [
        charts.Answer(f"1 {name}", 0.46, 0.44, 0.48, math.log(2e9) - 0.46 * math.log(1e21), (1e17, 1e20)),
        charts.Answer(f"2 {name}", None, -math.inf, math.inf, math.nan, (math.nan, math.nan), name),
        charts.Answer(f"3 {name}", 0.54, 0.52, math.inf, math.log(7e9) - 0.54 * math.log(1e21), (1e17, 1e21)),
    ]
    return charts.three_approaches(answers, title=name, subtitle=[name], dark=dark)


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
    return charts.loss_against_law(step, loss, title=name, subtitle=[name], promise=band, findings=pages, dark=dark)


CHARTS: dict[str, Callable[..., Any]] = {
    "collapse": collapse,
    "isoflop": isoflop,
    "isoloss": isoloss,
    "ladder": ladder,
    "loss_against_compute": loss_against_compute,
    "loss_against_law": loss_against_law,
    "residuals": residuals,
    "three_approaches": three_approaches,
}
