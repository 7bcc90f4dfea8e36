"""A log under the monitor, for those who look at it: its plan, and what was found, in plain values."""

from scalewatch.offline.assumed_schedule import SCHEDULES, AssumedSchedule, assume_schedule

__all__ = ["SCHEDULES", "AssumedSchedule", "assume_schedule"]
