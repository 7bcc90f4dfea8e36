"""No fault of ours gets out, each is told once, and what is not a fault of ours passes (F1, F2)."""

from __future__ import annotations

import logging
from typing import NoReturn

import pytest

from scalewatch.guard import FAILED_PARTS_ALLOWED, Guard, strict


class Unprintable(Exception):
    """An exception whose text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def fail(fault: BaseException) -> NoReturn:
    raise fault


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.fixture
def swallowing(monkeypatch: pytest.MonkeyPatch) -> Guard:
    """A guard as users have it: faults are swallowed."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    return Guard()


def test_what_works_passes_through() -> None:
    """Arguments go in and the value comes out."""
    assert 7 == Guard().call("sum", lambda a, *, b: a + b, 3, b=4)


@pytest.mark.parametrize(
    "fault",
    [ValueError("two\nlines"), RecursionError(), MemoryError(), Unprintable(), StopIteration(), OSError(28, "full")],
    ids=lambda fault: type(fault).__name__,
)
def test_a_fault_gives_none_and_one_warning_that_names_the_part(
    swallowing: Guard, caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    """Training sees nothing of it; a person sees one line, whatever the fault is."""
    answers = [swallowing.call("journal", fail, fault) for _ in range(5)]

    assert [None] * 5 == answers
    (warning,) = warnings_in(caplog)
    assert "'journal'" in warning
    assert type(fault).__name__ in warning
    assert "training is not affected" in warning
    assert 1 == len(warning.splitlines())


def test_a_part_that_failed_is_not_called_again(swallowing: Guard) -> None:
    """One strike: a broken part costs nothing more."""
    calls = []

    def broken() -> NoReturn:
        calls.append(1)
        raise ValueError

    for _ in range(3):
        swallowing.call("spike", broken)

    assert [1] == calls
    assert swallowing.is_off("spike")


def test_the_other_parts_go_on(swallowing: Guard) -> None:
    """A fault of one part is no reason to stop another."""
    swallowing.call("spike", fail, ValueError())

    assert 3 == swallowing.call("journal", int, "3")
    assert not swallowing.is_off("journal")
    assert not swallowing.off


def test_the_third_part_that_fails_switches_everything_off(swallowing: Guard, caplog: pytest.LogCaptureFixture) -> None:
    """Three broken parts are a broken install: one warning a part and one for all, then silence."""
    for part in ("a", "b", "c", "d", "e"):
        swallowing.call(part, fail, ValueError())

    assert 3 == FAILED_PARTS_ALLOWED
    assert swallowing.off
    assert swallowing.is_off("anything")
    assert swallowing.call("healthy", int, "3") is None
    assert ["a", "b", "c"] == list(swallowing.failed)
    assert 4 == len(warnings_in(caplog))


@pytest.mark.parametrize(
    "passing", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()], ids=lambda e: type(e).__name__
)
def test_what_is_no_fault_of_ours_passes_untouched(
    swallowing: Guard, caplog: pytest.LogCaptureFixture, passing: BaseException
) -> None:
    """Ctrl-C, a scheduler's exit and a closed generator are the user's: the same object comes out, no part goes off."""
    with pytest.raises(type(passing)) as passed:
        swallowing.call("journal", fail, passing)

    assert passing is passed.value
    assert [] == warnings_in(caplog)
    assert not swallowing.is_off("journal")


def test_strict_raises_the_fault_itself() -> None:
    """With SCALEWATCH_STRICT=1, as in these tests, no fault can hide, and the part stays on."""
    guard, fault = Guard(), ValueError("seen")

    with pytest.raises(ValueError, match="seen") as raised:
        guard.call("journal", fail, fault)

    assert fault is raised.value
    assert not guard.is_off("journal")


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), ("0", False), ("", False), ("true", False), (None, False)]
)
def test_only_a_one_is_strict(monkeypatch: pytest.MonkeyPatch, value: str | None, expected: bool) -> None:
    """The variable is read at each fault, so a test can switch it off for itself."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    if value is not None:
        monkeypatch.setenv("SCALEWATCH_STRICT", value)

    assert expected is strict()


def test_a_logger_that_fails_does_not_make_one_fault_into_two(swallowing: Guard) -> None:
    """A user's log filter may be broken as well: the fault still does not reach training."""

    def broken(record: logging.LogRecord) -> bool:
        raise RuntimeError("the filter is broken")

    log = logging.getLogger("scalewatch")
    log.addFilter(broken)
    try:
        answer = swallowing.call("journal", fail, ValueError())
    finally:
        log.removeFilter(broken)

    assert answer is None
    assert swallowing.is_off("journal")
