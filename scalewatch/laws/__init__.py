"""What the loss should be: laws, one a file, with their fits beside them.

The laws that a monitor needs are imported with the package; the laws for planning when they are first used, so
that `import scalewatch` stays light inside somebody's training.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from scalewatch.laws.annealing import AnnealingState as AnnealingState
from scalewatch.laws.annealing import ScheduleFeatures as ScheduleFeatures
from scalewatch.laws.annealing import schedule_features as schedule_features
from scalewatch.laws.blocks import LossBlocks as LossBlocks
from scalewatch.laws.curve import Curve as Curve
from scalewatch.laws.curve_law import CurveLaw as CurveLaw
from scalewatch.laws.curve_law import LawPrediction as LawPrediction
from scalewatch.laws.fit_curves import fit_curves as fit_curves
from scalewatch.laws.law_file import load_law as load_law
from scalewatch.laws.law_file import save_law as save_law

if TYPE_CHECKING:
    from scalewatch.laws.annealing_law import AnnealingFit as AnnealingFit
    from scalewatch.laws.annealing_law import AnnealingLaw as AnnealingLaw
    from scalewatch.laws.annealing_law import fit_annealing as fit_annealing
    from scalewatch.laws.approaches import Approach as Approach
    from scalewatch.laws.approaches import ApproachResult as ApproachResult
    from scalewatch.laws.approaches import Comparison as Comparison
    from scalewatch.laws.approaches import compare_approaches as compare_approaches
    from scalewatch.laws.average import LawAverage as LawAverage
    from scalewatch.laws.average import LawScore as LawScore
    from scalewatch.laws.average import average_laws as average_laws
    from scalewatch.laws.batch_and_step import AdviceBand as AdviceBand
    from scalewatch.laws.batch_and_step import BandSource as BandSource
    from scalewatch.laws.batch_and_step import advise_batch_tokens as advise_batch_tokens
    from scalewatch.laws.batch_and_step import advise_learning_rate as advise_learning_rate
    from scalewatch.laws.broken import Break as Break
    from scalewatch.laws.broken import BrokenLaw as BrokenLaw
    from scalewatch.laws.broken import Scaling as Scaling
    from scalewatch.laws.chinchilla import Allocation as Allocation
    from scalewatch.laws.chinchilla import Chinchilla as Chinchilla
    from scalewatch.laws.chinchilla import OffOptimum as OffOptimum
    from scalewatch.laws.chinchilla_file import load_chinchilla as load_chinchilla
    from scalewatch.laws.chinchilla_file import save_chinchilla as save_chinchilla
    from scalewatch.laws.collapse import Collapse as Collapse
    from scalewatch.laws.collapse import CollapseRun as CollapseRun
    from scalewatch.laws.collapse import FittedFloor as FittedFloor
    from scalewatch.laws.collapse import fit_floor as fit_floor
    from scalewatch.laws.collapse import measure_collapse as measure_collapse
    from scalewatch.laws.collapse_align import Alignment as Alignment
    from scalewatch.laws.collapse_align import CollapseDiagnosis as CollapseDiagnosis
    from scalewatch.laws.collapse_align import CollapseRecipe as CollapseRecipe
    from scalewatch.laws.collapse_align import CollapseVerdict as CollapseVerdict
    from scalewatch.laws.collapse_align import diagnose_collapse as diagnose_collapse
    from scalewatch.laws.collapse_align import early_align as early_align
    from scalewatch.laws.emergence import EmergenceEvidence as EmergenceEvidence
    from scalewatch.laws.emergence import EmergenceVerdict as EmergenceVerdict
    from scalewatch.laws.emergence import answer_probability as answer_probability
    from scalewatch.laws.emergence import edit_distance as edit_distance
    from scalewatch.laws.emergence import exact_match as exact_match
    from scalewatch.laws.emergence import judge_emergence as judge_emergence
    from scalewatch.laws.emergence import resolution as resolution
    from scalewatch.laws.families import FAMILIES as FAMILIES
    from scalewatch.laws.fit import Fit as Fit
    from scalewatch.laws.fit import FittedLaw as FittedLaw
    from scalewatch.laws.fit import Prediction as Prediction
    from scalewatch.laws.fit import fit_family as fit_family
    from scalewatch.laws.fit_broken import BrokenFit as BrokenFit
    from scalewatch.laws.fit_broken import BrokenStatus as BrokenStatus
    from scalewatch.laws.fit_broken import fit_broken as fit_broken
    from scalewatch.laws.fit_chinchilla import OptimumInterval as OptimumInterval
    from scalewatch.laws.fit_chinchilla import fit_chinchilla as fit_chinchilla
    from scalewatch.laws.fit_chinchilla import optimum_interval as optimum_interval
    from scalewatch.laws.fit_multi_power import MultiPowerFit as MultiPowerFit
    from scalewatch.laws.fit_multi_power import MultiPowerStatus as MultiPowerStatus
    from scalewatch.laws.fit_multi_power import fit_multi_power as fit_multi_power
    from scalewatch.laws.fit_status import FitStatus as FitStatus
    from scalewatch.laws.inference import InferenceOptimum as InferenceOptimum
    from scalewatch.laws.inference import inference_optimum as inference_optimum
    from scalewatch.laws.kaplan import Kaplan as Kaplan
    from scalewatch.laws.kaplan import KaplanAllocation as KaplanAllocation
    from scalewatch.laws.learning_curve_theory import ZipfCurve as ZipfCurve
    from scalewatch.laws.learning_curve_theory import ZipfTail as ZipfTail
    from scalewatch.laws.learning_curve_theory import fit_zipf_tail as fit_zipf_tail
    from scalewatch.laws.model_error import ModelError as ModelError
    from scalewatch.laws.multi_power import MultiPowerLaw as MultiPowerLaw
    from scalewatch.laws.reconcile import PORIAN_STEPS as PORIAN_STEPS
    from scalewatch.laws.reconcile import KaplanFrontier as KaplanFrontier
    from scalewatch.laws.reconcile import porian_allocation as porian_allocation
    from scalewatch.laws.repeated_data import RepeatedData as RepeatedData
    from scalewatch.laws.repeated_data import RepeatedOptimum as RepeatedOptimum
    from scalewatch.laws.size import PF_DAY_FLOPS as PF_DAY_FLOPS
    from scalewatch.laws.size import Parameters as Parameters
    from scalewatch.laws.size import SizeKind as SizeKind
    from scalewatch.laws.size import Transformer as Transformer
    from scalewatch.laws.size import active as active
    from scalewatch.laws.size import non_embedding as non_embedding
    from scalewatch.laws.size import total as total
    from scalewatch.laws.size import training_flops as training_flops
    from scalewatch.laws.transfer import Transfer as Transfer

#: Where a name that is imported on first use lives.
_HOMES = {
    **dict.fromkeys(("AnnealingFit", "AnnealingLaw", "fit_annealing"), "annealing_law"),
    **dict.fromkeys(("Approach", "ApproachResult", "Comparison", "compare_approaches"), "approaches"),
    **dict.fromkeys(("LawAverage", "LawScore", "average_laws"), "average"),
    **dict.fromkeys(("AdviceBand", "BandSource", "advise_batch_tokens", "advise_learning_rate"), "batch_and_step"),
    **dict.fromkeys(("Break", "BrokenLaw", "Scaling"), "broken"),
    **dict.fromkeys(("Allocation", "Chinchilla", "OffOptimum"), "chinchilla"),
    **dict.fromkeys(("load_chinchilla", "save_chinchilla"), "chinchilla_file"),
    **dict.fromkeys(("Collapse", "CollapseRun", "FittedFloor", "fit_floor", "measure_collapse"), "collapse"),
    **dict.fromkeys(
        ("Alignment", "CollapseDiagnosis", "CollapseRecipe", "CollapseVerdict", "diagnose_collapse", "early_align"),
        "collapse_align",
    ),
    **dict.fromkeys(
        (
            "EmergenceEvidence",
            "EmergenceVerdict",
            "answer_probability",
            "edit_distance",
            "exact_match",
            "judge_emergence",
            "resolution",
        ),
        "emergence",
    ),
    **dict.fromkeys(("FAMILIES",), "families"),
    **dict.fromkeys(("Fit", "FittedLaw", "Prediction", "fit_family"), "fit"),
    **dict.fromkeys(("BrokenFit", "BrokenStatus", "fit_broken"), "fit_broken"),
    **dict.fromkeys(("OptimumInterval", "fit_chinchilla", "optimum_interval"), "fit_chinchilla"),
    **dict.fromkeys(("MultiPowerFit", "MultiPowerStatus", "fit_multi_power"), "fit_multi_power"),
    **dict.fromkeys(("FitStatus",), "fit_status"),
    **dict.fromkeys(("InferenceOptimum", "inference_optimum"), "inference"),
    **dict.fromkeys(("Kaplan", "KaplanAllocation"), "kaplan"),
    **dict.fromkeys(("ZipfCurve", "ZipfTail", "fit_zipf_tail"), "learning_curve_theory"),
    **dict.fromkeys(("ModelError",), "model_error"),
    **dict.fromkeys(("MultiPowerLaw",), "multi_power"),
    **dict.fromkeys(("KaplanFrontier", "PORIAN_STEPS", "porian_allocation"), "reconcile"),
    **dict.fromkeys(("RepeatedData", "RepeatedOptimum"), "repeated_data"),
    **dict.fromkeys(
        ("PF_DAY_FLOPS", "Parameters", "SizeKind", "Transformer", "active", "non_embedding", "total", "training_flops"),
        "size",
    ),
    **dict.fromkeys(("Transfer",), "transfer"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
