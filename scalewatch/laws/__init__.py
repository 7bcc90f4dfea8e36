"""What the loss should be: laws, one a file; and, for people, the fits of `scalewatch.fitting`.

The laws that a monitor needs are imported with the package; the laws for planning, and the fits, when they are first
used, so that `import scalewatch` stays light inside somebody's training.
"""

from typing import TYPE_CHECKING

from scalewatch.laws.annealing import AnnealingState as AnnealingState
from scalewatch.laws.annealing import ScheduleFeatures as ScheduleFeatures
from scalewatch.laws.annealing import schedule_features as schedule_features
from scalewatch.laws.blocks import LossBlocks as LossBlocks
from scalewatch.laws.curve import Curve as Curve
from scalewatch.laws.curve_law import CurveLaw as CurveLaw
from scalewatch.laws.curve_law import LawPrediction as LawPrediction
from scalewatch.laws.law_file import load_law as load_law
from scalewatch.laws.law_file import save_law as save_law
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
    from scalewatch.laws.annealing_law import AnnealingLaw as AnnealingLaw
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
    from scalewatch.laws.inference import InferenceOptimum as InferenceOptimum
    from scalewatch.laws.inference import inference_optimum as inference_optimum
    from scalewatch.laws.kaplan import Kaplan as Kaplan
    from scalewatch.laws.kaplan import KaplanAllocation as KaplanAllocation
    from scalewatch.laws.learning_curve_theory import ZipfCurve as ZipfCurve
    from scalewatch.laws.learning_curve_theory import ZipfTail as ZipfTail
    from scalewatch.laws.learning_curve_theory import fit_zipf_tail as fit_zipf_tail
    from scalewatch.laws.multi_power import MultiPowerLaw as MultiPowerLaw
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

#: Where a name that is imported on first use lives: module of this package -> names.
_LAZY = {
    "annealing_law": ("AnnealingLaw",),
    "batch_and_step": (
        "AdviceBand",
        "BandSource",
        "advise_batch_tokens",
        "advise_learning_rate",
    ),
    "broken": (
        "Break",
        "BrokenLaw",
        "Scaling",
    ),
    "chinchilla": (
        "Allocation",
        "Chinchilla",
        "OffOptimum",
    ),
    "collapse": (
        "Collapse",
        "CollapseRun",
        "FittedFloor",
        "fit_floor",
        "measure_collapse",
    ),
    "collapse_align": (
        "Alignment",
        "CollapseDiagnosis",
        "CollapseRecipe",
        "CollapseVerdict",
        "diagnose_collapse",
        "early_align",
    ),
    "emergence": (
        "EmergenceEvidence",
        "EmergenceVerdict",
        "answer_probability",
        "edit_distance",
        "exact_match",
        "judge_emergence",
        "resolution",
    ),
    "inference": (
        "InferenceOptimum",
        "inference_optimum",
    ),
    "kaplan": (
        "Kaplan",
        "KaplanAllocation",
    ),
    "learning_curve_theory": (
        "ZipfCurve",
        "ZipfTail",
        "fit_zipf_tail",
    ),
    "multi_power": ("MultiPowerLaw",),
    "repeated_data": (
        "RepeatedData",
        "RepeatedOptimum",
    ),
    "size": (
        "PF_DAY_FLOPS",
        "Parameters",
        "SizeKind",
        "Transformer",
        "active",
        "non_embedding",
        "total",
        "training_flops",
    ),
    "transfer": ("Transfer",),
}
#: What `scalewatch.fitting` holds, on the floor above, and people look for here.
_FITTING = (
    "AnnealingFit",
    "Approach",
    "ApproachResult",
    "BrokenFit",
    "BrokenStatus",
    "Comparison",
    "FAMILIES",
    "Fit",
    "FitStatus",
    "FittedLaw",
    "KaplanFrontier",
    "LawAverage",
    "LawScore",
    "ModelError",
    "MultiPowerFit",
    "MultiPowerStatus",
    "OptimumInterval",
    "PORIAN_STEPS",
    "Prediction",
    "average_laws",
    "compare_approaches",
    "fit_annealing",
    "fit_broken",
    "fit_chinchilla",
    "fit_curves",
    "fit_family",
    "fit_multi_power",
    "load_chinchilla",
    "optimum_interval",
    "porian_allocation",
    "save_chinchilla",
)

__getattr__, __dir__ = lazy_names(__name__, {**_LAZY, "scalewatch.fitting": _FITTING})
