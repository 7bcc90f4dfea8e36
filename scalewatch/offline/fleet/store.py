"""The folder that the rows of a fleet lie in, and how it stays whole.

`latest/SOURCE.parquet` has the newest row of each run of one collected folder, `looks/SOURCE-TIME.parquet` the rows of
each look at what had changed, `kept/SOURCE/` what the next look goes on with of each run that goes on. Each collected
folder has files of its own and one writer: many machines write into one fleet, nobody waits for anybody, and a reader
sees each file as it was before or after. Rows of a day become one file when the day is over, and are gone after so many
days.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import os
import re
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, final

from scalewatch.alert.lock import Lock
from scalewatch.errors import ConfigError
from scalewatch.offline.fleet.columns import COLUMNS
from scalewatch.offline.fleet.files import LOOKED, LocalFiles, files_of
from scalewatch.offline.fleet.tree import Unit

__all__ = ["FleetStore", "arrow"]

#: What is told of parquet written by this version; rows of another are made anew.
SCHEMA = "1"
_KEY, _HOST = b"scalewatch.fleet", b"scalewatch.host"
#: Letters of a source's name in file names, behind which a hash tells it from others.
NAME_LETTERS = 40
_PART = re.compile(r"-(\d{8})T\d{6}-[0-9a-f]{6}\.parquet$")
_DAY = re.compile(r"-(\d{8})\.parquet$")


def arrow(*modules: str) -> list[Any]:
    """Return modules of pyarrow, which ships no types.

    Raises:
        ConfigError: if it is not installed.
    """
    try:
        return [importlib.import_module(name) for name in modules]
    except ImportError:
        raise ConfigError("A fleet needs pyarrow, joblib and duckdb: pip install 'scalewatch[fleet]'.") from None


@final
class FleetStore:
    """What a fleet keeps of one collected folder.

    Args:
        place: of the fleet, a path or an address. source: what the collected folder is called.
        named: whether somebody called it so; else it is a path, which another machine may have too.
    """

    def __init__(self, place: str, source: str, *, named: bool) -> None:
        self.source, self.files, self._named = source, files_of(place), named
        self._host = socket.gethostname()
        told = re.sub(r"[^A-Za-z0-9]+", "-", source).strip("-")[-NAME_LETTERS:]
        self.key = f"{told}-{hashlib.blake2b(source.encode(), digest_size=4).hexdigest()}"
        self._kept = f"kept/{self.key}"
        self._listed: set[str] | None = None
        self._pa, self._pq, self._compute = arrow("pyarrow", "pyarrow.parquet", "pyarrow.compute")
        kinds = {"text": "string", "count": "int64", "number": "float64", "flag": "bool_"}
        types = {kind: getattr(self._pa, name)() for kind, name in kinds.items()}
        types["time"] = self._pa.timestamp("us")
        self._schema = self._pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])

    def lock(self) -> Callable[[], None]:
        """Be the only one on this machine that collects this folder, and return how to give that back.

        Raises:
            ConfigError: if another process is at it.
        """
        self._listed = None
        if not isinstance(self.files, LocalFiles):
            return lambda: None
        self.files.folder.mkdir(parents=True, exist_ok=True)  # the lock would make it for its owner only
        lock = Lock(self.files.folder / f".{self.key}.lock")
        if not lock.acquire():
            raise ConfigError(f"{self.source} is being collected into this fleet by {lock.holder()}.")
        return lock.release

    def latest(self) -> Any:
        """Return the newest row of each run as an arrow table; an empty one if there is none that can be used.

        Raises:
            ConfigError: if another machine collected a folder of the same path into it.
        """
        data = self.files.read(f"latest/{self.key}.parquet")
        empty = self._schema.empty_table()
        if data is None:
            return empty
        try:
            table = self._pq.read_table(io.BytesIO(data))
        except (self._pa.ArrowException, OSError):
            return empty  # what is damaged is made anew
        told: Mapping[bytes, bytes] = table.schema.metadata or {}
        host = told.get(_HOST, b"").decode("utf-8", "replace")
        if not self._named and host not in ("", self._host):
            raise ConfigError(
                f"A folder {self.source} was collected into this fleet by the machine {host!a}, and this is "
                f"{self._host!a}: if it is the same folder, call it --source {self.source} on both; if not, give "
                "each a name of its own with --source."
            )
        if told.get(_KEY, b"").decode() != SCHEMA or table.schema.names != self._schema.names:
            return empty
        return table

    def add(self, rows: Sequence[Mapping[str, Any]], gone: Collection[str], now: datetime) -> None:
        """Keep the rows of a look: in place of all older ones of their units, and of units that are gone.

        Args:
            rows: with all that says which run each is. gone: names of units. now: UTC without a zone.
        """
        compute, new = self._compute, self._pa.Table.from_pylist(list(rows), schema=self._schema)
        if len(new):
            told = f"{now:%Y%m%dT%H%M%S}-{os.urandom(3).hex()}"
            self._write(f"looks/{self.key}-{told}.parquet", new.filter(compute.not_equal(new["run"], "")))
        replaced = self._pa.array(sorted({*gone, *(row["unit"] for row in rows)}), self._pa.string())
        before = self.latest()
        kept = before.filter(compute.invert(compute.is_in(before["unit"], value_set=replaced)))
        self._write(f"latest/{self.key}.parquet", self._pa.concat_tables([kept, new]))

    def keeps(self, unit: Unit) -> bool:
        """Return whether something was kept of a unit."""
        return _kept_name(unit.name) in self._kept_names()

    def kept(self, unit: Unit) -> bytes | None:
        """Return what was kept of a unit to go on with, None if nothing was; what cannot be read is damaged."""
        if not self.keeps(unit):
            return None
        try:
            return self.files.read(f"{self._kept}/{_kept_name(unit.name)}")
        except OSError:  # of one run; the look is of all
            return b""

    def keep(self, unit: str, data: bytes | None) -> None:
        """Keep what a unit is to be gone on with at the next look, or nothing any more."""
        name, known = _kept_name(unit), self._kept_names()
        if data is not None:
            self.files.write(f"{self._kept}/{name}", data)
            known.add(name)
        elif name in known:
            self.files.delete(f"{self._kept}/{name}")
            known.discard(name)

    def tidy_kept(self, units: Iterable[str]) -> None:
        """Let go of what was kept of all units but these."""
        for name in self._kept_names() - {_kept_name(unit) for unit in units}:
            self.files.delete(f"{self._kept}/{name}")
            self._kept_names().discard(name)

    def _kept_names(self) -> set[str]:
        if self._listed is None:
            self._listed = set(self.files.names(self._kept))
        return self._listed

    def note_look(self, now: datetime, runs: int) -> None:
        """Say when the folder was looked at, also where nothing had changed."""
        said = {"source": self.source, "look": now.isoformat(timespec="seconds"), "runs": runs}
        self.files.write(f"{LOOKED}/{self.key}.json", json.dumps(said).encode())

    def tidy(self, now: datetime, keep_days: int) -> int:
        """Make one file of each day that is over, take away those older than `keep_days`; return how many went."""
        names = [name for name in self.files.names("looks") if name.startswith(f"{self.key}-")]
        last = f"{now - timedelta(days=keep_days):%Y%m%d}"
        dropped = 0
        parts: dict[str, list[str]] = {}
        days = {found[1] for name in names if (found := _DAY.search(name))}
        for name in names:
            part, day = _PART.search(name), _DAY.search(name)
            if part is not None and part[1] >= last and part[1] < f"{now:%Y%m%d}":
                parts.setdefault(part[1], []).append(name)
            elif (found := part or day) is not None and found[1] < last:
                self.files.delete(f"looks/{name}")
                dropped += 1
        for of_day, group in parts.items():
            if of_day not in days:  # else it was killed between the two: they are in it
                tables = [self._pq.read_table(io.BytesIO(self.files.read(f"looks/{name}") or b"")) for name in group]
                self._write(f"looks/{self.key}-{of_day}.parquet", self._pa.concat_tables(tables))
            for name in group:
                self.files.delete(f"looks/{name}")
        return dropped

    def _write(self, name: str, table: Any) -> None:
        told = {_KEY: SCHEMA.encode(), _HOST: self._host.encode()}
        data = io.BytesIO()
        self._pq.write_table(table.replace_schema_metadata(told), data, compression="zstd")
        self.files.write(name, data.getvalue())


def _kept_name(unit: str) -> str:
    return hashlib.blake2b(unit.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
