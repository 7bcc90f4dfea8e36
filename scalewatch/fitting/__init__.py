"""Laws from runs: how each is fitted, how sure the fit is, and where it may not be used."""

from typing import TYPE_CHECKING

from scalewatch.lazy import lazy_names

if TYPE_CHECKING:
    from scalewatch.fitting.annealing import AnnealingFit as AnnealingFit
    from scalewatch.fitting.annealing import fit_annealing as fit_annealing
    from scalewatch.fitting.approaches import Approach as Approach
    from scalewatch.fitting.approaches import ApproachResult as ApproachResult
    from scalewatch.fitting.approaches import Comparison as Comparison
    from scalewatch.fitting.approaches import compare_approaches as compare_approaches
    from scalewatch.fitting.average import LawAverage as LawAverage
    from scalewatch.fitting.average import LawScore as LawScore
    from scalewatch.fitting.average import average_laws as average_laws
    from scalewatch.fitting.broken import BrokenFit as BrokenFit
    from scalewatch.fitting.broken import BrokenStatus as BrokenStatus
    from scalewatch.fitting.broken import fit_broken as fit_broken
    from scalewatch.fitting.chinchilla import OptimumInterval as OptimumInterval
    from scalewatch.fitting.chinchilla import fit_chinchilla as fit_chinchilla
    from scalewatch.fitting.chinchilla import optimum_interval as optimum_interval
    from scalewatch.fitting.chinchilla_file import load_chinchilla as load_chinchilla
    from scalewatch.fitting.chinchilla_file import save_chinchilla as save_chinchilla
    from scalewatch.fitting.curves import fit_curves as fit_curves
    from scalewatch.fitting.families import FAMILIES as FAMILIES
    from scalewatch.fitting.fit import Fit as Fit
    from scalewatch.fitting.fit import FittedLaw as FittedLaw
    from scalewatch.fitting.fit import Prediction as Prediction
    from scalewatch.fitting.fit import fit_family as fit_family
    from scalewatch.fitting.model_error import ModelError as ModelError
    from scalewatch.fitting.multi_power import MultiPowerFit as MultiPowerFit
    from scalewatch.fitting.multi_power import MultiPowerStatus as MultiPowerStatus
    from scalewatch.fitting.multi_power import fit_multi_power as fit_multi_power
    from scalewatch.fitting.reconcile import PORIAN_STEPS as PORIAN_STEPS
    from scalewatch.fitting.reconcile import KaplanFrontier as KaplanFrontier
    from scalewatch.fitting.reconcile import porian_allocation as porian_allocation
    from scalewatch.fitting.status import FitStatus as FitStatus

#: Where a name that is imported on first use lives: module of this package -> names.
_LAZY = {
    "annealing": (
        "AnnealingFit",
        "fit_annealing",
    ),
    "approaches": (
        "Approach",
        "ApproachResult",
        "Comparison",
        "compare_approaches",
    ),
    "average": (
        "LawAverage",
        "LawScore",
        "average_laws",
    ),
    "broken": (
        "BrokenFit",
        "BrokenStatus",
        "fit_broken",
    ),
    "chinchilla": (
        "OptimumInterval",
        "fit_chinchilla",
        "optimum_interval",
    ),
    "chinchilla_file": (
        "load_chinchilla",
        "save_chinchilla",
    ),
    "curves": ("fit_curves",),
    "families": ("FAMILIES",),
    "fit": (
        "Fit",
        "FittedLaw",
        "Prediction",
        "fit_family",
    ),
    "model_error": ("ModelError",),
    "multi_power": (
        "MultiPowerFit",
        "MultiPowerStatus",
        "fit_multi_power",
    ),
    "reconcile": (
        "KaplanFrontier",
        "PORIAN_STEPS",
        "porian_allocation",
    ),
    "status": ("FitStatus",),
}

__getattr__, __dir__ = lazy_names(__name__, _LAZY)
