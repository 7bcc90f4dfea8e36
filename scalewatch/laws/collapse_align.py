"""A run in progress against the curve of its smaller siblings: where it ends, and where it leaves them.

With the siblings' normalised curve ell(x) = L(x) / L(1), a run that collapses has L(x) = L(1) ell(x): its one
unknown, the final loss, is read off the rows there are. What then remains,

    r(x) = L(x) / (L(1) ell(x)) - 1,

is the residual in which a fault shows long before it does in the loss.

It holds only where the conditions of collapse do: one schedule shape, equal tokens per parameter, and an equal
timescale of AdamW, tau = 1 / (rate x weight decay x steps). On runs that differ in them the error is 2 %
where the annealing law's is 1 %; so the conditions are asked for, and what is not met is said.

Source: Bergsma et al. (2025), arXiv 2509.25087 (Celerity), sections 3 and 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.laws.size import positive
from scalewatch.text import percent

__all__ = ["Alignment", "CollapseDiagnosis", "CollapseRecipe", "CollapseVerdict", "diagnose_collapse", "early_align"]

#: Part of the run that the alignment reads (Bergsma et al. 2025, section 4.1).
ALIGN_WINDOW = (0.25, 0.5)
#: Rows in the window below which its mean says little, and blocks its error is taken from. By hand.
FEWEST_ROWS = 10
ERROR_BLOCKS = 8
#: Relative difference of a condition from which curves no longer lie on one another. By hand.
CONDITION_TOLERANCE = 0.1
#: Relative error of the alignment where the conditions are met: on the two public ladders of Qiu et al. 2025 it is 0.1
#: to 0.5 % at half the run and up to 0.8 % at 30 %, the run 1.3 to 28 times the reference. And where they are not met:
#: mean at 30 % of 27 transfers between sizes with other tokens per parameter, on the curves of Luo et al. 2025.
LAW_ERROR = 0.005
LAW_ERROR_OFF = 0.023
#: Residual that counts as having left the curve, and the part of the run it must stay away for: collapse of a good
#: recipe is within half a percent (Bergsma et al. 2025: 0.5 to 1.4 % with a fitted surrogate). By hand.
DRIFT = 0.01
DRIFT_SPAN = 0.05
#: Part of the run over which the residual is averaged before it is judged. By hand.
SMOOTHING = 0.02


@final
@dataclass(frozen=True, slots=True)
class CollapseRecipe:
    """What two runs must share to collapse.

    Attributes:
        tokens_per_parameter: D / N, of one kind of N. timescale: tau of AdamW as a part of the run, dimensionless.
        schedule: name of the schedule's shape, peak and length aside ("cosine to 10 %").

    Raises:
        ConfigError: if a number is not positive.
    """

    tokens_per_parameter: float
    timescale: float
    schedule: str

    def __post_init__(self) -> None:
        positive("tokens_per_parameter", self.tokens_per_parameter, "tokens a parameter")
        positive("timescale", self.timescale, "part of the run")

    @classmethod
    def of_adamw(
        cls, tokens_per_parameter: float, peak_learning_rate: float, weight_decay: float, steps: float, schedule: str
    ) -> CollapseRecipe:
        """Return the recipe of an AdamW run: tau = 1 / (rate x weight decay x steps).

        Raises:
            ConfigError: if a number is not positive.
        """
        rate = positive("peak_learning_rate", peak_learning_rate, "learning rate")
        decay = positive("weight_decay", weight_decay, "of AdamW")
        return cls(tokens_per_parameter, float(1.0 / (rate * decay * positive("steps", steps, "count"))), schedule)

    def unmet(self, other: CollapseRecipe) -> tuple[str, ...]:
        """Return a sentence for each condition of collapse that the two do not share."""
        sentences = []
        pairs = (
            ("tokens per parameter", self.tokens_per_parameter, other.tokens_per_parameter, "scale the tokens with N"),
            ("timescale of AdamW", self.timescale, other.timescale, "scale the weight decay so that tau is equal"),
        )
        for name, mine, yours, remedy in pairs:
            if abs(math.log(mine / yours)) > CONDITION_TOLERANCE:
                sentences.append(
                    f"The {name} differ, {mine:.3g} and {yours:.3g}, so the curves do not collapse: {remedy}."
                )
        if self.schedule != other.schedule:
            sentences.append(
                f"The schedules differ, {self.schedule} and {other.schedule}, so the curves do not collapse."
            )
        return tuple(sentences)


@final
@dataclass(frozen=True, slots=True)
class Alignment:
    """The final loss at which a run lies best on the curve of its siblings.

    Attributes:
        final_loss: L(1) [nats/token]. final_loss_sd: its standard error with the law's own error [nats/token].
        rows: how many it rests on. notes: reasons not to trust it, a sentence each.
    """

    final_loss: float
    final_loss_sd: float
    rows: int
    notes: tuple[str, ...]


def early_align(
    progress: ArrayLike,
    loss: ArrayLike,
    reference_progress: ArrayLike,
    reference_loss: ArrayLike,
    *,
    recipe: CollapseRecipe | None = None,
    reference_recipe: CollapseRecipe | None = None,
) -> Alignment:
    """Read a run's final loss off the rows between a quarter and a half of it.

    Args:
        progress: part of the planned run done at each row, in (0, 1], shape (n,). loss: [nats/token], shape (n,).
        reference_progress: the same of a finished, smaller run of the recipe, its last row at 1, shape (m,).
        reference_loss: its loss [nats/token], shape (m,).
        recipe, reference_recipe: of the two; without them the conditions of collapse are not checked.

    Raises:
        FitError: if arrays do not match or hold no positive losses, the reference is not finished, or the run has
            not reached a quarter of its plan.
    """
    at, losses = _curve("progress", progress, loss)
    ell = _reference(reference_progress, reference_loss)
    start, end = ALIGN_WINDOW
    keep = (at >= start) & (at <= end)
    if not keep.any():
        raise FitError(
            f"Alignment reads {percent(start)} to {percent(end)} of a run, and its rows end at "
            f"{percent(at.max())}: wait, or "
            "use the annealing law of a ladder, which reads earlier."
        )
    ratio = np.log(losses[keep]) - np.log(np.interp(at[keep], *ell))
    notes: list[str] = []
    if keep.sum() < FEWEST_ROWS:
        notes.append(f"Rests on {int(keep.sum())} rows: log more often, or wait.")
    if at.max() < end - SMOOTHING:
        notes.append(f"The run is at {percent(at.max())}; the alignment settles at {percent(end)}.")
    unmet: tuple[str, ...] = ()
    if recipe is None or reference_recipe is None:
        notes.append("The conditions of collapse are not known: give both recipes.")
    else:
        unmet = recipe.unmet(reference_recipe)
    met = recipe is not None and reference_recipe is not None and not unmet
    blocks = np.array_split(ratio, min(ERROR_BLOCKS, len(ratio)))
    middle = float(np.median(ratio))
    # blocks and not rows: the rows of one run err together
    noise = float(np.std([b.mean() for b in blocks]) / math.sqrt(max(len(blocks) - 1, 1)))
    final = math.exp(middle)
    sd = final * math.hypot(noise, LAW_ERROR if met else LAW_ERROR_OFF)
    return Alignment(final, sd, int(keep.sum()), (*unmet, *notes))


@final
class CollapseVerdict(StrEnum):
    """Where a run stands against its siblings."""

    ON_CURVE = "The run follows the curve of its smaller siblings."
    ABOVE = (
        "The run has left the curve upwards: look for a change where it began (restart, kernel, batch size, data), "
        "before its loss shows it."
    )
    BELOW = (
        "The run has left the curve downwards, which better training seldom does: check for leaked or repeated data, "
        "another evaluation, or a schedule that runs ahead of its plan."
    )
    NOT_COMPARABLE = "The run does not share the conditions of collapse, so a residual is no fault of it."


@final
@dataclass(frozen=True, slots=True, eq=False)
class CollapseDiagnosis:
    """The residual of a run against the curve of its siblings.

    Attributes:
        verdict: a sentence of advice. progress: of the rows, shape (n,). residual: r, dimensionless, shape (n,).
        begins_at: progress at which the smoothed residual left for good, None if it did not.
        size: mean residual since then, dimensionless, 0 if it did not leave.
        notes: reasons not to trust it, a sentence each.
    """

    verdict: CollapseVerdict
    progress: Floats
    residual: Floats
    begins_at: float | None
    size: float
    notes: tuple[str, ...]


def diagnose_collapse(
    progress: ArrayLike,
    loss: ArrayLike,
    reference_progress: ArrayLike,
    reference_loss: ArrayLike,
    *,
    recipe: CollapseRecipe | None = None,
    reference_recipe: CollapseRecipe | None = None,
    threshold: float = DRIFT,
) -> CollapseDiagnosis:
    """Say whether, where and which way a run leaves the curve of its siblings.

    The final loss is aligned on 25 to 50 % of the run, so a fault within that window is halved; the residual is
    smoothed over 2 % of the run, and has left once it stays beyond `threshold` to the last row for 5 % or more.

    Args:
        progress, loss, reference_progress, reference_loss, recipe, reference_recipe: as `early_align`.
        threshold: residual that counts as having left, dimensionless, above 0; half of it shows mere misfit.

    Raises:
        FitError: as `early_align`. ConfigError: if the threshold is not positive.
    """
    limit = float(positive("threshold", threshold, "relative residual", most=1.0))
    aligned = early_align(
        progress, loss, reference_progress, reference_loss, recipe=recipe, reference_recipe=reference_recipe
    )
    at, losses = _curve("progress", progress, loss)
    ell = _reference(reference_progress, reference_loss)
    residual = losses / (aligned.final_loss * np.interp(at, *ell)) - 1.0
    smooth = _smoothed(at, residual)
    late = at >= ALIGN_WINDOW[0]
    beyond = np.where(late, np.sign(smooth) * (np.abs(smooth) > limit), 0.0)
    begins, size, verdict = None, 0.0, CollapseVerdict.ON_CURVE
    if beyond[-1] != 0:
        other = np.flatnonzero(beyond != beyond[-1])
        first = int(other[-1]) + 1 if len(other) else 0
        if at[-1] - at[first] >= DRIFT_SPAN:
            begins, size = float(at[first]), float(residual[first:].mean())
            verdict = CollapseVerdict.ABOVE if beyond[-1] > 0 else CollapseVerdict.BELOW
    comparable = recipe is None or reference_recipe is None or not recipe.unmet(reference_recipe)
    if not comparable:
        verdict = CollapseVerdict.NOT_COMPARABLE
    return CollapseDiagnosis(verdict, at, residual, begins, size, aligned.notes)


def _smoothed(at: Floats, residual: Floats) -> Floats:
    """Mean of the residual over the part of the run before each row: no row is judged by later ones."""
    total = np.concatenate([[0.0], np.cumsum(residual)])
    first = np.searchsorted(at, at - SMOOTHING, side="left")
    index = np.arange(len(at))
    return np.asarray((total[index + 1] - total[first]) / (index + 1 - first))


def _curve(name: str, progress: ArrayLike, loss: ArrayLike) -> tuple[Floats, Floats]:
    at, losses = np.asarray(progress, dtype=np.float64), np.asarray(loss, dtype=np.float64)
    if at.ndim != 1 or at.shape != losses.shape:
        raise FitError(f"`{name}` and its loss must have one shape (n,) (got {at.shape} and {losses.shape}).")
    keep = (at > 0) & (at <= 1.0) & (losses > 0) & np.isfinite(losses)
    if keep.sum() < 2 or np.any(np.diff(at[keep]) <= 0):
        raise FitError(f"`{name}` must rise within (0, 1], with positive finite losses in two rows or more.")
    return at[keep], losses[keep]


def _reference(progress: ArrayLike, loss: ArrayLike) -> tuple[Floats, Floats]:
    at, losses = _curve("reference_progress", progress, loss)
    if at[-1] < 0.99:
        raise FitError(f"The reference must be a finished run (its rows end at {percent(at[-1])} of its plan).")
    return at, losses / losses[-1]
