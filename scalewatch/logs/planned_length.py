"""The planned length of a run, from the settings that its program wrote beside its log.

Most logs do not say how long the run is to be, and a log that is taken for whole when it is not is told to have ended.
Files are searched as text for the one line, so that no reader of YAML is needed and nothing in them is run.
"""

from __future__ import annotations

import re
from pathlib import Path

from scalewatch.logs.columns import TOTALS

__all__ = ["length_beside"]

#: Files that hold settings, without their ending, and their endings.
_STEMS = ("config", "hparams", "args", "params", "training_args", "trainer_config", "hyperparameters", "settings")
_ENDINGS = (".json", ".yaml", ".yml")
#: Bytes of a file that are searched. By hand.
MOST_BYTES = 1 << 18
#: `max_steps: 3000`, `"max_steps": 3000`, and as Weights & Biases writes it, the value on a line of its own.
_LENGTH = re.compile(
    rf"(?<![A-Za-z0-9_])[\"']?({'|'.join(TOTALS)})[\"']?\s*:\s*(?:\{{|\n(?:\s*desc:[^\n]*\n)?)?\s*(?:[\"']?value[\"']?:\s*)?"
    r"(\d{1,12})(?![\d.eE])"
)


def length_beside(log: Path) -> tuple[int, str] | None:
    """Return the planned steps that a file of settings in the folder of a log says, and the file's name; else None."""
    folder = log if log.is_dir() else log.parent
    for stem in _STEMS:
        for ending in _ENDINGS:
            path = folder / (stem + ending)
            try:
                with path.open("rb") as file:
                    text = file.read(MOST_BYTES).decode("utf-8", "replace")
            except OSError:
                continue
            found = {int(steps) for _, steps in _LENGTH.findall(text)} - {0}
            # two lengths in one file are of two things
            if len(found) == 1:
                return found.pop(), path.name
    return None
