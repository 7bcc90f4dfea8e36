"""A fleet told to Prometheus: the verdicts and forecasts of runs that go on, and never a loss of theirs.

Prometheus keeps a series for each label that it ever saw, so only runs that have not ended are told of, at most so
many, the worst first; how many were left out is a number of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, final

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from scalewatch.errors import ScalewatchError
from scalewatch.offline.fleet.query import OFF_LAW_SIGMAS, Fleet

__all__ = ["METRICS", "FleetCollector", "serve"]

_RUN = ("source", "run")
#: Name -> what it is, and its labels besides those of the scrape.
METRICS: Mapping[str, tuple[str, Sequence[str]]] = MappingProxyType(
    {
        "scalewatch_up": ("Whether the fleet could be read: 1 or 0.", ()),
        "scalewatch_fleet_runs": ("Runs by state and by what a clock says of them.", ("state", "standing")),
        "scalewatch_fleet_unreadable_logs": ("Logs that cannot be read.", ()),
        "scalewatch_fleet_look_age_seconds": ("Time since a collected folder was last looked at.", ("source",)),
        "scalewatch_fleet_runs_left_out": ("Runs that have not ended and are not told of one by one.", ()),
        "scalewatch_run_state": ("1 for the state that the run is in.", (*_RUN, "state")),
        "scalewatch_run_severity": ("How bad its state is: lost 3, in trouble 2, recovered 1, else 0.", _RUN),
        "scalewatch_run_pages": ("Findings of the run that were worth waking someone.", _RUN),
        "scalewatch_run_progress_ratio": ("Part of its plan that is done.", _RUN),
        "scalewatch_run_silent": ("1 if it wrote no row for far longer than between two of its rows.", _RUN),
        "scalewatch_run_silent_seconds": ("Time since somebody wrote to its log.", _RUN),
        "scalewatch_run_final_loss_forecast": (
            "Forecast of its final loss: the middle, and the low and high end of the 80 % interval.",
            (*_RUN, "bound"),
        ),
        "scalewatch_run_off_law": ("1 if it is off its law.", _RUN),
        "scalewatch_run_law_gap_sigmas": ("Its loss above its law, in standard errors of law and noise.", _RUN),
    }
)
#: Columns that are asked for, and the order of the runs: what is left out is what is best.
_GOING_ON = """
select source, run, state, rank, pages, progress, standing, silent_seconds, forecast, forecast_low, forecast_high,
  coalesce(off_law or abs(law_gap_sigmas) >= {sigmas}, false) as off, law_gap_sigmas
from runs where standing in ('running', 'silent')
order by rank desc, standing = 'silent' desc, off desc, source, run limit {most}
"""


@final
class FleetCollector(Collector):
    """Reads the fleet anew at each scrape.

    Args:
        place: of the fleet. most: runs that are told of one by one. now: time [s], UTC.
    """

    def __init__(self, place: str, most: int, now: Callable[[], float] = time.time) -> None:
        self._place, self._most, self._now = place, most, now

    def describe(self) -> list[Any]:
        """Name no metrics beforehand: the registry would read the fleet to be told them."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield every metric; of a fleet that cannot be read only that."""
        families = {name: GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in METRICS.items()}
        try:
            self._fill(families)
        except (ScalewatchError, OSError):
            families["scalewatch_up"].add_metric([], 0.0)
            yield families["scalewatch_up"]
            return
        families["scalewatch_up"].add_metric([], 1.0)
        yield from families.values()

    def _fill(self, families: Mapping[str, GaugeMetricFamily]) -> None:
        now = self._now()
        fleet = Fleet(self._place, now)
        rows = fleet.ask(_GOING_ON.format(most=self._most, sigmas=OFF_LAW_SIGMAS)).records
        for state, standing, count in fleet.ask("select state, standing, count(*) from runs group by all").rows:
            families["scalewatch_fleet_runs"].add_metric([state, standing], count)
        for source, looked in fleet.looked().items():
            families["scalewatch_fleet_look_age_seconds"].add_metric([source], now - looked)
        ((unreadable, going_on),) = fleet.ask(
            "select count(unreadable), count(*) filter (standing in ('running', 'silent')) from runs"
        ).rows
        families["scalewatch_fleet_unreadable_logs"].add_metric([], unreadable)
        families["scalewatch_fleet_runs_left_out"].add_metric([], going_on - len(rows))
        for row in rows:
            _tell(families, row)


def _tell(families: Mapping[str, GaugeMetricFamily], row: Mapping[str, Any]) -> None:
    labels = [row["source"], row["run"]]
    families["scalewatch_run_state"].add_metric([*labels, row["state"]], 1.0)
    values = {
        "severity": row["rank"],
        "pages": row["pages"],
        "progress_ratio": row["progress"],
        "silent": float(row["standing"] == "silent"),
        "silent_seconds": row["silent_seconds"],
        "off_law": float(row["off"]),
        "law_gap_sigmas": row["law_gap_sigmas"],
    }
    for name, value in values.items():
        if value is not None:
            families[f"scalewatch_run_{name}"].add_metric(labels, value)
    for bound, column in (("middle", "forecast"), ("low", "forecast_low"), ("high", "forecast_high")):
        if row[column] is not None:
            families["scalewatch_run_final_loss_forecast"].add_metric([*labels, bound], row[column])


def serve(place: str, host: str, port: int, most: int) -> Any:
    """Answer Prometheus from a thread, and return the server; `shutdown` and `server_close` end it.

    Raises:
        OSError: if the port is taken.
    """
    registry = CollectorRegistry()
    registry.register(FleetCollector(place, most))
    server, _ = start_http_server(port, host, registry)
    return server
