"""A log under the monitor, for those who look at it: how it is taken to have been planned."""

from scalewatch.watched.plan import SCHEDULES, Plan, plan_of

__all__ = ["SCHEDULES", "Plan", "plan_of"]
