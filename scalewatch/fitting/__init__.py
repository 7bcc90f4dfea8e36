# ruff: noqa: I001  the names of a module on one line
"""Laws from runs: how each is fitted, how sure the fit is, and where it may not be used."""

from typing import TYPE_CHECKING

from scalewatch.lazy import lazy_names

if TYPE_CHECKING:
    from scalewatch.fitting.annealing import AnnealingFit as AnnealingFit, fit_annealing as fit_annealing
    from scalewatch.fitting.approaches import (
        Approach as Approach,
        ApproachResult as ApproachResult,
        Comparison as Comparison,
        compare_approaches as compare_approaches,
    )
    from scalewatch.fitting.average import LawAverage as LawAverage, LawScore as LawScore, average_laws as average_laws
    from scalewatch.fitting.broken import BrokenFit as BrokenFit, fit_broken as fit_broken
    from scalewatch.fitting.chinchilla import (
        OptimumInterval as OptimumInterval,
        fit_chinchilla as fit_chinchilla,
        optimum_interval as optimum_interval,
    )
    from scalewatch.fitting.chinchilla_file import (
        load_chinchilla as load_chinchilla,
        save_chinchilla as save_chinchilla,
    )
    from scalewatch.fitting.curves import fit_curves as fit_curves
    from scalewatch.fitting.families import FAMILIES as FAMILIES
    from scalewatch.fitting.points import FittedLaw as FittedLaw, PointFit as PointFit, fit_family as fit_family
    from scalewatch.fitting.prediction import Prediction as Prediction
    from scalewatch.fitting.result import Fit as Fit
    from scalewatch.fitting.model_error import ModelError as ModelError
    from scalewatch.fitting.multi_power import MultiPowerFit as MultiPowerFit, fit_multi_power as fit_multi_power
    from scalewatch.fitting.reconcile import (
        PORIAN_STEPS as PORIAN_STEPS,
        KaplanFrontier as KaplanFrontier,
        porian_allocation as porian_allocation,
    )
    from scalewatch.fitting.repeated_data import fit_repeated_data as fit_repeated_data
    from scalewatch.fitting.status import FitStatus as FitStatus
    from scalewatch.fitting.table import (
        LAW_FAMILIES as LAW_FAMILIES,
        LAWS as LAWS,
        FitOptions as FitOptions,
        LawFamily as LawFamily,
        fit as fit,
        read_law as read_law,
        save_fit as save_fit,
    )
    from scalewatch.fitting.averaged_law import AveragedLaw as AveragedLaw
    from scalewatch.fitting.transfer import fit_transfer as fit_transfer

#: Module of this package -> the names that are imported from it on first use.
_LAZY = {
    "annealing": "AnnealingFit fit_annealing",
    "approaches": "Approach ApproachResult Comparison compare_approaches",
    "average": "LawAverage LawScore average_laws",
    "broken": "BrokenFit fit_broken",
    "chinchilla": "OptimumInterval fit_chinchilla optimum_interval",
    "chinchilla_file": "load_chinchilla save_chinchilla",
    "curves": "fit_curves",
    "families": "FAMILIES",
    "points": "FittedLaw PointFit fit_family",
    "prediction": "Prediction",
    "result": "Fit",
    "model_error": "ModelError",
    "multi_power": "MultiPowerFit fit_multi_power",
    "reconcile": "KaplanFrontier PORIAN_STEPS porian_allocation",
    "status": "FitStatus",
    "averaged_law": "AveragedLaw",
    "repeated_data": "fit_repeated_data",
    "table": "FitOptions LAWS LAW_FAMILIES LawFamily fit read_law save_fit",
    "transfer": "fit_transfer",
}

if not TYPE_CHECKING:
    __getattr__, __dir__, __all__ = lazy_names(__name__, _LAZY)
