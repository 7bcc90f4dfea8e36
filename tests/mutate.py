"""Changes each named number of a room by a factor of two, up and down, and lists those that no test of it notices.

    python tests/mutate.py [ROOM ...] [--only NAME] [--limit SECONDS] [--workers N]

The tests of a room are collected once. For each change a child process runs them, those of the same file first and the
slow ones last, up to the first that fails. A number that no test notices is one that a slip of the pen would change
unseen: write a test if it guards a promise. What takes longer than the limit counts as unnoticed so far.
"""

from __future__ import annotations

import argparse
import ast
import os
import resource
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: Tests that go last, for they take longer than all others of their room.
SLOW = ("real", "false_alarms", "every_detector")


class Mutant(NamedTuple):
    """A number changed: the module and the name of the constant, its part if it is a row, and the new value."""

    module: str
    name: str
    part: str
    value: Any

    def __str__(self) -> str:
        return f"{self.module}.{self.name}{self.part} = {self.value!r:.40}"

    def apply(self) -> None:
        """Change it wherever the project has it under this name."""
        old = getattr(sys.modules[self.module], self.name)
        for name, module in list(sys.modules.items()):
            if name.startswith("scalewatch") and vars(module).get(self.name) is old:
                setattr(module, self.name, self.value)


def variants(value: Any, part: str = "") -> Iterator[tuple[str, Any]]:
    """A number doubled and halved; a row of them with one part changed."""
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield from (
            (part, new) for new in (value * 2, value // 2 if isinstance(value, int) else value / 2) if new != value
        )
    elif isinstance(value, tuple):
        for place, each in enumerate(value):
            for where, new in variants(each, f"{part}[{place}]"):
                yield where, (*value[:place], new, *value[place + 1 :])


def mutants(room: str) -> Iterator[Mutant]:
    """Those of each file of a room; its modules are imported already."""
    for path in sorted((ROOT / "scalewatch" / room).glob("[a-z]*.py")):
        module = f"scalewatch.{room}.{path.stem}"
        assigned = [node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.Assign)]
        targets = (name for node in assigned for name in ast.walk(node.targets[0]) if isinstance(name, ast.Name))
        for name in (target.id for target in targets if target.id.isupper()):
            for part, value in variants(getattr(sys.modules[module], name)):
                yield Mutant(module, name, part, value)


class Mutator:
    """Takes the place of the loop that runs the tests."""

    def __init__(self, room: str, args: argparse.Namespace) -> None:
        self._room, self._args = room, args
        self.outcomes: Counter[str] = Counter()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests once for each change, some at a time."""
        running: dict[int, Mutant] = {}
        every = [mutant for mutant in mutants(self._room) if self._args.only in str(mutant)]
        for mutant in every:
            if len(running) >= self._args.workers:
                self._wait(running)
            child = os.fork()
            if child == 0:
                self._run(session, mutant)
            running[child] = mutant
        while running:
            self._wait(running)
        return True

    def _run(self, session: pytest.Session, mutant: Mutant) -> None:
        # of the processor's time, so that a busy machine finds the same
        resource.setrlimit(resource.RLIMIT_CPU, (self._args.limit, self._args.limit))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        mutant.apply()
        stem = mutant.module.rpartition(".")[2]
        items = sorted(session.items, key=lambda test: _rank(Path(test.path).stem, stem))
        try:
            for item, following in zip(items, [*items[1:], None], strict=True):
                session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.testsfailed:
                    os._exit(1)
        except BaseException:  # whatever a test does, this process ends here
            os._exit(1)
        os._exit(0)

    def _wait(self, running: dict[int, Mutant]) -> None:
        child, status = os.wait()
        mutant = running.pop(child)
        outcome = "no time left" if os.WIFSIGNALED(status) else "unnoticed" if status == 0 else "noticed"
        self.outcomes[outcome] += 1
        if outcome != "noticed":
            os.write(self._args.out, f"{outcome:13s} {mutant}\n".encode())


def _rank(test: str, stem: str) -> int:
    if test in (stem, f"test_{stem}"):
        return 0
    return 2 if any(word in test for word in SLOW) else 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", nargs="*", default=["detect", "forecast"])
    parser.add_argument("--only", default="", help="constants whose module or name has this in it")
    parser.add_argument("--limit", type=int, default=120, help="for one change [s of one core]")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    args.out = os.dup(1)
    for room in args.rooms:
        mutator = Mutator(room, args)
        options = [
            "-q",
            "-n0",
            "-o",
            "timeout=0",
            "-p",
            "no:cacheprovider",
            "--no-header",
            "--no-summary",
            "--capture=sys",
        ]
        pytest.main([*options, f"{ROOT}/scalewatch/{room}", f"{ROOT}/tests/{room}"], plugins=[mutator])
        total = mutator.outcomes.total()
        print(f"{room}: {total - mutator.outcomes['noticed']} of {total} changes go unnoticed")


if __name__ == "__main__":
    main()
