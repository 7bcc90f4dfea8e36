"""What to train with a budget, how sure that is, and what it costs to do otherwise.

A plan is a claim with an error: each number comes with the interval that the errors of its law allow, and with a
word where the law is used outside the runs it was fitted on.
"""

from scalewatch.plan.chinchilla_model import ChinchillaLossModel as ChinchillaLossModel
from scalewatch.plan.curve_model import CurveLossModel as CurveLossModel
from scalewatch.plan.hardware import ACCELERATORS as ACCELERATORS
from scalewatch.plan.hardware import Accelerator as Accelerator
from scalewatch.plan.hardware import Cluster as Cluster
from scalewatch.plan.kaplan_model import KaplanLossModel as KaplanLossModel
from scalewatch.plan.loss_model import Estimate as Estimate
from scalewatch.plan.planner import make_plan as make_plan
from scalewatch.plan.published import LAW_NAMES as LAW_NAMES
from scalewatch.plan.published import loss_model_for as loss_model_for
from scalewatch.plan.request import PlanRequest as PlanRequest
from scalewatch.plan.result import Plan as Plan
from scalewatch.plan.result import Point as Point
