"""What the final loss of a run is, and how well it can be measured."""

from __future__ import annotations

import math

from scalewatch.forecast.schedule import AbstractSchedule
from scalewatch.laws import CurveLaw, LossBlocks
from scalewatch.run import Run

__all__ = ["FINAL_SHARE", "noise_of_end"]

#: The final loss of a run is the mean over this last part of its plan, as tests/benchmarks/forecast.py has it. By hand.
FINAL_SHARE = 0.02
#: Rows from which on a run knows its own noise better than its law does. By hand.
ROWS_TO_KNOW_NOISE = 100


def noise_of_end(run: Run, law: CurveLaw | None, blocks: LossBlocks, schedule: AbstractSchedule, total: int) -> float:
    """Return the noise of the final loss [nats/token]: a mean over the last fiftieth of the run's rows.

    Args:
        run: as planned, of `total` steps on `schedule`. law: of smaller runs, None without one. blocks: its curve.
    """
    seen, last = blocks.rows_seen, blocks.last_step
    row_noise = blocks.log_noise
    if law is not None and seen < ROWS_TO_KNOW_NOISE:
        row_noise = law.scatter.row_noise
    rows_a_step = min(seen / last, 1.0) if last else 1.0
    rows = max(FINAL_SHARE * total * rows_a_step, 1.0)
    level = blocks.losses[-1] if blocks.losses else _expected_end(run, law, schedule)
    return row_noise / math.sqrt(rows) * level


def _expected_end(run: Run, law: CurveLaw | None, schedule: AbstractSchedule) -> float:
    if law is None:
        return 0.0
    end = schedule.futures()[0]
    return law.predict_run(run, end.end_lr_sum, float(end.end_annealing_sum[0])).end_loss or 0.0
