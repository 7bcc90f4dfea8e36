"""Makes any one function of ours raise, while a short training is watched by everything that there is.

Which functions a hook reaches is found by watching one such training: a function that is written tomorrow is in it.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple, Protocol

import pytest

from scalewatch.alert import Receiver
from tests.house import ROOT

#: One function in so many is tried each time, chosen by its name; the long tests try all [functions].
ONE_IN = 120
#: The long tests try all in so many parts: one that was ended goes on with the next.
PARTS = 10
#: Where code of ours is.
OURS = tuple(f"{ROOT / place}/" for place in ("scalewatch", "integrations"))
#: What the others stand on, by the beginnings of names: the nets, and hooks that call nets and nothing else.
FOUNDATION = ("scalewatch/guard.py", "scalewatch_torch/precursors.py::Precursors._stepped")
#: Hooks that set one mark, or hand over to what is guarded: nothing in them can raise but an injection. Left out.
HANDS_OVER = (
    "::StepsTaken._note",
    "::Listener.__torch_function__",
    "::TrainerCheckpoints._asking.",
    "::RateFactor._in_net.",
)
#: What a process calls once, and not again: left out.
ONCE_A_PROCESS = ("/plugins.py::", "::_installed", "::after_fork_in_child")
#: What holds a signal back while the end is written: raised in, it holds it for good. Left out.
HOLDS_A_SIGNAL = ("::sigterm_held_back",)
#: What begins and closes a watch: a fault there once left a thread; these are tried each time.
CLOSES = (
    "scalewatch/alert/dispatcher.py::Dispatcher.close",
    "scalewatch/phases.py::PhaseNotes.tell_first",
    "scalewatch/worker.py::Worker.close",
    "scalewatch_torch/watching/drawing.py::Drawing.close",
    "scalewatch_torch/watching/session.py::Session.begin",
    "scalewatch_torch/watching/session.py::Session.close",
    "scalewatch_torch/watching/several.py::let_go_on_fault",
    "scalewatch_torch/watching/shutdown.py::Shutdown.again",
    "scalewatch_torch/watching/watch.py::Watch.finish",
)
#: The part of the functions that a second training may not reach [share].
MISSED_PART = 0.1
#: What a thread of ours may take to end on a busy machine [s].
LEFT_SECONDS = 20.0


class Reached(NamedTuple):
    """A function that was called in the thread of the training: its file and name, and what it is to Python."""

    name: str
    code: CodeType


class Outcome(NamedTuple):
    """What a training ended with, and the exception that reached it, "" for none."""

    weights: tuple[bytes, ...]
    steps: int
    reached_training: str


class Prepare(Protocol):
    """Makes a training and, if it is watched, its watch: what a constructor raises, its caller is to see."""

    def __call__(self, folder: Path, *, watched: bool) -> Callable[[], Outcome]: ...


class Training(NamedTuple):
    """One way to train, watched by everything that there is.

    Attributes:
        prepare: a short training in a folder, to be run; always the same. foundation: beginnings of the names of hooks
        that call nets and nothing else, or refuse. least_reached: the fewest functions that it must be seen to reach:
        fewer, and the look at it is broken. once_broken: where a fault once did reach the training, or was told twice;
        these are tried each time.
    """

    prepare: Prepare
    foundation: tuple[str, ...]
    least_reached: int
    once_broken: tuple[str, ...] = ()


class Pager(Receiver):
    """A receiver that hears everything."""

    name = "pager"

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def send(self, message: Any, timeout: float) -> None:
        self.heard.append(message)


def reached_by(train: Callable[[], Any], foundation: Sequence[str]) -> list[Reached]:
    """Every function of ours that a training calls in its own thread, in the order of their names.

    `foundation` are beginnings of the names of hooks that call nets and nothing else.
    """
    found: dict[str, CodeType] = {}

    def look(frame: Any, event: str, _: Any) -> None:
        code = frame.f_code
        # the body of a module or of a class is none: it runs once, when it is imported
        if event == "call" and code.co_filename.startswith(OURS) and code.co_flags & inspect.CO_OPTIMIZED:
            found.setdefault(name_of(code), code)

    sys.setprofile(look)
    try:
        train()
    finally:
        sys.setprofile(None)
    left_out = (*HANDS_OVER, *ONCE_A_PROCESS, *HOLDS_A_SIGNAL)
    return [
        Reached(name, found[name])
        for name in sorted(found)
        if not name.startswith((*FOUNDATION, *foundation)) and not any(part in name for part in left_out)
    ]


def name_of(code: CodeType) -> str:
    """`scalewatch/monitor.py::Monitor.observe`, and the line where that does not say it."""
    file = Path(code.co_filename).relative_to(ROOT).as_posix().removeprefix("integrations/")
    line = f":{code.co_firstlineno}" if "<" in code.co_qualname else ""
    return f"{file}::{code.co_qualname}{line}"


@contextmanager
def raises_once(code: CodeType) -> Iterator[Callable[[], bool]]:
    """The first call of a function in this thread raises, before its first line; yields whether it has."""
    raised = False

    def look(frame: Any, event: str, _: Any) -> None:
        nonlocal raised
        if event == "call" and frame.f_code is code and not raised:
            raised = True
            raise RuntimeError("a fault of ours")  # Python takes the profiler away then

    sys.setprofile(look)
    try:
        yield lambda: raised
    finally:
        sys.setprofile(None)


def some_of(reached: Iterable[Reached], once_broken: Sequence[str], one_in: int = ONE_IN) -> list[Reached]:
    """Those that are tried each time: always the same ones, whatever else is written."""

    def chosen(name: str) -> bool:
        return name in (*once_broken, *CLOSES) or int(hashlib.sha256(name.encode()).hexdigest(), 16) % one_in == 0

    return [each for each in reached if chosen(each.name)]


def lives(thread: threading.Thread) -> bool:
    """Whether a thread of ours goes on after the end of the run."""
    thread.join(LEFT_SECONDS)
    return thread.is_alive()


def felt(
    tried: Sequence[Reached], runs: Sequence[Callable[[], Outcome]], alone: Outcome, caplog: pytest.LogCaptureFixture
) -> dict[str, object]:
    """Raise in each function in turn: those of which a training notices, that are told twice, or leave a thread.

    `runs` are the trainings, one a function, each with a watch of its own; `alone` is without a watch.
    """
    wrong: dict[str, object] = {}
    missed: list[str] = []
    for (name, code), run in zip(tried, runs, strict=True):
        caplog.clear()
        before = set(threading.enumerate())
        with raises_once(code) as has_raised:
            outcome = run()
        told = [r.getMessage() for r in caplog.records if r.name == "scalewatch" and r.levelno >= logging.WARNING]
        new = [each for each in threading.enumerate() if each not in before and each.name.startswith("scalewatch")]
        left = [each.name for each in new if lives(each)]
        if not has_raised():
            missed.append(name)
        if outcome != alone or len(told) > 1 or left:
            wrong[name] = outcome.reached_training or told or left or "the weights are others"
    # a few are called only where a thread of ours answers before the next step
    if len(missed) > MISSED_PART * len(tried):
        wrong["not called this time"] = missed
    print(f"{len(tried)} functions made to raise, {len(missed)} not called, {len(wrong)} felt: {wrong}")  # noqa: T201
    return wrong
