"""History exports of Weights & Biases.

Rows of `run.scan_history()` as JSON lines, CSV or parquet have `_step`, `_timestamp` and the metrics under their own
names. The download button of a chart gives a CSV with a column for each run: `Step`, `wide - train/loss`, and beside
it the least and the greatest of what was drawn (`__MIN`, `__MAX`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, final

from scalewatch.errors import LogError
from scalewatch.logs.csv_lines import header_of
from scalewatch.logs.formats.csv_table import CsvLog
from scalewatch.logs.formats.json_lines import json_runs
from scalewatch.logs.lines import head
from scalewatch.logs.log import AbstractFormat, AbstractLog
from scalewatch.logs.naming import run_name

__all__ = ["WandbHistory"]

#: Runs in one chart's export at most.
MOST_RUNS = 1_000
_BETWEEN = " - "
_TABLES, _LINES = (".csv",), (".jsonl", ".ndjson", ".json")


@final
class WandbHistory(AbstractFormat):
    """Rows of a W&B run, or the table behind a W&B chart."""

    name: ClassVar[str] = "wandb"

    def claims(self, path: Path) -> bool:
        """Return whether its head has the names that W&B gives."""
        suffix = path.suffix.lower()
        first = head(path).split("\n", 1)[0] if suffix in (*_TABLES, *_LINES) else ""
        if suffix in _LINES:
            return first.startswith("{") and '"_step"' in first and ('"_timestamp"' in first or '"_runtime"' in first)
        names = header_of(first)[0]
        return {"_step", "_timestamp"} <= set(names) or any(f"{name}__MIN" in names for name in names)

    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        """Return one run for each file, or for each run of a chart."""
        logs: list[AbstractLog] = []
        for path in paths:
            if path.suffix.lower() in _LINES:
                logs += json_runs(path, columns)
            else:
                logs += _tables(path, columns)
        return logs


def _tables(path: Path, columns: Mapping[str, str]) -> list[AbstractLog]:
    names = header_of(head(path).split("\n", 1)[0])[0]
    if not any(name.endswith("__MIN") for name in names):
        return [CsvLog(path, run_name(path), columns)]
    shared = {name: name for name in names if _BETWEEN not in name and not name.endswith(("__MIN", "__MAX"))}
    runs: dict[str, dict[str, str]] = {}
    for name in names:
        run, found, metric = name.rpartition(_BETWEEN)
        if found and not metric.endswith(("__MIN", "__MAX")):
            runs.setdefault(run, dict(shared))[name] = metric
    if not 0 < len(runs) <= MOST_RUNS:
        raise LogError(f"{path}: a chart's export with {len(runs)} runs; between 1 and {MOST_RUNS} can be read.")
    return [CsvLog(path, run, columns, rename) for run, rename in runs.items()]
