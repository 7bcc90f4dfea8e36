"""scalewatch: is this training run healthy, is it on its law, and what should be done about it."""

from typing import TYPE_CHECKING

from scalewatch.advice import Action as Action
from scalewatch.advice import Advice as Advice
from scalewatch.advice import EvidenceGrade as EvidenceGrade
from scalewatch.errors import ScalewatchError as ScalewatchError
from scalewatch.finding import Finding as Finding
from scalewatch.finding import Kind as Kind
from scalewatch.finding import Phase as Phase
from scalewatch.finding import Severity as Severity
from scalewatch.forecast import Forecast as Forecast
from scalewatch.forecast import LawResidual as LawResidual
from scalewatch.forecast.verdict import Verdict as Verdict
from scalewatch.lazy import lazy_names
from scalewatch.monitor import Monitor as Monitor
from scalewatch.observation import Observation as Observation
from scalewatch.phases import note_phase as note_phase
from scalewatch.run import Run as Run

if TYPE_CHECKING:
    from scalewatch.offline.loaded import LoadedRun as LoadedRun
    from scalewatch.offline.loaded import load as load
    from scalewatch.offline.loaded import load_all as load_all

__version__ = "0.1.0"

_EAGER = (
    "Action Advice EvidenceGrade Finding Forecast Kind LawResidual Monitor Observation Phase Run "
    "ScalewatchError Severity Verdict note_phase"
)

if not TYPE_CHECKING:
    # what reads logs stands on floors above, and is none of a training's business
    __getattr__, __dir__, __all__ = lazy_names(
        __name__, {"scalewatch.offline.loaded": "LoadedRun load load_all"}, _EAGER
    )
