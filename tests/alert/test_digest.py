"""The state of one run as a message of its own, every day or every few hours."""

from __future__ import annotations

from pathlib import Path

import pytest

from scalewatch import Action, Advice, EvidenceGrade, Run
from scalewatch.alert import DeliveryError, Dispatcher, Quiet, Route, Rules, SilenceFile, load_rules
from scalewatch.alert.rules import Silence
from scalewatch.errors import ConfigError
from scalewatch.finding import Finding, Kind, Severity
from tests.alert.timetable import MIDNIGHT, Collecting, Timetable, seconds

DAILY = Rules(routes=(Route(("test",)),), digest="daily")  # type: ignore[arg-type]  # a text is as good as a number


def test_a_daily_digest_says_how_the_run_is() -> None:
    """One a day, a day after the begin; the steps since the last one, the loss, and what went on."""
    day = Timetable(DAILY)
    day.at("20:00:00").opens("spike", step=72_000)
    day.at("20:01:00").closes("spike", step=72_060)
    day.run("49:00:00", every=10.0)
    digests = [message for message in day.messages if message.notification.status == "digest"]
    rows = [dict(message.notification.rows) for message in digests]

    assert ["24:00:00", "48:00:00"] == [message.clock for message in digests]
    assert "DIGEST gpt: nothing wrong; now step 8,641" == digests[0].title
    assert "8,640 in 24:00 h (0.1 a second)" == rows[0]["steps"]
    assert "3" == rows[0]["loss"].split()[0]
    assert "since step 72,000, over" == rows[0]["loss spike"]
    assert "loss spike" not in rows[1]


def test_a_digest_of_a_run_in_trouble_says_so_first() -> None:
    """What goes on, how far the run is, and what to do."""
    receiver = Collecting()
    now = [MIDNIGHT]
    rules = Rules(routes=(Route(("test",)),), digest=6 * 3600.0)
    dispatcher = Dispatcher(Run("gpt", total_steps=50_000), "1", {"test": receiver}, rules, clock=lambda: now[0])
    for step in range(0, 21_000, 100):
        now[0] = MIDNIGHT + 1.1 * step
        dispatcher.observe(step, 3.0)
        if step == 10_000:
            diverges = Finding(Kind.DIVERGENCE, Severity.WARNING, 10_000, 9_990, "loss does not come back")
            dispatcher.submit([diverges], [Advice(Action.STOP, "it is lost.", EvidenceGrade.B)])
        dispatcher.tick()
    (digest,) = (notification for notification in receiver.got if notification.status == "digest")

    assert "DIGEST gpt: loss diverges since step 9,990; now step 19,700 of 50,000 (39 %)" == digest.title
    assert "9:15 h left" in dict(digest.rows)["steps"]
    assert (Severity.WARNING, ["stop"]) == (digest.severity, [a.action for a in digest.advice])


def test_quiet_hours_and_silences_hold_a_digest_back(tmp_path: Path) -> None:
    """It comes when they are over, and then says how things are by then."""
    hours = Quiet("23:00", "07:00", zone="UTC")
    day = Timetable(Rules(routes=(Route(("test",)),), quiet=(hours,), digest="daily"), folder=tmp_path)  # type: ignore[arg-type]
    silence = Silence(MIDNIGHT + seconds("32:00:00"), comment="holiday")
    day.at("30:00:00").does(lambda: bool(SilenceFile(tmp_path / "silences.json").add(silence, MIDNIGHT)) and None)
    day.run("33:00:00", every=10.0)

    assert ["32:00:00"] == [message.clock for message in day.messages]


def test_a_pager_gets_no_digest() -> None:
    """A route for what is critical wants nothing else."""
    day = Timetable(Rules(routes=(Route(("test",), severity=Severity.CRITICAL),), digest="daily"))  # type: ignore[arg-type]

    assert [] == day.run("26:00:00", every=10.0)


def test_without_the_rule_there_is_no_digest() -> None:
    """Nobody asked for one."""
    assert [] == Timetable().run("50:00:00", every=10.0)


def test_a_digest_that_could_not_be_sent_comes_later() -> None:
    """It is put off and made anew: nothing is lost, and there is one."""
    day = Timetable(DAILY)
    day.receiver.refuses = DeliveryError("HTTP 500")
    day.at("25:00:00").does(lambda: setattr(day.receiver, "refuses", None))
    (message,) = day.run("27:00:00", every=5.0)

    assert "25:00:00" <= message[0] <= "25:03:00"
    assert 0 == day.dispatcher.counters.lost


def test_a_run_that_is_killed_each_night_has_one_digest_a_day(tmp_path: Path) -> None:
    """The time of the last one is in the state; who has just resumed waits ten minutes to say how it is."""
    day = Timetable(DAILY, folder=tmp_path)
    day.at("12:00:00").restarts()
    day.at("23:55:00").restarts()
    day.at("36:00:00").restarts()

    assert ["24:05:00", "48:05:00"] == [clock for clock, _ in day.run("50:00:00", every=10.0)]


@pytest.mark.parametrize("text", ['"soon"', '"10m"', "-1", "true"])
def test_a_digest_that_cannot_be_is_told(tmp_path: Path, text: str) -> None:
    """With what it may be."""
    (tmp_path / "a.toml").write_text(f'digest = {text}\n[[route]]\nreceivers = ["slack"]\n')
    with pytest.raises(ConfigError, match="`digest` must be"):
        load_rules(tmp_path / "a.toml")


def test_hours_are_as_good_as_days(tmp_path: Path) -> None:
    """From the file too."""
    (tmp_path / "a.toml").write_text('digest = "6h"\n[[route]]\nreceivers = ["slack"]\n')

    assert 21_600.0 == load_rules(tmp_path / "a.toml").digest
