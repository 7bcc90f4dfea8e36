"""What the loss should be: laws, one a file, with their fits beside them."""

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
