"""The laws that a plan can be asked of by name, and law files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scalewatch.errors import ConfigError
from scalewatch.fitting.chinchilla_file import KIND as CHINCHILLA_KIND
from scalewatch.fitting.chinchilla_file import SavedChinchilla, load_chinchilla
from scalewatch.fitting.prediction import EXTRAPOLATION_SHARE, MISSHAPEN_SHARE
from scalewatch.fitting.status import FitStatus
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.law_file import load_law
from scalewatch.plan.chinchilla_model import BESIROGLU_RUNS, ChinchillaLossModel, FittedRuns, besiroglu_draws
from scalewatch.plan.curve_model import CurveLossModel
from scalewatch.plan.kaplan_model import KaplanLossModel
from scalewatch.plan.loss_model import AbstractLossModel
from scalewatch.strict_json import read_record

__all__ = ["LAW_NAMES", "fitted_loss_model", "loss_model_for"]

#: Names that `loss_model_for` knows beside files; "chinchilla" is the repaired one.
LAW_NAMES = ("chinchilla", "besiroglu", "hoffmann", "hoffmann-tex", "kaplan")
#: Sets of constants that stand for the errors of a law: the ends of an 80 % interval are known to 4 % of its width.
DRAWS = 400

_NO_ERRORS = (
    "No intervals: those of Hoffmann et al. are too narrow by far (Besiroglu et al. 2024); --law chinchilla has them."
)


def loss_model_for(law: str, draws: int = DRAWS, seed: int = 0) -> AbstractLossModel:
    """Return the law of a name, or of a file that `scalewatch fit` wrote.

    Args:
        law: one of `LAW_NAMES`, or a path. draws: sets of constants that its intervals are from. seed: of them.

    Raises:
        ConfigError: if it is neither. LawFileError: if the file is no law. Both say what to do.
    """
    name = law.strip().lower().replace("_", "-")
    if name in ("chinchilla", "besiroglu"):
        return ChinchillaLossModel(
            Chinchilla.besiroglu(),
            besiroglu_draws(draws, seed),
            "Chinchilla, as refitted by Besiroglu et al. 2024",
            "Intervals are of the law, from 4,000 refits of resampled runs; a run ends 0.75 % off it (one sd).",
            runs=BESIROGLU_RUNS,
        )
    if name == "hoffmann":
        rounded = (
            "The rounded constants lie 0.045 nats too low on their own runs and ask for too much data: prefer "
            "--law chinchilla, or hoffmann-tex for the constants before rounding.",
        )
        return ChinchillaLossModel(
            Chinchilla.hoffmann(), None, "Hoffmann et al. 2022, as printed (rounded)", _NO_ERRORS, rounded
        )
    if name == "hoffmann-tex":
        early = (
            "The optimizer behind these constants stopped early (Besiroglu et al. 2024): prefer --law chinchilla.",
        )
        return ChinchillaLossModel(
            Chinchilla.hoffmann_tex(), None, "Hoffmann et al. 2022, before rounding", _NO_ERRORS, early
        )
    if name == "kaplan":
        return KaplanLossModel()
    if not Path(law).is_file():
        raise ConfigError(f"There is no law {law!r:.200}: name one of {', '.join(LAW_NAMES)}, or a law file.")
    path = Path(law)
    if read_record(path).get("kind") == CHINCHILLA_KIND:
        return fitted_loss_model(load_chinchilla(path), path.name, draws)
    return CurveLossModel(load_law(path), path.name, draws, seed)


def fitted_loss_model(fitted: SavedChinchilla, name: str, draws: int = DRAWS) -> ChinchillaLossModel:
    """Return a law of final losses as it was fitted; `name` says whose it is, `draws` how many constants it keeps."""
    label = f"{name}: Chinchilla's law, {fitted.law.source}"
    faults = tuple(status.value for status in fitted.statuses if status.name != "OK")
    if not fitted.status.usable:
        errors = "No intervals are known."
        return ChinchillaLossModel(fitted.law, None, label, errors, fitted.notes, faults=faults)
    errors = (
        f"Intervals are of the law, from the errors of its fit; a run ends {100 * fitted.scale:.2g} % off it (one sd)."
    )
    misshapen = FitStatus.WRONG_SHAPE in fitted.statuses
    share = MISSHAPEN_SHARE if misshapen else EXTRAPOLATION_SHARE
    runs = FittedRuns(fitted.scale, fitted.runs, fitted.fall_per_efold, fitted.flops[1], share)
    kept = np.unique(np.linspace(0, len(fitted.draws) - 1, min(draws, len(fitted.draws))).astype(int))
    return ChinchillaLossModel(fitted.law, fitted.draws[kept], label, errors, (*faults, *fitted.notes), runs)
