"""Rows 12 and 13: where a run will end, and which of several to go on with, from its first part.

The shape (alpha, C/A, memory) of the annealing law comes from three curves of the smaller model; what is left, L0 and
A, is a line through the rows of the larger one so far. The monitor's own forecast goes on from there, with an interval.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scalewatch.fitting.annealing import fit_annealing
from scalewatch.laws.annealing_law import AnnealingLaw
from scalewatch.laws.curve import Curve
from scalewatch.reproduce.curve_rows import TEST, TRAIN, WARMUP, published_curves
from scalewatch.reproduce.data import DataFolder
from scalewatch.reproduce.row import Check

__all__ = ["final_loss", "schedule_choice"]

#: The model that lends its shape, and the one that is forecast.
SMALL, LARGE = "25M", "100M"
#: Four schedules of one length, and the parts of the run at which one is chosen.
CANDIDATES = ("constant_24000", "cosine_24000", "wsd_20000_24000", "wsdld_20000_24000")
CHOSEN_AT = (0.2, 0.3, 0.5, 0.7, 0.9)
#: What choosing by the loss at hand costs at least [nats/token]: measured on the curves of Luo et al. 2025 (arXiv
#: 2503.12811), three sizes, up to 90 % of the run.
REGRET_OF_CURRENT = 0.024


def _shape(data: DataFolder) -> AnnealingLaw:
    return fit_annealing(published_curves(data, SMALL, TRAIN)).law


def _seen(curve: Curve, share: float) -> NDArray[np.bool_]:
    plan = curve.run.learning_rates
    assert plan is not None
    return np.asarray((curve.steps >= WARMUP) & (curve.steps <= share * len(plan)))


def _forecast(shape: AnnealingLaw, curve: Curve, share: float) -> float:
    plan = curve.run.learning_rates
    assert plan is not None
    falls = (shape.losses(plan, curve.steps) - shape.level) / shape.amplitude
    seen = _seen(curve, share)
    design = np.stack([np.ones(int(seen.sum())), falls[seen]], axis=1)
    level, amplitude = np.linalg.lstsq(design, curve.loss[seen], rcond=None)[0]
    return float(level + amplitude * falls[-1])


def final_loss(data: DataFolder) -> list[Check]:
    """Relative error of the forecast of nine runs, with a fifth and with three tenths of them seen."""
    shape, curves = _shape(data), published_curves(data, LARGE, TRAIN + TEST)
    checks = []
    for share, mean, most in ((0.2, 0.99, 2.5), (0.3, 0.90, 2.0)):
        errors = [100.0 * abs(_forecast(shape, curve, share) / curve.loss[-1] - 1.0) for curve in curves]
        at = f"error at {100 * share:.0f} % of the run, %"
        checks.append(Check(f"mean {at}", mean, float(np.mean(errors)), 1.2 - mean, "at most"))
        checks.append(Check(f"most {at}", most, float(np.max(errors)), 3.0 - most, "at most"))
    return checks


def schedule_choice(data: DataFolder) -> list[Check]:
    """What choosing among four schedules costs, by forecast and by the loss at hand, from a fifth of the run on."""
    shape, curves = _shape(data), published_curves(data, LARGE, CANDIDATES)
    ends = np.array([curve.loss[-1] for curve in curves])

    def regret(forecasts: list[float]) -> float:
        return float(ends[int(np.argmin(forecasts))] - ends.min())

    forecast = [regret([_forecast(shape, curve, share) for curve in curves]) for share in CHOSEN_AT]
    current = [regret([float(curve.loss[_seen(curve, share)][-1]) for curve in curves]) for share in CHOSEN_AT]
    return [
        Check("regret by forecast, most, nats", 0.0, max(forecast)),
        Check("regret by current loss, least, nats", REGRET_OF_CURRENT, min(current), how="at least"),
    ]
