"""The law that a run is placed in: the one named, its journal's, of the runs beside it, or a published one.

Fits are made by the thread that reads the logs; a request takes what there is and says what it is of.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np

from scalewatch.charts import Placed
from scalewatch.errors import ScalewatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scalewatch.fitting.points import PointFit
    from scalewatch.forecast.verdict import Verdict
    from scalewatch.laws import Curve, CurveLaw
    from scalewatch.laws.chinchilla import Chinchilla
    from scalewatch.plan.loss_model import AbstractLossModel
    from scalewatch_tensorboard.runs.listed import Ended
    from scalewatch_tensorboard.runs.registry import RunRegistry
    from scalewatch_tensorboard.runs.run_state import RunState

__all__ = [
    "CannotDrawError",
    "LadderRun",
    "LawSource",
    "Placement",
    "finished_beside",
    "fitted",
    "law_beside",
    "law_for",
    "placement_of",
]

LEVEL = 0.8
#: Sets of constants that an interval is from: enough for a line on a screen.
DRAWS = 100
#: Runs and sizes that a law of final losses, and one of whole curves, takes at least.
FEWEST_POINTS, FEWEST_SIZES, FEWEST_CURVES, FEWEST_CURVE_SIZES = 8, 3, 3, 3
#: Runs that a law of curves is fitted to at most, the largest, and rows of each: a fit then takes a second or two.
MOST_CURVES, MOST_ROWS = 40, 5_000
#: A run that is not in memory is read in stretches of so long [s].
READ_SECONDS = 1.0
#: What is said to somebody whose runs lack it.
_JOURNAL = (
    "Train with the ScaleWatch callback, whose journal beside the event files holds it (event files have no place for "
    "it)."
)


@final
class CannotDrawError(ScalewatchError):
    """A chart that cannot be drawn: the sentence says what is missing and how to get it."""


@final
class LadderRun(NamedTuple):
    """A finished, healthy run: its size, its tokens and where it ended.

    Attributes:
        name: of the run. version: of its row. ended: what is known of its end.
        load: opens the run with its rows; None if that is not possible now.
    """

    name: str
    version: int
    ended: Ended
    load: Callable[[], RunState | None]

    @property
    def parameters(self) -> float:
        """Of the run, count."""
        return self.ended.parameters

    @property
    def tokens(self) -> float:
        """In all, count."""
        return self.ended.tokens

    @property
    def final_loss(self) -> float:
        """Where it ended [nats/token]."""
        return self.ended.final_loss


@final
class LawSource(NamedTuple):
    """A law and what it is of.

    Attributes:
        surface: loss over size and tokens, with the errors of the law. bare: the same without.
        is_of_run: whether the run is watched by it. comparable: whether losses may be held against it.
        notes: what is to be said of it, a sentence each.
        curve_law, curves: law of the whole curves of the runs beside, and they; None and empty without.
        fit: of their final losses, None without.
    """

    surface: AbstractLossModel
    bare: AbstractLossModel
    is_of_run: bool
    comparable: bool
    notes: tuple[str, ...]
    curve_law: CurveLaw | None = None
    curves: Sequence[Curve] = ()
    fit: PointFit[Chinchilla] | None = None


@final
class Placement(NamedTuple):
    """Where a run stands among others.

    Attributes:
        parameters: of the kind of the law, count. tokens: at the planned end, or so far, count.
        placed: as the charts take it; its loss is the run's own where it can be compared, else that of the law.
        loss: of the law at its size and tokens [nats/token]. ended: whether the run is over.
        distance: how far it is off the law that it is watched by, as its own page says it; empty without one.
    """

    parameters: float
    tokens: float
    placed: Placed
    loss: float
    ended: bool
    distance: str = ""


def finished_beside(registry: RunRegistry, state: RunState) -> list[LadderRun]:
    """Return the finished and healthy runs of the folder that say their size and tokens, but for that of `state`."""
    return [
        LadderRun(run.found.name, run.changed, run.ended, partial(registry.find, run.found.name))
        for run in registry.listing.all()
        if run.ended is not None and run.found.name != state.name
    ]


def law_for(registry: RunRegistry, state: RunState) -> LawSource:
    """Return the law that a run is placed in: the one the user named, else that of its journal, else of runs beside it.

    Where there is none of these, it is a published one. What stands in the way of each is in the notes.

    Raises:
        CannotDrawError: if it is being fitted.
    """
    path, notes = registry.logdirs.law, list[str]()
    if path is not None:
        named = _named(path, is_of_run=registry.law is not None and state.tracker.monitor.law is registry.law)
        if isinstance(named, LawSource):
            return named
        notes.append(f"{path.name}, given with --scalewatch_law, cannot be drawn over size and tokens: {named}")
    elif state.tracker.monitor.law is not None:
        watched = _watched(state.tracker.monitor.law)
        if isinstance(watched, LawSource):
            return watched
        notes.append(f"The law of its journal cannot be drawn over size and tokens: {watched}")
    beside = law_beside(registry, state)
    if isinstance(beside, LawSource):
        return beside._replace(notes=(*beside.notes, *notes))
    return _published(beside, notes)


def law_beside(registry: RunRegistry, state: RunState) -> LawSource | str:
    """Return the law of the finished runs beside a run, or why there is none.

    Raises:
        CannotDrawError: if it is being fitted.
    """
    ladder = finished_beside(registry, state)
    sizes = len({each.parameters for each in ladder})
    if len(ladder) < FEWEST_CURVES or sizes < FEWEST_CURVE_SIZES:
        have = f"the {len(ladder)} here that say theirs are of {sizes}" if ladder else "no other run here says its size"
        return f"A law of your own takes finished runs of three sizes, and {have}"
    key = tuple((each.name, each.version) for each in ladder)
    made: LawSource | str | None = registry.work.get(key, partial(_fitted_or_why, ladder))
    if made is None:
        raise CannotDrawError(f"A law is being fitted to the {len(ladder)} finished runs here: a few seconds.")
    return made.rstrip(".") if isinstance(made, str) else made


def placement_of(state: RunState, law: LawSource) -> Placement:
    """Return where a run stands, at its planned end where it has one.

    Raises:
        CannotDrawError: if its size or its tokens are not known.
    """
    run, kind = state.run, str(law.surface.facts.kind)
    size = run.non_embedding_parameters if kind == "non_embedding" else run.parameters
    if size is None:
        what = "parameters without embeddings, which this law counts," if kind == "non_embedding" else "parameters"
        raise CannotDrawError(f"How many {what} this run has is not known, so it has no place here. {_JOURNAL}")
    with state.lock:
        verdict, forecast = state.tracker.verdict, state.tracker.monitor.forecast()
        step = state.tracker.monitor.step
    tokens = run.tokens_at(run.total_steps or step)
    if not tokens:
        raise CannotDrawError(f"How many tokens a step of this run has is not known. {_JOURNAL}")
    at_law = float(law.bare.loss(np.array([[math.log(size)]]), np.array([[math.log(tokens)]]))[0, 0])
    flops = 6.0 * size * tokens
    placed, ended = Placed(state.name, flops, float(size), at_law), verdict.final_loss is not None
    if law.comparable and verdict.final_loss is not None and math.isfinite(verdict.final_loss):
        placed = Placed(state.name, flops, float(size), verdict.final_loss)
    elif law.comparable and forecast is not None and forecast.final_loss > 0:
        low, high = forecast.interval(LEVEL)
        placed = Placed(state.name, flops, float(size), forecast.final_loss, max(low, 1e-3), high)
    return Placement(float(size), tokens, placed, at_law, ended, _distance(verdict) if law.is_of_run else "")


def _distance(verdict: Verdict) -> str:
    """How far a run is off its law; rows of an incident do not count for it."""
    if verdict.law_gap is None:
        return ""
    when = "" if verdict.gap_ends_at is None else f" before the incident at step {verdict.gap_ends_at:,}"
    return f"{verdict.law_gap.distance()}{when}"


def fitted(ladder: list[LadderRun]) -> LawSource:
    """Return the law of some finished runs: of their final losses where these suffice, else of their whole curves.

    Raises:
        ScalewatchError: if they lie on none.
    """
    from scalewatch.fitting import fit_curves
    from scalewatch.plan import CurveLossModel

    curves = _curves(ladder)
    curve_law = fit_curves(curves) if len(curves) >= FEWEST_CURVES else None
    fit = _points(ladder)
    note = f"Law: fitted to the {len(ladder)} other finished runs of this folder."
    if fit is not None:
        from scalewatch.fitting.chinchilla_file import SavedChinchilla
        from scalewatch.plan.published import fitted_loss_model

        kept, name = SavedChinchilla.of(fit), "runs of this folder"
        surface, bare = fitted_loss_model(kept, name, DRAWS), fitted_loss_model(kept, name, 1)
        return LawSource(surface, bare, False, True, (note,), curve_law, curves, fit)
    if curve_law is None:
        raise CannotDrawError("The finished runs here do not say their learning rates, and a law of curves needs them.")
    if not curve_law.usable:
        raise CannotDrawError(f"The {len(curves)} finished runs here make no law: {' '.join(curve_law.cautions)}")
    models = CurveLossModel(curve_law, "runs of this folder", DRAWS), CurveLossModel(curve_law, "runs of this folder")
    return LawSource(*models, False, True, (note, *curve_law.cautions), curve_law, curves)


def _fitted_or_why(ladder: list[LadderRun]) -> LawSource | str:
    try:
        return fitted(ladder)
    except (ScalewatchError, ValueError, ArithmeticError) as fault:
        return str(fault) or type(fault).__name__


def _points(ladder: list[LadderRun]) -> PointFit[Chinchilla] | None:
    from scalewatch.fitting.chinchilla import fit_chinchilla

    size = np.array([each.parameters for each in ladder])
    if len(ladder) < FEWEST_POINTS or len(np.unique(size)) < FEWEST_SIZES:
        return None
    fit = fit_chinchilla(size, [each.tokens for each in ladder], [each.final_loss for each in ladder])
    return fit if fit.status.name == "OK" else None


def _curves(ladder: list[LadderRun]) -> list[Curve]:
    from scalewatch.errors import FitError
    from scalewatch.laws import Curve

    curves = []
    known = [each for each in ladder if each.ended.knows_rates]
    for each in sorted(known, key=lambda each: -each.parameters)[:MOST_CURVES]:
        state = each.load()
        if state is None:
            continue
        while not state.reading.caught_up and state.advance(READ_SECONDS):
            pass
        columns = state.columns()
        kept = np.unique(np.linspace(0, len(columns.steps) - 1, min(len(columns.steps), MOST_ROWS)).astype(int))
        try:
            curve = Curve(state.run, columns.steps[kept], columns.losses[kept])
        except FitError:
            continue
        # a name of the logdir is of one run; that of a run need not be
        curves.append(curve.renamed(each.name))
    return curves


@lru_cache(maxsize=4)
def _models(law: str, changed: int = 0) -> tuple[AbstractLossModel, AbstractLossModel]:
    """A law with and without its errors, by its name or the path of a file that changed last then [ns]."""
    from scalewatch.plan import loss_model_for

    del changed
    return loss_model_for(law, DRAWS), loss_model_for(law, 1)


def _named(path: Path, *, is_of_run: bool) -> LawSource | str:
    """The law file of this TensorBoard, or why it cannot be drawn over size and tokens."""
    try:
        models = _models(str(path), path.stat().st_mtime_ns)
    except (ScalewatchError, OSError) as fault:
        return str(fault)
    notes = (
        f"Law: {path.name}, given with --scalewatch_law.",
        "Its losses can be compared if it is of this data and tokenizer.",
    )
    return LawSource(*models, is_of_run, True, (*notes, *models[0].facts.faults))


def _watched(law: CurveLaw) -> LawSource | str:
    """The law that a run was watched by, as its journal holds it, or why it cannot be drawn over size and tokens."""
    from scalewatch.plan import CurveLossModel

    try:
        models = CurveLossModel(law, "the law of its journal", DRAWS), CurveLossModel(law, "the law of its journal")
    except ScalewatchError as fault:
        return str(fault)
    return LawSource(*models, True, True, ("Law: the one that this run was watched by.", *models[0].facts.faults))


def _published(why: str, more: Sequence[str]) -> LawSource:
    notes = (
        "Law: Chinchilla (Hoffmann et al. 2022) as refitted by Besiroglu et al. 2024, a published law of another data "
        "set and tokenizer. The run is placed by its size, tokens and compute: its own loss need not match, and is not "
        "drawn.",
        f"{why}: finish smaller runs with the ScaleWatch callback below this folder, or start TensorBoard with "
        "--scalewatch_law FILE.",
        *more,
    )
    return LawSource(*_models("chinchilla"), False, False, notes)
