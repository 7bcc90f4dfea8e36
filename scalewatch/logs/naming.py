"""What to call a run of which only a path is known, and what others call the files of a run."""

from __future__ import annotations

from pathlib import Path

__all__ = ["META", "METRICS", "run_name"]

#: What MLflow calls the file that says what a run is, and the folder beside it of its metrics.
META, METRICS = "meta.yaml", "metrics"

#: Names that every run's log has; the folder then says which run it is.
_COMMON = frozenset(
    {"metrics", "history", "log", "logs", "train", "train_log", "training", "training_log", "trainer_state", "progress"}
    | {"wandb-history", "wandb_history", "results", "scalars", "loss", "losses", "output", "events", "result"}
)


def run_name(path: Path) -> str:
    """Return the file's name, or that of its folder where the file is called as everybody's is.

    >>> run_name(Path("runs/wide/metrics.csv")), run_name(Path("runs/wide.csv"))
    ('wide', 'wide')
    """
    if path.stem.lower() not in _COMMON:
        return path.stem
    return path.absolute().parent.name or path.stem
