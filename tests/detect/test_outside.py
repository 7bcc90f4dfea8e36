"""Detectors of users and of other packages: found, kept apart from the others, and never a fault of the run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scalewatch import Monitor
from scalewatch.detect import DetectorSet
from scalewatch.detect.outside import GROUP, _installed
from scalewatch.errors import ConfigError
from scalewatch.finding import Finding, Phase
from scalewatch.guard import Guard
from scalewatch.observation import Observation
from scalewatch.run import Run
from tests.detect.outside_detector import Babbling, FewLosses, Forgetful, LossAbove
from tests.scratch_distribution import install

HERE = "tests.detect.outside_detector"
#: Rows of a steady loss of 3 nats, then three rows of 4.6, then as before.
ROWS = [Observation(s, (4.6 if 60 <= s < 63 else 3.0) + 0.01 * (s * 7 % 5)) for s in range(1, 101)]


def found_by(monitor: Monitor | DetectorSet, rows: list[Observation] = ROWS) -> list[Finding]:
    return [finding for row in rows for finding in monitor.observe(row)]


def own(found: list[Finding]) -> list[tuple[str, int, Phase]]:
    return [(str(f.kind), f.step, f.phase) for f in found if f.kind == "loss_above"]


OWN = [("loss_above", 60, Phase.OPENED), ("loss_above", 63, Phase.CLOSED)]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Installs a package with these detectors, name -> place."""

    def named(**points: str) -> None:
        install(tmp_path, monkeypatch, GROUP, points)
        _installed.cache_clear()

    yield named
    monkeypatch.undo()
    _installed.cache_clear()


def test_a_detector_of_the_user_looks_at_each_row_with_a_kind_of_its_own() -> None:
    """Its findings are among the others, and what is open is listed."""
    monitor = Monitor(Run("mine", total_steps=200), detectors=[LossAbove(4.0)])
    found = found_by(monitor, ROWS[:61])

    assert "loss_above" in [finding.kind for finding in monitor.open_incidents]
    assert OWN == own([*found, *found_by(monitor, ROWS[61:])])
    assert "loss above" in [name for name, *_ in monitor.watch.detectors]


def test_the_built_in_detectors_say_what_they_say_without_it() -> None:
    """Beside it nothing changes."""
    with_it = found_by(Monitor(Run("mine"), detectors=[LossAbove(4.0)]))

    assert found_by(Monitor(Run("mine"))) == [finding for finding in with_it if finding.kind != "loss_above"]


def test_each_monitor_works_on_a_copy() -> None:
    """One object may be given to many runs; the limit goes with it, what one run taught it does not."""
    mine = LossAbove(4.0)

    assert OWN == own(found_by(Monitor(Run("one"), detectors=[mine])))
    assert OWN == own(found_by(Monitor(Run("two"), detectors=[mine])))
    assert 0 == mine.rows


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([LossAbove], "LossAbove.* is none"),
        (LossAbove(), "must be a list of detectors"),
        ("loss above", "must be a list of detectors"),
        ([7], "7 is none"),
        ([Forgetful()], r"Forgetful has no `incident`: its __init__ must call super\(\)"),
        ([LossAbove(3.0), LossAbove(4.0)], "each with a name of its own"),
    ],
)
def test_what_is_no_list_of_detectors_is_refused_in_a_sentence(given: Any, said: str) -> None:
    """Before the first row."""
    with pytest.raises(ConfigError, match=said):
        Monitor(Run("mine"), detectors=given)


def test_the_name_of_a_built_in_detector_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """State and guard are kept by name."""
    monkeypatch.setattr(LossAbove, "name", "spike")

    with pytest.raises(ConfigError, match="There is a detector called 'spike' already"):
        Monitor(Run("mine"), detectors=[LossAbove()])


def test_one_that_says_no_finding_is_switched_off_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning names it; the others go on."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    monitor = Monitor(Run("mine"), detectors=[Babbling(), LossAbove(4.0)])

    assert OWN == own(found_by(monitor))
    assert ["detector babbling"] == list(monitor.guard.failed)
    assert 1 == len(caplog.records)


def test_what_other_packages_bring_is_found(installed: Callable[..., None]) -> None:
    """By the entry point alone; one that was given by hand under the same name is the one that looks."""
    installed(high=f"{HERE}:LossAbove", few=f"{HERE}:FewLosses")

    assert OWN == own(found_by(Monitor(Run("any"))))
    assert [] == own(found_by(Monitor(Run("any"), detectors=[LossAbove(9.0)])))


def test_what_cannot_be_used_is_one_warning_and_no_exception(
    installed: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """Each is named with its reason; what is whole is used."""
    installed(
        lost="no.such.module:X",
        odd="pathlib:Path",
        broken=f"{HERE}:NotMade",
        bare=f"{HERE}:Forgetful",
        high=f"{HERE}:LossAbove",
    )

    assert OWN == own(found_by(Monitor(Run("any"))))
    warned = "\n".join(record.getMessage() for record in caplog.records)
    assert 4 == len(caplog.records)
    assert "no.such.module:X cannot be loaded" in warned
    assert "pathlib:Path is no" in warned
    assert "NotMade is left out: FileNotFoundError: limits.toml" in warned
    assert "Forgetful has no `incident`" in warned


def test_a_state_goes_on_with_the_same_detector() -> None:
    """Saved inside its incident, as JSON: the incident closes in the second monitor."""
    first, second = (Monitor(Run("mine"), detectors=[LossAbove(4.0)]) for _ in range(2))
    found = found_by(first, ROWS[:61])
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))

    assert OWN == own([*found, *found_by(second, ROWS[61:])])


def test_a_state_without_the_detector_or_with_another_one_loads(caplog: pytest.LogCaptureFixture) -> None:
    """What is new begins anew, what is gone is left out; the built-in ones go on bit for bit."""
    plain, mine = Monitor(Run("x")), Monitor(Run("x"), detectors=[LossAbove(4.0), FewLosses()])
    found_by(plain, ROWS[:61])
    found_by(mine, ROWS[:61])
    with_it, without_it = Monitor(Run("x"), detectors=[LossAbove(4.0)]), Monitor(Run("x"))
    with_it.load_state_dict(plain.state_dict())
    without_it.load_state_dict(mine.state_dict())

    assert [("loss_above", 62, Phase.OPENED), OWN[1]] == own(found_by(with_it, ROWS[61:]))
    assert found_by(plain, ROWS[61:]) == found_by(without_it, ROWS[61:])
    assert [] == caplog.records


def test_a_state_that_does_not_fit_the_detector_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Of an older version of somebody's package: it begins anew, and the run goes on."""
    first, second = (DetectorSet(Run("x"), Guard(), [LossAbove(4.0)]) for _ in range(2))
    found_by(first, ROWS[:61])
    state = first.state_dict()
    del state["outside"][0]["state"]["rows"]
    second.load_state_dict(state)

    assert [("loss_above", 62, Phase.OPENED), OWN[1]] == own(found_by(second, ROWS[61:]))
    assert 1 == len(caplog.records)
    assert "loss above starts anew, its state does not fit" in caplog.records[0].getMessage()
