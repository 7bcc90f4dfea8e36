"""What the thresholds trade: incidents paged over false pages, as every sigma threshold of a rule moves together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import _detection_real as real
import _detection_synthetic as made_up
from _detection_rules import MakeRule, early_stopping, kill_loss_spike, lightning_spike, olmo_stability, ours, rolling_z

#: Constants of ours that count scales; all move by one factor, 1 being the default.
OURS = {
    "spike": ("NOTE_SIGMAS", "STAY_SIGMAS", "SUM_SIGMAS", "SPARSE_STAY", "SPARSE_SUM", "ALONE_SIGMAS"),
    "divergence": ("LIMIT", "SHORT_SIGMAS"),
}
FACTORS = (0.5, 0.75, 1.0, 1.5)
#: Settings of the others, the default among them.
OTHERS: dict[str, tuple[Any, str, tuple[float, ...], float]] = {
    "OLMo-core stability": (olmo_stability, "sigmas", (4, 6, 10), 6),
    "rolling z": (rolling_z, "sigmas", (3.5, 5, 8), 3.5),
    "Lightning SpikeDetection": (lightning_spike, "ratio", (0.1, 0.5, 2), 2),
    "llm-foundry KillLossSpike": (kill_loss_spike, "ratio", (1.05, 1.2, 2), 2),
    "Lightning EarlyStopping": (early_stopping, "patience", (3, 6, 12), 3),
}
#: Made-up incidents and runs of each that make the second half of the chart.
SEEDS = 2


@contextmanager
def thresholds(factor: float) -> Iterator[None]:
    """Our sigma thresholds times `factor`."""
    import importlib

    before = {}
    for name, constants in OURS.items():
        module = importlib.import_module(f"scalewatch.detect.{name}")
        for constant in constants:
            before[module, constant] = getattr(module, constant)
            setattr(module, constant, factor * before[module, constant])
    try:
        yield
    finally:
        for (module, constant), value in before.items():
            setattr(module, constant, value)


def points(measure: Any) -> Iterator[dict[str, Any]]:
    """One point for each rule and setting."""
    for factor in FACTORS:
        with thresholds(factor):
            yield {"rule": "scalewatch", "setting": factor, "default": factor == 1.0, **measure(ours)}
    for name, (make, argument, settings, default) in OTHERS.items():
        for setting in settings:
            rule: MakeRule = partial(make, **{argument: setting})
            yield {"rule": name, "setting": setting, "default": setting == default, **measure(rule)}


def on_real_runs(folder: Path) -> Iterator[dict[str, Any]]:
    logs, labels = real.load(folder)
    wanted = set(labels.run_id)
    logs = [log for log in logs if log.clean or log.name in wanted]

    def measure(make: MakeRule) -> dict[str, float]:
        score = real.score(make, logs, labels)
        counts = [score.count(kind) for kind in ("spike", "divergence", "nan")]
        return {"paged": sum(c[0] for c in counts) / sum(c[1] for c in counts), "false": score.pages_per_10k_clean()}

    return points(measure)


def on_made_up_runs() -> Iterator[dict[str, Any]]:
    cases = [case for case in (*made_up.SPIKES, *made_up.OTHERS) if case.page]

    def measure(make: MakeRule) -> dict[str, float]:
        delays = [made_up.delay(make, case, "t(4)", seed) for case in cases for seed in range(SEEDS)]
        false = made_up.false_pages(make, "t(4)", 20_000, SEEDS)
        return {"paged": sum(delay is not None for delay in delays) / len(delays), "false": false}

    return points(measure)


def draw(path: Path, folder: Path | None) -> None:
    """Write the chart; without real runs, of the made-up ones alone."""
    import altair
    import pandas as pd

    from scalewatch.charts.save import save_chart

    panels = [] if folder is None else [("labelled real runs", on_real_runs(folder))]
    panels.append(("made-up runs, t(4) noise", on_made_up_runs()))
    charts = []
    for title, measured in panels:
        table = pd.DataFrame(measured)
        x = altair.X(
            "false:Q", title="false pages per 10,000 clean rows", scale=altair.Scale(type="symlog", constant=0.1)
        )
        y = altair.Y(
            "paged:Q", title="incidents paged", scale=altair.Scale(domain=[0, 1]), axis=altair.Axis(format="%")
        )
        base = altair.Chart(table).encode(x=x, y=y, color=altair.Color("rule:N", title=None))
        lines = base.mark_line().encode(order="setting:Q")
        dots = base.mark_point(filled=True).encode(
            size=altair.condition("datum.default", altair.value(140), altair.value(30))
        )
        charts.append((lines + dots).properties(title=f"{title} (large: default)", width=380, height=320))
    save_chart(altair.hconcat(*charts), path)
