"""Fits a `CurveLaw` to the loss curves of finished, smaller runs.

In two steps, because they rest on different numbers of independent things. The shape (alpha, rho, memory)
is shared by all curves and fitted to all their blocks, every curve with its own level and amplitude: a
curve has hundreds of rows, but they are one run. Then level and amplitude are fitted over sizes, one point
a run, so that ten thousand rows of three runs are three points and the intervals know it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.fitting.mixed_units import unit_mismatch
from scalewatch.laws.annealing import ScheduleFeatures, schedule_features
from scalewatch.laws.curve import Curve
from scalewatch.laws.curve_law import CurveEvidence, CurveLaw, CurveScatter, CurveShape, CurveUnits
from scalewatch.text import percent

__all__ = ["fit_curves"]

#: Memories of the decay that are tried, as parts of the median run. By hand.
MEMORY_SHARES = (0.0, 0.004, 0.016, 0.06, 0.2)
#: Prior of the shape, mean and sd of the logarithm: whole-curve fits of the eight public sources of
#: tests/benchmarks/forecast.py.
LOG_ALPHA = (float(np.log(0.5)), 0.35)
LOG_RATIO = (float(np.log(0.45)), 0.4)
#: Relative misfit of the law that residuals are measured in, and the power of S at which it shrinks: the misfit as in
#: forecast/shape_prior.py, the power by hand.
MISFIT = 0.003
MISFIT_GROWTH = 2.0
#: Part of the walk that is left out at the start: early descent is of another law. The usual advice is 10 % (Choshen
#: et al. 2024), for laws that weigh all rows alike; here a row at 10 % of the walk has a hundredth of the weight of
#: the last (`MISFIT_GROWTH`), and with 10 % forecasts from ladders of public runs are a little worse (at 20 % of the
#: run 0.67 % off against 0.65 %).
LEFT_OUT_SHARE = 0.05
#: Loss is noisy from run to run by at least this (seeds), and amplitude by at least this. By hand.
LEAST_RUN_LOG_SD = 0.002
LEAST_REMAINING_LOG_SD = 0.05
#: A curve that ends this far above its own best block has diverged. By hand.
DIVERGED_RATIO = 1.1
#: A log may go on beyond its plan by this factor: programs differ by a step or two in when they stop. By hand.
PLAN_SLACK = 1.02
#: Runs that an error names. By hand.
MOST_NAMED = 8
#: Priors over sizes: share of E in the best loss, exponent a, exponent b (mean, sd). By hand, a about the 0.34 of
#: Hoffmann et al. 2022.
LEVEL_SHARE = (0.7, 0.25)
SIZE_EXPONENT = (0.34, 0.12)
REMAINING_EXPONENT = (0.0, 0.1)
#: Scatter of the last round over the one before from which the rounds did not settle. By hand.
UNSETTLED = 2.0
#: Alpha and rho are never believed better than this (sd of the logarithm): they drift with size. By hand.
LEAST_ALPHA_LOG_SD = 0.08
LEAST_RATIO_LOG_SD = 0.12
#: Beyond these a shape is none of a loss curve; law files have the same bounds. By hand.
ALPHA_RANGE = (0.01, 3.0)
MOST_RATIO = 100.0
#: Sd of what the data do not see at all, and the most that a logarithm may be: e^-99 is nothing. By hand.
UNSEEN_LOG_SD = 1e3
MOST_LOG = 99.0


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Material:
    """One curve, ready to fit: S in walk units at the blocks and the end, D for each memory."""

    walked: Floats
    annealed: Floats
    losses: Floats
    noise: Floats
    end_lr_sum: float
    end_annealing_sum: Floats
    size: float
    row_noise: float


def fit_curves(curves: Sequence[Curve]) -> CurveLaw:
    """Fit the annealing law with a size to whole curves.

    Warm-up, the first twentieth of each run's walk and runs that diverged or lost their loss on the way are left
    out, the runs named in `CurveLaw.evidence.left_out`. A run without planned learning rates cannot be used.

    Args:
        curves: finished runs of one recipe (data, tokenizer, optimizer, batch size); at least one.
            Three or more sizes make the size dependence the data's own; with fewer, it rests on priors
            and the intervals say so.

    Raises:
        FitError: if no curve can be used, with the reason of each, or if their losses are of two units.

    Source: Tissue et al. (2024) eq. 1 for the curve, Hoffmann et al. (2022) eq. 2 for the size.
    """
    usable, left_out = _usable(curves)
    setting = _setting(usable)
    material, reasons = _prepare_all(usable, setting)
    if material and any(reasons):
        # what is left out must not choose the units and memories of the others
        usable = [curve for curve, reason in zip(usable, reasons, strict=True) if not reason]
        setting = _setting(usable)
        material, _ = _prepare_all(usable, setting)
    left_out += [reason for reason in reasons if reason]
    if not material:
        raise FitError("No curve can be used for a law: " + " ".join(left_out))
    _check_units(usable, material)
    reference_lr_sum = float(np.exp(np.mean([np.log(m.end_lr_sum) for m in material])))
    sizes = np.array([m.size for m in material])
    reference_size = float(np.exp(np.mean(np.log(sizes))))
    try:
        with np.errstate(all="ignore"):
            shape = _fit_shape(material, reference_lr_sum)
            ends = [_end_and_amplitude(m, shape, reference_lr_sum) for m in material]
            over_sizes = _fit_sizes(material, ends, shape, reference_lr_sum, reference_size)
    except (ValueError, ArithmeticError) as fault:
        raise FitError(f"No law describes these curves: their fit is not finite ({fault}).") from None
    return CurveLaw(
        CurveShape(
            shape.alpha, shape.alpha_log_sd, shape.ratio, shape.ratio_log_sd, float(setting.memories[shape.memory])
        ),
        CurveUnits(setting.unit, reference_lr_sum, setting.kind, reference_size),
        over_sizes.parameters,
        over_sizes.covariance,
        CurveScatter(
            over_sizes.run_log_sd,
            over_sizes.remaining_log_sd,
            shape.misfit,
            row_noise=float(np.median([m.row_noise for m in material])),
        ),
        CurveEvidence(
            sizes=(float(sizes.min()), float(sizes.max())),
            lr_sums=(min(m.end_lr_sum for m in material), max(m.end_lr_sum for m in material)),
            runs=len(material),
            left_out=tuple(left_out),
        ),
    )


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Setting:
    """What all curves of a fit share: what the walk counts, which size, and the memories that are tried [steps]."""

    unit: Literal["tokens", "steps"]
    kind: Literal["total", "non_embedding", "none"]
    memories: Floats


def _setting(curves: Sequence[Curve]) -> _Setting:
    median_steps = float(np.median([len(_plan(c)) for c in curves]))
    return _Setting(
        unit="tokens" if all(c.run.tokens_per_step is not None for c in curves) else "steps",
        kind=_size_kind(curves),
        memories=np.maximum(np.array(MEMORY_SHARES) * median_steps, 1.0),
    )


def _prepare_all(curves: Sequence[Curve], setting: _Setting) -> tuple[list[_Material], list[str]]:
    """Return what can be used, and for each curve why it cannot, empty if it can."""
    made = [_prepare(curve, setting) for curve in curves]
    return [material for material, _ in made if material is not None], [reason for _, reason in made]


def _usable(curves: Sequence[Curve]) -> tuple[list[Curve], list[str]]:
    usable, left_out = [], []
    for curve in curves:
        if not isinstance(curve, Curve):
            raise FitError(f"`curves` must be a list of scalewatch.laws.Curve (got a {type(curve).__name__} in it).")
        plan, last = curve.run.learning_rates, int(curve.steps[-1])
        if plan is None:
            left_out.append(f"'{curve.run.name}' is left out: its planned learning rates are unknown.")
        elif last > PLAN_SLACK * len(plan) + 1:
            left_out.append(f"'{curve.run.name}' is left out: it goes on to step {last}, its plan to {len(plan)}.")
        elif curve.hole is not None:
            first, end = curve.hole
            left_out.append(
                f"'{curve.run.name}' is left out: its loss is not finite from step {first:,} to {end:,} (diverged, or "
                "a hole in its log?)."
            )
        else:
            usable.append(curve)
    if not usable:
        raise FitError("No curve can be used for a law: " + (" ".join(left_out) or "none was given."))
    return usable, left_out


def _plan(curve: Curve) -> Floats:
    plan = curve.run.learning_rates
    if plan is None:
        raise FitError(f"'{curve.run.name}' has no planned learning rates.")
    return np.asarray(plan)


def _size_kind(curves: Sequence[Curve]) -> Literal["total", "non_embedding", "none"]:
    if all(c.run.parameters is not None for c in curves):
        return "total"
    if all(c.run.non_embedding_parameters is not None for c in curves):
        return "non_embedding"
    return "none"


def _prepare(curve: Curve, setting: _Setting) -> tuple[_Material | None, str]:
    features: ScheduleFeatures = schedule_features(_plan(curve), setting.memories)
    blocks = curve.blocks()
    _, mean_steps, losses, rows = blocks.arrays()
    end = float(curve.steps[-1])
    walked, annealed = features.at(mean_steps)
    end_lr_sum, end_annealing_sum = features.at([end])
    keep = (walked >= LEFT_OUT_SHARE * end_lr_sum[0]) & (mean_steps > 1.3 * features.warmup_steps)
    if keep.sum() < 6:
        begin = int(curve.steps[0])
        return None, (
            f"'{curve.run.name}' is left out: too few rows after its warm-up and first {percent(LEFT_OUT_SHARE)} (its "
            f"log has {len(curve.steps)} from step {begin:,} to {int(end):,})."
        )
    # the last block may be a single row
    above = float(np.average(losses[-2:], weights=rows[-2:]) / losses[keep].min())
    if above > DIVERGED_RATIO:
        return None, f"'{curve.run.name}' is left out: it ends {percent(above - 1)} above its best loss."
    tokens = (curve.run.tokens_per_step or 1.0) if setting.unit == "tokens" else 1.0
    size = {"total": curve.run.parameters, "non_embedding": curve.run.non_embedding_parameters}.get(setting.kind)
    return _Material(
        walked=walked[keep] * tokens,
        annealed=annealed[keep],
        losses=losses[keep],
        noise=blocks.log_noise / np.sqrt(rows[keep]),
        end_lr_sum=float(end_lr_sum[0]) * tokens,
        end_annealing_sum=end_annealing_sum[0],
        size=float(size or 1.0),
        row_noise=blocks.log_noise,
    ), ""


def _check_units(curves: Sequence[Curve], material: Sequence[_Material]) -> None:
    """Refuse curves of two units: no law of both says anything of either."""
    columns = np.log(np.array([(m.size, m.end_lr_sum, m.losses[-1]) for m in material]))
    unit = unit_mismatch(columns[:, 0], columns[:, 1], columns[:, 2])
    if unit is not None:
        names = ", ".join(f"'{curves[row].run.name:.60}'" for row in unit.rows[:MOST_NAMED].tolist())
        more = f" and {len(unit.rows) - MOST_NAMED} more" if len(unit.rows) > MOST_NAMED else ""
        raise FitError(
            f"Two units: the losses of {names}{more} are {unit.factor:.2f} times those of the others at equal size "
            "and length, as bits per byte and nats per token are. Convert all to nats per token, or fit one group at a "
            "time."
        )


@final
@dataclass(frozen=True, slots=True)
class _Shape:
    alpha: float
    alpha_log_sd: float
    ratio: float
    ratio_log_sd: float
    memory: int
    misfit: float


def _regressor(
    walked: Floats | float, annealed: Floats | float, log_alpha: float, log_ratio: float, reference: float
) -> Floats:
    power = (np.asarray(walked) / reference) ** -np.exp(log_alpha)
    return np.asarray(power - np.exp(log_ratio) * np.asarray(annealed), dtype=np.float64)


def _curve_residuals(m: _Material, x: Floats) -> tuple[Floats, Floats]:
    """Best (L0, A) of one curve given its regressor, and what remains, in sigmas."""
    sd = np.sqrt(m.noise**2 + MISFIT**2 * (m.end_lr_sum / m.walked) ** MISFIT_GROWTH) * m.losses
    design = np.stack([np.ones_like(x), x], axis=1) / sd[:, None]
    solution = np.linalg.lstsq(design, m.losses / sd, rcond=None)[0]
    return np.asarray(solution), np.asarray(design @ solution - m.losses / sd)


def _fit_shape(material: Sequence[_Material], reference: float) -> _Shape:
    from scipy.optimize import least_squares

    best = None
    for k in range(len(MEMORY_SHARES)):

        def residuals(q: Floats, k: int = k) -> Floats:
            parts = [np.array([(q[0] - LOG_ALPHA[0]) / LOG_ALPHA[1], (q[1] - LOG_RATIO[0]) / LOG_RATIO[1]])]
            for m in material:
                x = _regressor(m.walked, m.annealed[:, k], q[0], q[1], reference)
                # a curve's blocks share its misfit: together they count as a few, not as hundreds
                parts.append(_curve_residuals(m, x)[1] * np.sqrt(min(1.0, 12.0 / len(x))))
            return np.concatenate(parts)

        for start in (0.35, 0.7):
            fit = least_squares(residuals, [np.log(start), LOG_RATIO[0]], loss="soft_l1", max_nfev=100)
            if best is None or fit.cost < best[0].cost - 1e-9:
                best = (fit, k)
    if best is None:
        raise FitError("The shape of the curves could not be fitted.")
    fit, k = best
    covariance = _covariance(fit.jac)
    squares = []
    for m in material:
        x = _regressor(m.walked, m.annealed[:, k], fit.x[0], fit.x[1], reference)
        late = m.walked > 0.3 * m.end_lr_sum
        scaled = _curve_residuals(m, x)[1][late]
        squares.append(np.mean(scaled**2))
    return _Shape(
        alpha=float(np.clip(np.exp(fit.x[0]), *ALPHA_RANGE)),
        alpha_log_sd=float(np.clip(np.sqrt(covariance[0, 0]), LEAST_ALPHA_LOG_SD, 1.0)),
        ratio=float(min(np.exp(fit.x[1]), MOST_RATIO)),
        ratio_log_sd=float(np.clip(np.sqrt(covariance[1, 1]), LEAST_RATIO_LOG_SD, 1.0)),
        memory=k,
        misfit=float(np.clip(MISFIT * np.sqrt(np.mean(squares)), 0.1 * MISFIT, 3 * MISFIT)),
    )


def _covariance(jacobian: object) -> Floats:
    dense = np.asarray(jacobian, dtype=np.float64)
    # a parameter that the data do not see (K where the size makes no difference) has a wide prior of its own
    precision = dense.T @ dense + np.eye(dense.shape[1]) / UNSEEN_LOG_SD**2
    return np.asarray(np.linalg.inv(precision), dtype=np.float64)


def _end_and_amplitude(m: _Material, shape: _Shape, reference: float) -> tuple[float, float]:
    q = (np.log(shape.alpha), np.log(shape.ratio))
    x = _regressor(m.walked, m.annealed[:, shape.memory], *q, reference)
    (level, amplitude), _ = _curve_residuals(m, x)
    end = _regressor(m.end_lr_sum, m.end_annealing_sum[shape.memory], *q, reference)
    return float(level + amplitude * end), float(max(amplitude, 1e-3 * level))


@final
@dataclass(frozen=True, slots=True, eq=False)
class _OverSizes:
    parameters: Floats
    covariance: Floats
    run_log_sd: float
    remaining_log_sd: float


def _fit_sizes(
    material: Sequence[_Material],
    ends: Sequence[tuple[float, float]],
    shape: _Shape,
    reference_lr_sum: float,
    reference_size: float,
) -> _OverSizes:
    from scipy.optimize import least_squares

    log_n = np.log(np.array([m.size for m in material]) / reference_size)
    q = (np.log(shape.alpha), np.log(shape.ratio))
    bracket = np.array(
        [float(_regressor(m.end_lr_sum, m.end_annealing_sum[shape.memory], *q, reference_lr_sum)) for m in material]
    )
    end, amplitude = np.log([e for e, _ in ends]), np.log([a for _, a in ends])
    best = float(np.exp(end.min()))

    def terms(p: Floats) -> tuple[Floats, Floats]:
        remaining = p[3] + p[4] * log_n
        level = np.exp(p[0]) + np.exp(p[1] - p[2] * log_n) + np.exp(remaining) * bracket
        return np.log(np.maximum(level, 1e-6 * best)) - end, remaining - amplitude

    def residuals(p: Floats, run_sd: float, remaining_sd: float) -> Floats:
        of_end, of_amplitude = terms(p)
        prior = np.array(
            [
                (np.exp(p[0]) / best - LEVEL_SHARE[0]) / LEVEL_SHARE[1],
                (p[2] - SIZE_EXPONENT[0]) / SIZE_EXPONENT[1],
                (p[4] - REMAINING_EXPONENT[0]) / REMAINING_EXPONENT[1],
            ]
        )
        return np.concatenate([of_end / run_sd, of_amplitude / remaining_sd, prior])

    run_sd, remaining_sd = 0.005, 0.1
    start = np.array([np.log(0.6 * best), np.log(0.3 * best), SIZE_EXPONENT[0], float(np.mean(amplitude)), 0.0])
    fit = least_squares(residuals, start, args=(run_sd, remaining_sd))
    freedom = max(len(material) - min(2, len(np.unique(log_n))), 1)
    for _ in range(3):
        of_end, of_amplitude = terms(fit.x)
        # one run more than there are, at the floor, so that two runs that agree do not make a certain law
        run_sd = float(np.sqrt((of_end @ of_end + 0.005**2) / (freedom + 1)))
        remaining_sd = float(np.sqrt((of_amplitude @ of_amplitude + 0.1**2) / (freedom + 1)))
        run_sd, remaining_sd = max(run_sd, LEAST_RUN_LOG_SD), max(remaining_sd, LEAST_REMAINING_LOG_SD)
        # from the start again: where E has gone to nothing, no slope leads back
        fit = least_squares(residuals, start, args=(run_sd, remaining_sd))
    last = float(np.sqrt(np.mean(terms(fit.x)[0] ** 2)))
    if last > UNSETTLED * run_sd:
        # a fit that swings between its prior and its runs describes neither
        run_sd = last
    return _OverSizes(
        parameters=np.clip(fit.x, -MOST_LOG, MOST_LOG),
        covariance=_covariance(fit.jac),
        run_log_sd=run_sd,
        remaining_log_sd=remaining_sd,
    )
