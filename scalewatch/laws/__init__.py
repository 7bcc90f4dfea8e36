# ruff: noqa: I001  the names of a module on one line
"""What the loss should be: laws, one a file; and, for people, the fits of `scalewatch.fitting`.

The laws that a monitor needs are imported with the package; the laws for planning, and the fits, when they are first
used, so that `import scalewatch` stays light inside somebody's training.
"""

from typing import TYPE_CHECKING

from scalewatch.laws.annealing import (
    AnnealingState as AnnealingState,
    ScheduleFeatures as ScheduleFeatures,
    schedule_features as schedule_features,
)
from scalewatch.laws.blocks import LossBlocks as LossBlocks
from scalewatch.laws.curve import Curve as Curve
from scalewatch.laws.curve_law import CurveLaw as CurveLaw, RunPrior as RunPrior
from scalewatch.laws.law import Law as Law, Publication as Publication, Quantity as Quantity
from scalewatch.laws.law_file import load_law as load_law, save_law as save_law
from scalewatch.lazy import lazy_names

if TYPE_CHECKING:
    from scalewatch.fitting import *  # noqa: F403
    from scalewatch.laws.annealing_law import AnnealingLaw as AnnealingLaw
    from scalewatch.laws.batch_and_step import (
        AdviceBand as AdviceBand,
        BandSource as BandSource,
        advise_batch_tokens as advise_batch_tokens,
        advise_learning_rate as advise_learning_rate,
    )
    from scalewatch.laws.broken import Break as Break, BrokenLaw as BrokenLaw, Scaling as Scaling
    from scalewatch.laws.chinchilla import Allocation as Allocation, Chinchilla as Chinchilla, OffOptimum as OffOptimum
    from scalewatch.laws.collapse import (
        Collapse as Collapse,
        CollapseRun as CollapseRun,
        FittedFloor as FittedFloor,
        fit_floor as fit_floor,
        measure_collapse as measure_collapse,
    )
    from scalewatch.laws.collapse_align import (
        Alignment as Alignment,
        CollapseDiagnosis as CollapseDiagnosis,
        CollapseRecipe as CollapseRecipe,
        CollapseVerdict as CollapseVerdict,
        diagnose_collapse as diagnose_collapse,
        early_align as early_align,
    )
    from scalewatch.laws.emergence import (
        EmergenceEvidence as EmergenceEvidence,
        EmergenceVerdict as EmergenceVerdict,
        MetricJump as MetricJump,
        ProxyStep as ProxyStep,
        answer_probability as answer_probability,
        edit_distance as edit_distance,
        exact_match as exact_match,
        judge_emergence as judge_emergence,
        resolution as resolution,
    )
    from scalewatch.laws.inference import InferenceOptimum as InferenceOptimum, inference_optimum as inference_optimum
    from scalewatch.laws.kaplan import Kaplan as Kaplan, KaplanAllocation as KaplanAllocation
    from scalewatch.laws.learning_curve_theory import (
        ZipfCurve as ZipfCurve,
        ZipfTail as ZipfTail,
        fit_zipf_tail as fit_zipf_tail,
    )
    from scalewatch.laws.multi_power import MultiPowerLaw as MultiPowerLaw
    from scalewatch.laws.repeated_data import RepeatedData as RepeatedData, RepeatedOptimum as RepeatedOptimum
    from scalewatch.laws.size import (
        PF_DAY_FLOPS as PF_DAY_FLOPS,
        Parameters as Parameters,
        SizeKind as SizeKind,
        Transformer as Transformer,
        active as active,
        non_embedding as non_embedding,
        total as total,
        training_flops as training_flops,
    )
    from scalewatch.laws.transfer import Transfer as Transfer

_EAGER = (
    "AnnealingState Curve CurveLaw Law LossBlocks Publication Quantity "
    "RunPrior ScheduleFeatures load_law save_law schedule_features"
)
#: Module of this package -> the names that are imported from it on first use.
_LAZY = {
    "annealing_law": "AnnealingLaw",
    "batch_and_step": "AdviceBand BandSource advise_batch_tokens advise_learning_rate",
    "broken": "Break BrokenLaw Scaling",
    "chinchilla": "Allocation Chinchilla OffOptimum",
    "collapse": "Collapse CollapseRun FittedFloor fit_floor measure_collapse",
    "collapse_align": "Alignment CollapseDiagnosis CollapseRecipe CollapseVerdict diagnose_collapse early_align",
    "emergence": (
        "EmergenceEvidence EmergenceVerdict MetricJump ProxyStep "
        "answer_probability edit_distance exact_match judge_emergence resolution"
    ),
    "inference": "InferenceOptimum inference_optimum",
    "kaplan": "Kaplan KaplanAllocation",
    "learning_curve_theory": "ZipfCurve ZipfTail fit_zipf_tail",
    "multi_power": "MultiPowerLaw",
    "repeated_data": "RepeatedData RepeatedOptimum",
    "size": "PF_DAY_FLOPS Parameters SizeKind Transformer active non_embedding total training_flops",
    "transfer": "Transfer",
}
if not TYPE_CHECKING:
    # what the floor above holds, and people look for here
    from scalewatch.fitting import __all__ as _FITTING

    __getattr__, __dir__, __all__ = lazy_names(__name__, {**_LAZY, "scalewatch.fitting": " ".join(_FITTING)}, _EAGER)
