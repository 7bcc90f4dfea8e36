"""The settings that a program wrote beside its log or at its head, and the planned length of a run from them.

Most logs do not say how long the run is to be, and a log that is taken for whole when it is not is told to have ended.
Files are searched as text, so that no reader of YAML is needed and nothing in them is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from scalewatch.logs.columns import TOTALS

__all__ = ["length_beside", "settings_beside"]

#: Files that hold settings, without their ending, and their endings.
_STEMS = (
    *("config", "hparams", "args", "params", "training_args", "trainer_config", "hyperparameters", "settings"),
    *("model_config", "model", "train_config", "run_config", "meta", "metadata", "summary"),
)
_ENDINGS = (".json", ".yaml", ".yml", ".gin", ".toml")
#: Names that say in settings how long a run is to be, and in a log how far it is.
_OF_SETTINGS = ("train_steps", "num_steps", "training_steps", "num_iterations")
#: Folders of settings beside a log, and those that only hold a log of the folder above.
_INNER = (".hydra", "files")
_HOLDER = re.compile(
    r"(?i)csv|csv_logs?|logs?|metrics|version_\d+|lightning_logs|tb|tensorboard|checkpoints?|checkpoint-\d+|files|wandb"
    r"|events|history|train|training|summaries"
)
#: Folders above a log that only hold it, at most. By hand.
MOST_ABOVE = 4
#: Bytes of a file of settings, and of the head of a log, that are searched. By hand.
MOST_BYTES, HEAD_BYTES = 1 << 18, 1 << 15
#: `max_steps: 3000`, `"max_steps": 3000`, `max_iters = 3000`, `train_iters ..... 3000`, and as Weights & Biases writes
#: it, the value on a line of its own.
_NAMES = "|".join(name.replace("_", "[_-]") for name in (*TOTALS, *_OF_SETTINGS))
_LENGTH = re.compile(
    rf"(?i)(?<![A-Za-z0-9_])[\"']?({_NAMES})[\"']?\s*+(?::|=|\.{{3,}})\s*+"
    r"(?:\{\s*+)?(?:desc:[^\n]*\n\s*+)?(?:[\"']?value[\"']?:\s*+)?(\d{1,12})(?![\d.eE])"
)


def settings_beside(log: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each file of settings of a run, the nearest first, and the head of its log.

    Args:
        log: file or folder that a run was read from.
    """
    folder = log if log.is_dir() else log.parent
    for _ in range(MOST_ABOVE):
        for inner in ("", *_INNER):
            for stem in _STEMS:
                for ending in _ENDINGS:
                    path = folder / inner / (stem + ending)
                    text = "" if path == log else _text(path)
                    if text:
                        yield path.name, text
        if not _HOLDER.fullmatch(folder.name):
            break
        folder = folder.parent
    head = _text(log, HEAD_BYTES)
    if head and "\0" not in head:
        yield log.name, head


def _text(path: Path, most: int = MOST_BYTES) -> str:
    try:
        with path.open("rb") as file:
            return file.read(most).decode("utf-8", "replace")
    except OSError:
        return ""


def length_beside(log: Path) -> tuple[int, str] | None:
    """Return the planned steps that a run's settings say, and the name of their file; None if none does."""
    for name, text in settings_beside(log):
        found = {int(steps) for _, steps in _LENGTH.findall(text)} - {0}
        # two lengths in one file are of two things
        if len(found) == 1:
            return found.pop(), name
    return None
