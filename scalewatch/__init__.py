# ruff: noqa: I001  the names of a module on one line
"""scalewatch: is this training run healthy, is it on its law, and what should be done about it.

Names are imported when they are first used: the command line, which needs few of them, answers at once.
"""

from typing import TYPE_CHECKING

from scalewatch.lazy import lazy_names

if TYPE_CHECKING:
    from scalewatch.advice import Action as Action, Advice as Advice, EvidenceGrade as EvidenceGrade
    from scalewatch.errors import ScalewatchError as ScalewatchError
    from scalewatch.finding import Finding as Finding, Kind as Kind, Phase as Phase, Severity as Severity
    from scalewatch.forecast import Forecast as Forecast, LawResidual as LawResidual
    from scalewatch.forecast.verdict import Verdict as Verdict
    from scalewatch.monitor import Monitor as Monitor
    from scalewatch.observation import Observation as Observation
    from scalewatch.offline.loaded import LoadedRun as LoadedRun, load as load, load_all as load_all
    from scalewatch.phases import note_phase as note_phase
    from scalewatch.run import Run as Run
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "advice": "Action Advice EvidenceGrade",
            "errors": "ScalewatchError",
            "finding": "Finding Kind Phase Severity",
            "scalewatch.forecast": "Forecast LawResidual",
            "scalewatch.forecast.verdict": "Verdict",
            "monitor": "Monitor",
            "observation": "Observation",
            "phases": "note_phase",
            "run": "Run",
            # what reads logs stands on floors above, and is none of a training's business
            "scalewatch.offline.loaded": "LoadedRun load load_all",
        },
    )

__version__ = "0.1.0"
