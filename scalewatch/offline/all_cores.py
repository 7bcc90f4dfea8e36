"""Many logs read on all cores: each by a process that hands back the run as it stands, to be followed from there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Protocol, TypeVar

from scalewatch.finding import Finding
from scalewatch.logs import AbstractLog
from scalewatch.system import cores

__all__ = ["read_on_all_cores", "worth_it"]

#: Fewer bytes of logs are read sooner by one process than others are started: some 3 s of reading. By hand.
LEAST_BYTES = 5_000_000
#: Runs that wait at each process, so that none is idle.
WAITING = 3


class AbstractReader(Protocol):
    """What reads one log.

    Attributes:
        log: the log.
    """

    log: AbstractLog

    def advance(self) -> Iterator[Finding]:
        """Read what is new and yield what was found."""


R = TypeVar("R", bound=AbstractReader)


def worth_it(runs: Sequence[AbstractReader]) -> bool:
    """Whether other processes are worth their start for what is unread of these runs."""
    left = sum(max(run.log.bytes_total - run.log.bytes_read, 0) for run in runs)
    return len(runs) > 1 and cores() > 1 and left >= LEAST_BYTES


def read_on_all_cores(runs: Sequence[R], most: int | None = None) -> Iterator[tuple[int, R]]:
    """Read runs to their present end and yield each with its place in `runs`, as they are done.

    A run is another object afterwards, with all that was read; the one that was given is as it was. Where a process is
    killed, the runs that are not done yet are read by this one, as are those that cannot be handed over.

    Args:
        runs: in the order in which they are to be begun. most: processes; None for as many as there are cores.
    """
    import multiprocessing
    from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
    from concurrent.futures.process import BrokenProcessPool

    count = min(most or cores(), len(runs))
    done: set[int] = set()
    # a fork of a process with threads, as a progress bar has one, may hang
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(count, mp_context=context) as pool:
            places = iter(range(len(runs)))
            given = {pool.submit(_read, runs[at]): at for at in islice(places, WAITING * count)}
            while given:
                for future in wait(given, return_when=FIRST_COMPLETED).done:
                    at = given.pop(future)
                    fault = future.exception()
                    # what cannot go to another process, as a format of another package may not, is read by this one
                    lost = fault is not None and not isinstance(fault, BrokenProcessPool)
                    run = _read(runs[at]) if lost else future.result()
                    done.add(at)
                    following = next(places, None)
                    if following is not None:
                        given[pool.submit(_read, runs[following])] = following
                    yield at, run
    except BrokenProcessPool:
        for at, run in enumerate(runs):
            if at not in done:
                yield at, _read(run)


def _read(run: R) -> R:
    for _ in run.advance():
        pass
    return run
