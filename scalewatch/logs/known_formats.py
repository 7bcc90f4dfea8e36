"""Every format that is known here, and the order in which a file is offered to them.

The file of a format is imported for the first log that may be one of its own: most programs of a user read one format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, final

from scalewatch.logs.database import is_database
from scalewatch.logs.log import AbstractFormat, AbstractLog
from scalewatch.logs.naming import META
from scalewatch.logs.tensorboard.mark import is_marked

__all__ = ["FORMATS", "KnownFormat"]


@final
class KnownFormat(AbstractFormat):
    """A format whose file is not imported yet.

    Args:
        name: as its class has it. home: module and class. may_be: whether a file may be one of it, which costs next to
            nothing; the format itself claims the file, or does not.
    """

    def __init__(self, name: str, home: str, may_be: Callable[[Path], bool]) -> None:
        self.name = name  # type: ignore[misc]  # of the instance: that of the class is its file's to say
        self._home, self._may_be = home, may_be

    @cached_property
    def whole(self) -> Any:
        """The format, imported."""
        module, _, name = self._home.partition(":")
        return getattr(import_module(f"scalewatch.logs.{module}"), name)()

    def claims(self, path: Path) -> bool:
        """Return whether the file is of this format."""
        return self._may_be(path) and bool(self.whole.claims(path))

    def holds(self, path: Path) -> bool:
        """Return whether the first bytes of a file are of this format, whatever it is called."""
        return bool(self.whole.holds(path))

    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        """Return the runs in these files."""
        runs: list[AbstractLog] = self.whole.open(paths, columns)
        return runs


def _ends(*endings: str) -> Callable[[Path], bool]:
    return lambda path: path.suffix.lower() in endings


def _called(name: str) -> Callable[[Path], bool]:
    return lambda path: path.name == name


def _any(path: Path) -> bool:
    del path
    return True


#: The first that claims a file has it.
FORMATS = (
    KnownFormat("journal", "formats.journal_log:JournalFormat", _ends(".jsonl")),
    KnownFormat("tensorboard", "tensorboard.event_log:TensorBoardFormat", is_marked),
    KnownFormat("trainer-state", "formats.trainer_state:TrainerState", _ends(".json", "", ".log", ".txt", ".out")),
    KnownFormat("lightning-csv", "formats.csv_table:LightningCsv", _called("metrics.csv")),
    KnownFormat("wandb", "formats.wandb_history:WandbHistory", _ends(".csv", ".jsonl", ".ndjson", ".json")),
    KnownFormat("wandb-run", "formats.wandb_run:WandbRun", _ends(".wandb")),
    KnownFormat("mlflow", "formats.mlflow_store:MlflowFiles", _called(META)),
    KnownFormat("mlflow-db", "formats.mlflow_store:MlflowDatabase", is_database),
    KnownFormat("trackio", "formats.trackio_store:Trackio", is_database),
    KnownFormat("parquet", "formats.parquet_table:Parquet", _ends(".parquet", ".pq", ".feather", ".arrow", ".ipc")),
    KnownFormat(
        "jsonl", "formats.json_lines:JsonLines", _ends(".jsonl", ".ndjson", ".json", ".log", ".txt", ".out", "")
    ),
    KnownFormat("csv", "formats.csv_table:CsvTable", _ends(".csv", ".tsv", ".txt", ".log", ".dat", "")),
    KnownFormat("text", "formats.console_text:ConsoleText", _any),
)
