"""The folder of public runs that the rows are recomputed from; it is no part of the package."""

from __future__ import annotations

import csv
import importlib
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import ScalewatchError

__all__ = ["CURVES", "ISOFLOP", "ORIGINS", "POINTS", "RUNS", "DataFolder", "DataMissingError"]

POINTS, ISOFLOP, RUNS, CURVES = "scaling_points.csv", "porian_isoflop.csv", "runs.csv", "curves.parquet"
#: File -> what it holds, and where that is public: the data are other people's, and not in this package.
ORIGINS = {
    POINTS: (
        "the points of figure 4 of Hoffmann et al., from github.com/epoch-research/analyzing-chinchilla; "
        "columns source (chinchilla_fig4), n_params, tokens, loss"
    ),
    ISOFLOP: (
        "the isoFLOP points of Porian et al., from github.com/formll/resolving-scaling-law-discrepancies; "
        "columns dataset, hparams, warmup, decay, param_count, flops, n, loss"
    ),
    CURVES: (
        "loss curves from github.com/thu-yao-01-luo/MultiPowerLaw (rows 9 to 13), shikaiqiu/supercollapse (14), "
        "IBM/ColPret and zhes2Hen/Fit_Scaling_Laws (15 to 17); columns run_id, step, loss"
    ),
    RUNS: "a row for each of these curves; columns run_id, source, n_params",
}


class DataMissingError(ScalewatchError):
    """What a row is recomputed from is not there; the message says what, and how to get on.

    Attributes:
        file: the name of the file that is missing, "" if it is there and lacks something.
    """

    def __init__(self, message: str, file: str = "") -> None:
        super().__init__(message)
        self.file = file


@final
class DataFolder:
    """Reads what rows ask for, each file once.

    Args:
        path: the folder, None if there is none: then every file is missing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._tables: dict[str, list[dict[str, str]]] = {}

    def file(self, name: str) -> Path:
        """Return the path of a file.

        Raises:
            DataMissingError: if it is not there.
        """
        if self.path is None:
            raise DataMissingError(f"{name} is needed: name its folder by --data.", name)
        if not (self.path / name).is_file():
            raise DataMissingError(f"{name} is not in {self.path}.", name)
        return self.path / name

    def table(self, name: str, **where: str) -> list[dict[str, str]]:
        """Return the rows of a CSV file whose columns have the values `where`.

        Raises:
            DataMissingError: if there is no such file or no such row.
        """
        if name not in self._tables:
            with self.file(name).open(newline="", encoding="utf-8") as file:
                self._tables[name] = list(csv.DictReader(file))
        found = [row for row in self._tables[name] if all(row.get(key) == value for key, value in where.items())]
        if not found:
            raise DataMissingError(f"{name} holds no row with {', '.join(f'{k} {v}' for k, v in where.items())}.")
        return found

    @cached_property
    def _curves(self) -> Any:
        path = self.file(CURVES)
        try:
            pandas = importlib.import_module("pandas")
            importlib.import_module("pyarrow")
        except ImportError:
            raise DataMissingError(f"{CURVES} is read with pandas: pip install pandas pyarrow.") from None
        return pandas.read_parquet(path, columns=["run_id", "step", "loss"])

    def curves(self, prefix: str) -> dict[str, tuple[Floats, Floats]]:
        """Return steps and losses, each of shape (n,), of every run whose name begins with `prefix`.

        Raises:
            DataMissingError: if the file is not there or cannot be read, or there is no such run.
        """
        rows = self._curves
        own = rows[rows.run_id.astype(str).str.startswith(prefix)]
        found = {
            str(name): (group.step.to_numpy(dtype=np.float64), group.loss.to_numpy(dtype=np.float64))
            for name, group in own.groupby("run_id", observed=True)
        }
        if not found:
            raise DataMissingError(f"{CURVES} holds no run of {prefix}.")
        return found
