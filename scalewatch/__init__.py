"""scalewatch: is this training run healthy, is it on its law, and what should be done about it."""

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
from scalewatch.monitor import Monitor as Monitor
from scalewatch.observation import Observation as Observation
from scalewatch.phases import note_phase as note_phase
from scalewatch.run import Run as Run

__version__ = "0.1.0"

__all__ = [
    "Action",
    "Advice",
    "EvidenceGrade",
    "Finding",
    "Forecast",
    "Kind",
    "LawResidual",
    "Monitor",
    "Observation",
    "Phase",
    "Run",
    "ScalewatchError",
    "Severity",
    "Verdict",
    "note_phase",
]
