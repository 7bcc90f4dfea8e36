"""What charts of a law are made of, whoever draws them: its sentences, its ribbon, its curves on one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.text import percent

if TYPE_CHECKING:
    from scalewatch.charts import NormalisedCurve, Ribbon
    from scalewatch.fitting.points import PointFit
    from scalewatch.laws import Curve, CurveLaw
    from scalewatch.laws.chinchilla import Chinchilla
    from scalewatch.laws.collapse import Collapse

__all__ = [
    "GRID",
    "LEVEL",
    "NORMAL_80",
    "UNKNOWN",
    "RunToPlace",
    "collapse_of_curves",
    "law_ribbon",
    "law_sentences",
    "used_curves",
    "within",
]

#: Level of the intervals that are drawn.
LEVEL = 0.8
NORMAL_80 = 1.2816
GRID = 60
#: Constants from here on are written with a power of ten.
WITH_POWER = 1e4
#: What stands for an interval that a fit does not give.
UNKNOWN = "its interval is not known"
#: Part of the run at which a headline compares curves.
HALF_WAY = 0.5


@final
@dataclass(frozen=True, slots=True, eq=False)
class RunToPlace:
    """A run, finished or not, to be drawn among curves.

    Attributes:
        label: what it is called. parameters: count. progress: part of the plan done, shape (n,).
        loss: [nats/token], shape (n,). final_loss: what it ends at, or is forecast to [nats/token].
    """

    label: str
    parameters: float
    progress: Floats
    loss: Floats
    final_loss: float

    def normalised(self, floor: float) -> NormalisedCurve | None:
        """Return it above the irreducible loss `floor`, final = 1; None if it is to end below that."""
        from scalewatch.charts import NormalisedCurve

        if not self.final_loss > floor:
            return None
        return NormalisedCurve(self.parameters, self.progress, (self.loss - floor) / (self.final_loss - floor))


def law_sentences(fit: PointFit[Chinchilla]) -> list[str]:
    """Return what stands under each chart of a law of final losses: its equation, and what is wrong with it."""
    law = fit.law
    low, high = fit.interval_of(lambda draws: np.asarray(draws[:, 4] / (draws[:, 3] + draws[:, 4])), LEVEL)
    return [
        f"L = {law.E:.3f} + {_constant(law.A)} N^-{law.alpha:.3f} + {_constant(law.B)} D^-{law.beta:.3f}, "
        f"{law.source}; N ~ C^a with a = {law.exponents[0]:.3f} ({within(low, high, '{:.3f}'.format)}).",
        *([] if fit.status.name == "OK" else [fit.status.value]),
    ]


def _constant(value: float) -> str:
    from scalewatch.charts.axes import power

    return power(value) if value >= WITH_POWER else f"{value:.4g}"


def within(low: float, high: float, form: Callable[[float], str]) -> str:
    """An interval in words, for a headline."""
    known = np.isfinite(low) and np.isfinite(high)
    return f"{percent(LEVEL)} interval {form(low)} to {form(high)}" if known else UNKNOWN


def law_ribbon(name: str, x: Floats, mid: ArrayLike, low: ArrayLike, high: ArrayLike) -> Ribbon:
    """Return a law with the interval of a run on it; one that is not finite is not drawn, and the label says so."""
    from scalewatch.charts import Ribbon

    bounds = np.array([low, high], dtype=np.float64)
    known = np.isfinite(bounds).all(axis=0)
    label = f"{name}, {percent(LEVEL)} interval of a run" if known.any() else f"{name}, {UNKNOWN}"
    return Ribbon(label, x, np.asarray(mid, dtype=np.float64), *np.where(known, bounds, np.nan))


def used_curves(law: CurveLaw, curves: Sequence[Curve]) -> list[Curve]:
    """Return the curves that the law rests on."""
    return [c for c in curves if not any(reason.startswith(f"'{c.run.name}'") for reason in law.evidence.left_out)]


def _apart(measured: Collapse) -> str:
    """How far sizes differ, in the middle of the run, where seeds and sizes can be told apart."""
    deviation, noise = (100 * part for part in measured.at(HALF_WAY))
    seeds = f"; seeds of one size by {noise:.2g} %" if np.isfinite(noise) else ""
    return f"Half-way through, the curves of {measured.sizes} sizes differ by {deviation:.2g} %{seeds}"


def collapse_of_curves(
    law: CurveLaw,
    curves: Sequence[Curve],
    *,
    floor: float | None = None,
    here: RunToPlace | None = None,
    dark: bool = False,
) -> Any:
    """Return the curves that a law rests on, normalised, and `here` among them.

    Args:
        law: of the curves. floor: L0 [nats/token]; None for one that is fitted where three sizes tell it.
        here: a run to point out. dark: colours.

    Raises:
        FitError: if they are of fewer than two sizes.
    """
    from scalewatch.charts import Frame, NormalisedCurve, collapse
    from scalewatch.laws.collapse import CollapseRun, measure_collapse, progress_of

    runs, compute = [], []
    for curve in used_curves(law, curves):
        size = law.size_of(curve.run)
        if size is None:
            continue
        runs.append(CollapseRun(size, curve.run.name, *progress_of(curve, float(curve.steps[-1]))))
        compute.append(size * (curve.run.tokens_per_step or 1.0) * float(curve.steps[-1]))
    known = floor if floor is not None else None if len(set(compute)) > 2 else 0.0
    measured = measure_collapse(runs, known, compute)
    drawn = [
        NormalisedCurve(run.size, run.progress, (run.loss - measured.floor) / (run.final_loss - measured.floor))
        for run in runs
    ]
    notes = [f"{measured.runs} runs of {measured.sizes} sizes; L0 = {measured.floor:.3f} nats/token.", *measured.notes]
    return collapse(
        drawn,
        Frame(_apart(measured), notes, dark=dark),
        progress=measured.progress,
        deviation=measured.deviation,
        noise_floor=measured.noise_floor,
        here=None if here is None else here.normalised(measured.floor),
        here_label="" if here is None else here.label,
    )
