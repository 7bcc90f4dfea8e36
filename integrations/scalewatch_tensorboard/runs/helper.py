"""A process of its own that looks at runs which the tab only lists, and watches them: JSON lines in, JSON lines out.

    python -m scalewatch_tensorboard.runs.helper

In: `{"name", "run", "law", "cache"}` for a run to be watched, `{"name", "glance": [run ...]}` for runs whose last rows
are looked at; a run is what `Found` holds. Out: `{"name", "files", "row", "done", "seconds"}`, or with the reason
"no_run" or "unreadable"; `{"name", "glanced": [[name, files, row] ...]}`. It ends when its input does, so with
TensorBoard.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO, final

from scalewatch.guard import FAULT, Guard
from scalewatch_tensorboard.runs.glance import glanced_or_none
from scalewatch_tensorboard.runs.listed import row_json
from scalewatch_tensorboard.runs.logdirs import Found
from scalewatch_tensorboard.runs.memory import return_large_pieces

if TYPE_CHECKING:
    from scalewatch_tensorboard.runs.watcher import Watcher

__all__ = ["Helper"]

#: How far it stands back behind training and the page while it watches, as `nice` counts.
NICENESS = 10
_CONSEQUENCE = "of a run in TensorBoard's tab and is tried again"


@final
class Helper:
    """Does what its lines say.

    Args:
        out: where the answers go.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._watcher: Watcher | None = None

    def work(self, line: str) -> None:
        """Do one job; a fault of this is told as that run's."""
        job = json.loads(line)
        if "glance" in job:
            founds = [Found.of(one) for one in job["glance"]]
            told = [[found.name, found.files, glanced_or_none(found)] for found in founds]
            return self._say({"name": job["name"], "glanced": told})
        if self._watcher is None:
            # half a second of imports, without which last rows are told sooner
            from scalewatch_tensorboard.runs.watcher import Watcher

            with contextlib.suppress(OSError, AttributeError):
                os.nice(NICENESS)
            self._watcher = Watcher(self._say)
        guard = Guard(consequence=_CONSEQUENCE)
        if guard.outcome("reading", self._watcher.watch, job) is FAULT:
            self._watcher.forget(job["name"])
            self._say({"name": job["name"], "files": job["run"]["files"], "unreadable": guard.failed["reading"]})
        return None

    def _say(self, what: dict[str, Any]) -> None:
        self._out.write(row_json(what).decode() + "\n")
        self._out.flush()


def main() -> None:
    """Work until the input ends."""
    return_large_pieces()
    helper = Helper(sys.stdout)
    for line in sys.stdin:
        helper.work(line)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        main()
