"""The headline table: what scalewatch claims to reproduce, in one list."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from scalewatch.errors import ConfigError
from scalewatch.reproduce import chinchilla_rows, curve_rows, forecast_rows, formula_rows, monitor_rows
from scalewatch.reproduce.data import DataFolder
from scalewatch.reproduce.row import Row, RowResult

__all__ = ["ROWS", "reproduce"]

_ONLY_TWO = "the 400M model is not among the runs."
_ONE_CLEAN = "two of the three clean runs are not among the runs."
_NINE = "18 of 27 transfers, to the 400M model, which is not among the runs."
_COST = "the forecast, and the hook of a trainer."

ROWS: tuple[Row, ...] = (
    Row(1, "Chinchilla refit, Huber, 240 points", "Besiroglu et al. 2024", chinchilla_rows.huber_refit),
    Row(2, "Chinchilla refit, least absolute deviations", "Besiroglu et al. 2024, table 1", chinchilla_rows.lad_refit),
    Row(3, "Chinchilla refit, all 245 points", "Besiroglu et al. 2024", chinchilla_rows.all_points),
    Row(4, "Chinchilla refit, errors of 4,000 resamples", "Besiroglu et al. 2024", chinchilla_rows.bootstrap_errors),
    Row(5, "Chinchilla's optimum at 5.76e23 FLOP", "Hoffmann et al. 2022, equation 4", chinchilla_rows.optimum),
    Row(6, "Kaplan's relations, one value each", "Kaplan et al. 2020, section 1.2", formula_rows.kaplan_units),
    Row(7, "Kaplan's exponent out of Chinchilla", "Pearce and Song 2024", formula_rows.pearce_exponents),
    Row(8, "Kaplan to Chinchilla, in steps", "Porian et al. 2024", formula_rows.porian_steps),
    Row(9, "multi-power law, as published", "Luo et al. 2025", curve_rows.multi_power_published, _ONLY_TWO),
    Row(10, "multi-power law, own fit", "Luo et al. 2025", curve_rows.multi_power_fit, _ONLY_TWO),
    Row(11, "annealing law, own fit", "Tissue et al. 2024", curve_rows.annealing_fit, _ONLY_TWO),
    Row(12, "final loss, forecast early", "law of Tissue et al. 2024", forecast_rows.final_loss, _NINE),
    Row(13, "choice among four schedules", "law of Tissue et al. 2024", forecast_rows.schedule_choice, _ONLY_TWO),
    Row(14, "supercollapse at 80 %", "Qiu et al. 2025", curve_rows.collapse, "chess is not among the runs."),
    Row(15, "spikes, and none where there are none", "OLMo team 2025; LLM360 K2", monitor_rows.spikes),
    Row(16, "false alarms in a clean run", "this project", monitor_rows.false_alarms, _ONE_CLEAN),
    Row(17, "a rise of 1 % against the law", "this project", monitor_rows.shift_delay, _ONE_CLEAN),
    Row(18, "false alarms on noise", "Shin, Ramdas, Rinaldo 2023", monitor_rows.simulated_alarms),
    Row(19, "cost of a row, all detectors on", "this project", monitor_rows.cost_of_a_row, _COST, timed=True),
    Row(20, "what repeated tokens are worth", "Muennighoff et al. 2023", formula_rows.repeats),
)


def reproduce(data: DataFolder, numbers: Collection[int] = ()) -> Iterator[RowResult]:
    """Yield each row's result as it is computed; those of `numbers`, or all.

    Raises:
        ConfigError: if there is no row of a number.
    """
    known = [row.number for row in ROWS]
    for number in numbers:
        if number not in known:
            raise ConfigError(f"There is no row {number}: the rows are {', '.join(map(str, known))}.")
    for row in ROWS:
        if not numbers or row.number in numbers:
            yield row.run(data)
