"""A log under the monitor, for those who look at it: its plan, and what was found, in plain values."""

from scalewatch.watched.plan import SCHEDULES, Plan, plan_of
from scalewatch.watched.told import finding_told

__all__ = ["SCHEDULES", "Plan", "finding_told", "plan_of"]
