"""What to train with a budget, how sure that is, and what it costs to do otherwise.

A plan is a claim with an error: each number comes with the interval that the errors of its law allow, and with a
word where the law is used outside the runs it was fitted on.
"""

from scalewatch.plan.answer import Plan as Plan
from scalewatch.plan.answer import Point as Point
from scalewatch.plan.answer import as_json as as_json
from scalewatch.plan.chinchilla_surface import ChinchillaSurface as ChinchillaSurface
from scalewatch.plan.curve_surface import CurveSurface as CurveSurface
from scalewatch.plan.hardware import ACCELERATORS as ACCELERATORS
from scalewatch.plan.hardware import Accelerator as Accelerator
from scalewatch.plan.hardware import Cluster as Cluster
from scalewatch.plan.kaplan_surface import KaplanSurface as KaplanSurface
from scalewatch.plan.planner import make_plan as make_plan
from scalewatch.plan.published import LAW_NAMES as LAW_NAMES
from scalewatch.plan.published import surface_for as surface_for
from scalewatch.plan.question import Question as Question
from scalewatch.plan.surface import Estimate as Estimate
