"""Every run of a folder -> rows: what has changed since the last look is read, on all cores or by another engine."""

from __future__ import annotations

import importlib
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, final

from scalewatch import __version__
from scalewatch.errors import ConfigError, ScalewatchError
from scalewatch.guard import FAULT, Guard
from scalewatch.logs import AbstractKeptLog
from scalewatch.offline.fleet.kept_runs import About, KeptRun, resumed, worth_keeping
from scalewatch.offline.fleet.opened import open_unit
from scalewatch.offline.fleet.query import GONE_SECONDS
from scalewatch.offline.fleet.row import unreadable_row, verdict_row
from scalewatch.offline.fleet.store import FleetStore
from scalewatch.offline.fleet.tree import AbstractTree, Unit, units_of
from scalewatch.offline.replayed import ReplayedRun, Settings

__all__ = ["BACKENDS", "LOCAL", "Collected", "Engine", "UnitRead", "collect", "read_unit"]

#: The engine of this machine's cores, and those of a cluster, as joblib calls them.
LOCAL = "loky"
BACKENDS = (LOCAL, "threading", "dask", "ray")
#: Fewer bytes of logs are read sooner by this process than others are started: some 3 s of reading. By hand.
LEAST_BYTES = 5_000_000
#: Bytes that are read in the time that a log takes which is gone on with. By hand.
RESUMED_BYTES = 50_000
#: Units that are handed out and waited for together: what is read is kept after each.
TOGETHER = 2_000
#: Seconds after which what was read is kept at the latest.
KEEP_SECONDS = 60.0


@final
class Collected(NamedTuple):
    """What a look found.

    Attributes:
        runs: in all. read: now. unreadable: of these. gone: units. dropped: files of older looks. resumed: runs of
            which new rows alone were read. damaged: runs of which what was kept was damaged, read whole.
        seconds: that it took.
    """

    runs: int
    read: int
    unreadable: int
    gone: int
    dropped: int
    resumed: int
    damaged: int
    seconds: float


class UnitRead(NamedTuple):
    """What reading a unit came to.

    Attributes:
        rows: of its runs. unit: which. kept: what to go on with at the next look, None for nothing.
        resumed: whether new rows alone were read. damaged: whether what was kept was of no use.
    """

    rows: list[dict[str, Any]]
    unit: str
    kept: bytes | None = None
    resumed: bool = False
    damaged: bool = False


@final
class Engine(NamedTuple):
    """Who reads.

    Attributes:
        backend: one of `BACKENDS`. jobs: at once; -1 for as many as there are cores. address: of the cluster, "" for
            the one that the engine finds or starts by itself.
    """

    backend: str = LOCAL
    jobs: int = -1
    address: str = ""

    def run(
        self, tree: AbstractTree, units: Sequence[Unit], settings: Settings, store: FleetStore
    ) -> Iterator[UnitRead]:
        """Yield what units hold, a few thousand at a time; the largest are begun first.

        Args:
            tree: of them. units: to read. settings: of the monitors. store: that has what was kept of them.

        Raises:
            ConfigError: if there is no such engine, or it is not installed.
        """
        if self.backend not in BACKENDS:
            raise ConfigError(f"`--backend` must be one of {', '.join(BACKENDS)} (got {self.backend!r:.40}).")
        cost = {unit.name: min(_bytes(unit), RESUMED_BYTES if store.keeps(unit) else math.inf) for unit in units}
        units = sorted(units, key=lambda unit: cost[unit.name], reverse=True)
        if self.backend == LOCAL and (self.jobs == 1 or len(units) < 2 or sum(cost.values()) < LEAST_BYTES):
            for unit in units:
                yield read_unit(tree, unit, settings, store.kept(unit))
            return
        joblib = self._installed("joblib")
        read = joblib.delayed(read_unit)
        with (
            self._cluster(),
            joblib.parallel_config(backend=self.backend, n_jobs=self.jobs),  # which knows dask when it is asked for
            joblib.Parallel() as parallel,
        ):
            for first in range(0, len(units), TOGETHER):
                some = units[first : first + TOGETHER]
                yield from parallel(read(tree, unit, settings, store.kept(unit)) for unit in some)

    @contextmanager
    def _cluster(self) -> Iterator[None]:
        """Have joblib know the cluster; for dask as long as this lasts, for Ray until the process ends."""
        if self.backend == "dask":
            distributed = self._installed("distributed")
            try:
                client = distributed.Client(self.address or None)
            except (OSError, ValueError) as fault:
                raise ConfigError(f"`--address`: no dask cluster answers at {self.address!r} ({fault}).") from None
            with client:
                yield
            return
        if self.backend == "ray":
            ray, of_ray = self._installed("ray"), self._installed("ray.util.joblib")
            try:
                ray.init(address=self.address or None, ignore_reinit_error=True)
            except (OSError, ValueError) as fault:
                raise ConfigError(f"`--address`: no Ray cluster answers at {self.address!r} ({fault}).") from None
            of_ray.register_ray()
        yield

    def _installed(self, module: str) -> Any:
        try:
            return importlib.import_module(module)
        except ImportError as fault:
            needs = {"dask": " 'dask[distributed]'", "ray": " ray"}.get(self.backend, "")
            raise ConfigError(
                f"`--backend {self.backend}` is not installed ({fault}): pip install 'scalewatch[fleet]'{needs}."
            ) from None


def collect(
    tree: AbstractTree,
    store: FleetStore,
    settings: Settings,
    engine: Engine,
    *,
    keep_days: int,
    now: Callable[[], float] = time.time,
    tick: Callable[[int, int], None] | None = None,
) -> Collected:
    """Look at every run of a folder and keep the rows of those that have changed.

    Args:
        tree: the folder. store: of its rows. settings: of the monitors. engine: who reads.
        keep_days: days for which older looks are kept. now: time [s], UTC. tick: is told of units done and in all.

    Raises:
        ConfigError: if somebody else is at it, or the engine cannot be used.
    """
    began, looked = time.monotonic(), _utc(now())
    give_back = store.lock()
    try:
        before = store.latest().select(["unit", "signature", "run"]).to_pydict()
        known = dict(zip(before["unit"], before["signature"], strict=True))
        units = list(units_of(tree, _read_as(settings)))
        changed = [unit for unit in units if known.get(unit.name) != unit.signature]
        gone = known.keys() - {unit.name for unit in units}
        kept, last, counts = list[dict[str, Any]](), time.monotonic(), Counter[str]()
        for done, found in enumerate(engine.run(tree, changed, settings, store), 1):
            counts += _counted(found)
            store.keep(found.unit, found.kept)
            kept += [{**row, "source": store.source, "look": looked} for row in found.rows]
            if tick is not None:
                tick(done, len(changed))
            if time.monotonic() - last > KEEP_SECONDS:
                store.add(kept, (), looked)
                kept, last = [], time.monotonic()
        if kept or gone:
            store.add(kept, gone, looked)
        elsewhere = {unit.name for unit in changed} | gone
        untouched = sum(
            run != "" and unit not in elsewhere for unit, run in zip(before["unit"], before["run"], strict=True)
        )
        dropped = store.tidy(looked, keep_days)
        old = looked - timedelta(seconds=GONE_SECONDS)
        store.tidy_kept(unit.name for unit in units if unit.written > old)
        read = counts["read"]
        store.note_look(looked, untouched + read)
    finally:
        give_back()
    others = len(gone), dropped, counts["resumed"], counts["damaged"]
    return Collected(untouched + read, read, counts["unreadable"], *others, time.monotonic() - began)


def _counted(found: UnitRead) -> Counter[str]:
    return Counter(
        read=sum(row["run"] != "" for row in found.rows),
        unreadable=sum(row.get("unreadable") is not None for row in found.rows),
        resumed=int(found.resumed),
        damaged=int(found.damaged),
    )


def read_unit(tree: AbstractTree, unit: Unit, settings: Settings, kept: bytes | None = None) -> UnitRead:
    """Return a row for each run in the files of a unit; one without a run if there is none, so that it is known.

    Args:
        tree: of it. unit: to read. settings: of the monitors. kept: what was kept of it at the last look.
    """
    guard = Guard(consequence=f"of the log {unit.name:.100} in the fleet; its row says so")
    found = guard.outcome("reading", _read, tree, unit, settings, kept)
    if found is FAULT:
        fault = unreadable_row(f"a fault of ours: {guard.failed['reading']}")
        found = UnitRead([{"run": unit.name, **fault}], unit.name)
    which = {"unit": unit.name, "signature": unit.signature, "written": unit.written}
    return found._replace(rows=[{**row, **which} for row in found.rows or [{"run": ""}]])


def _read(tree: AbstractTree, unit: Unit, settings: Settings, kept: bytes | None) -> UnitRead:
    rows: list[dict[str, Any]] = []
    damaged = False
    try:
        with tree.fetched(unit) as folder:
            if kept is not None:
                # what other code of this version kept may fit in form, and not in what it is for
                guard = Guard(consequence=f"of what was kept of {unit.name:.100}; its log is read from its start")
                before = guard.outcome("going on", _gone_on, kept, folder, unit, settings)
                damaged = before is FAULT or before.damaged
                if before is not FAULT and before.resumed:
                    return before
            opened = open_unit(folder, unit, settings)
            watched = [(name, ReplayedRun(log, settings)) for name, log in opened.runs]
            alone = len(watched) == 1 and not opened.unreadable and worth_keeping(unit)
            keeps = [_kept(run, name, folder, unit, _read_as(settings)) for name, run in watched if alone]
            rows += [{"run": name, **_row(run)} for name, run in watched]
            rows += [{"run": path, **unreadable_row(reason)} for path, reason in opened.unreadable]
            state = next((_of_running(rows[0], each) for each in keeps if each is not None), None)
            return UnitRead(rows, unit.name, state, damaged=damaged)
    except (ScalewatchError, OSError) as fault:
        rows.append({"run": unit.name, **unreadable_row(str(fault))})
    return UnitRead(rows, unit.name, damaged=damaged)


def _kept(watched: ReplayedRun, name: str, folder: Path, unit: Unit, read_as: str) -> KeptRun | None:
    log = watched.log
    if not isinstance(log, AbstractKeptLog):
        return None
    file = log.file.absolute().relative_to(folder.absolute()).as_posix()
    return KeptRun(watched, log, About.of(name, read_as, file, unit))


def _gone_on(kept: bytes, folder: Path, unit: Unit, settings: Settings) -> UnitRead:
    """Read what is new of a unit; not `resumed` where its log has to be read from its start."""
    before = resumed(kept, folder, unit, settings, _read_as(settings))
    if before.watched is None or before.kept is None or before.log is None:
        return UnitRead([], unit.name, damaged=before.damaged)
    row = {"run": before.name, **_row(before.watched)}
    if before.log.differs:
        return UnitRead([], unit.name)
    return UnitRead([row], unit.name, _of_running(row, before.kept), resumed=True)


def _row(watched: ReplayedRun) -> dict[str, Any]:
    for _ in watched.advance():
        pass
    return verdict_row(watched) if watched.tracker.rows else unreadable_row("it holds no row with a loss")


def _of_running(row: Mapping[str, Any], kept: KeptRun) -> bytes | None:
    """What is kept of a run that has not ended."""
    return None if row.get("finished") or row.get("unreadable") else kept.data


def _bytes(unit: Unit) -> int:
    return sum(file.size for file in unit.files)


def _read_as(settings: Settings) -> str:
    form = "" if settings.form is None else settings.form.name
    parts = (__version__, settings.law, settings.total_steps, dict(settings.columns), form, settings.goals)
    return repr(parts)


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
