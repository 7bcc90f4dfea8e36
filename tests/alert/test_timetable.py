"""Incidents on a timetable: when which message is sent, on a clock turned by hand."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from scalewatch import Action, Advice, EvidenceGrade
from scalewatch.alert import DeliveryError, Quiet, Route, Rules, Silence, SilenceFile
from scalewatch.alert.notification import plain_text
from scalewatch.finding import Severity
from scalewatch.text import duration
from tests.alert.timetable import MIDNIGHT, Timetable, seconds


def test_a_spike_that_recovers_is_two_messages() -> None:
    """It is told after the group wait, also if it is over by then, and that it is over after five clean minutes."""
    day = Timetable()
    day.at("00:10:00").opens("spike", step=600)
    day.at("00:10:10").closes("spike")

    assert [
        ("00:10:30", "WARNING gpt: loss spike since step 600"),
        ("00:15:30", "RESOLVED gpt: spike is over"),
    ] == day.run("05:00:00", every=2.0)


def test_a_night_with_a_divergence() -> None:
    """Opened, worse, repeated, followed by lesser things, over: each is told when it should be, and once."""
    day = Timetable()
    day.at("01:00:00").opens("divergence", step=3600)
    day.at("01:00:20").opens("grad_norm", step=3620)  # follows from the divergence
    day.at("01:03:00").opens("off_plan", step=3780)  # does not: but the last message was 150 s ago
    day.at("01:04:00").escalates("divergence", step=3840)  # this does not wait, and takes the other along
    day.at("05:30:00").closes("divergence")

    assert [
        ("01:00:30", "WARNING gpt: loss diverges since step 3,600"),
        ("01:04:00", "CRITICAL gpt: loss diverges since step 3,600; learning rate off its schedule since step 3,780"),
        ("05:04:00", "CRITICAL gpt: loss diverges since step 3,600; learning rate off its schedule since step 3,780"),
        ("05:35:00", "WARNING gpt: gradient norm jumped since step 3,620; divergence is over"),
    ] == day.run("05:40:00", every=2.0)


def test_a_lost_run_is_told_at_once() -> None:
    """What is critical waits for nothing: NaN at 02:00:00 is sent at 02:00:00."""
    day = Timetable(begins="01:59:00")
    day.at("02:00:00").opens("nonfinite", "critical", step=7200)

    assert [("02:00:00", "CRITICAL gpt: loss is NaN or infinite since step 7,200")] == day.run("02:10:00")


def test_what_belongs_together_is_one_message() -> None:
    """Three incidents within the group wait are one message that names them all."""
    day = Timetable()
    day.at("00:01:00").opens("off_plan", step=60)
    day.at("00:01:10").opens("throughput", step=70)
    day.at("00:01:20").opens("level_shift", step=80)
    messages = day.run("00:30:00")

    assert ["00:01:30"] == [clock for clock, _ in messages]
    assert ["off_plan", "throughput", "level_shift"] == [item.kind for item in day.messages[0].notification.items]


def test_a_flapping_spike_is_one_incident() -> None:
    """Open and closed each second for 10,000 seconds: one message, repeats if it lasts, and one at the end."""
    day = Timetable()
    for second in range(0, 10_000, 2):
        day.at(f"00:00:{second}").opens("spike")
        day.at(f"00:00:{second + 1}").closes("spike")
    messages = day.run("03:30:00")

    assert ["00:00:30", "02:51:39"] == [clock for clock, _ in messages]
    assert 5_000 == day.messages[-1].notification.items[0].times


def test_a_spike_after_the_all_clear_is_a_new_one() -> None:
    """Once it was told that it is over, the next is told again."""
    day = Timetable()
    day.at("00:01:00").opens("spike", step=60)
    day.at("00:01:30").closes("spike")
    day.at("00:20:00").opens("spike", step=1200)
    messages = day.run("00:21:00")

    assert ["00:01:30", "00:06:30", "00:20:30"] == [clock for clock, _ in messages]
    assert "since step 1,200" in messages[-1][1]


def test_what_goes_on_is_repeated_every_four_hours() -> None:
    """Not sooner, and not if it is over."""
    day = Timetable()
    day.at("00:00:00").opens("off_law", step=1)
    day.at("09:00:00").closes("off_law")

    assert ["00:00:30", "04:00:30", "08:00:30", "09:05:00"] == [c for c, _ in day.run("20:00:00", every=5.0)]


def test_a_plateau_inside_a_divergence_is_not_told() -> None:
    """It follows from the divergence; when that is over and it goes on, it is told."""
    day = Timetable()
    day.at("00:01:00").opens("divergence", step=60)
    day.at("00:10:00").opens("plateau", step=600)
    day.at("00:20:00").closes("divergence")
    messages = day.run("00:40:00")

    assert ["00:01:30", "00:25:00"] == [clock for clock, _ in messages]
    assert "divergence is over" in messages[1][1]
    assert "loss has stopped falling since step 600" in messages[1][1]


def test_quiet_hours_hold_back_all_but_the_worst() -> None:
    """A warning of 23:00 is told at 07:00; a lost run at 03:00 is told at 03:00, and takes the warning along not."""
    rules = Rules(routes=(Route(("test",)),), quiet=(Quiet("22:00", "07:00", zone="UTC"),))
    day = Timetable(rules, begins="22:59:00")
    day.at("23:00:00").opens("off_law", step=60)
    day.at("27:00:00").opens("nonfinite", "critical", step=99)
    day.at("27:01:00").closes("nonfinite")

    assert [
        ("27:00:00", "CRITICAL gpt: loss is NaN or infinite since step 99"),
        ("27:06:00", "RESOLVED gpt: non-finite loss is over"),
        ("31:00:00", "WARNING gpt: above its scaling law since step 60"),
    ] == day.run("31:10:00", every=5.0)


def test_quiet_hours_that_outlast_the_incident_leave_nothing_to_say() -> None:
    """The receiver never knew of it, so nothing is taken back either."""
    rules = Rules(routes=(Route(("test",)),), quiet=(Quiet("22:00", "07:00", zone="UTC"),))
    day = Timetable(rules, begins="23:00:00")
    day.at("23:00:01").opens("spike")
    day.at("23:01:00").closes("spike")

    assert [] == day.run("32:00:00", every=10.0)


def test_a_silence_set_while_the_run_goes_on_holds(tmp_path: Path) -> None:
    """`scalewatch alert silence` writes a file; the run reads it, and tells what is left when it ends."""
    day = Timetable(folder=tmp_path)
    silence = Silence(MIDNIGHT + seconds("02:00:00"), kinds=("off_law",), comment="known")
    day.at("00:10:00").does(lambda: bool(SilenceFile(tmp_path / "silences.json").add(silence, MIDNIGHT)) and None)
    day.at("00:11:00").opens("off_law", step=660)
    day.at("00:12:00").opens("throughput", step=720)

    assert [
        ("00:12:30", "WARNING gpt: steps have become slow since step 720"),
        ("02:00:00", "WARNING gpt: above its scaling law since step 660"),
    ] == day.run("03:00:00")


def test_no_more_than_the_budget_of_an_hour_is_sent() -> None:
    """Twenty in any hour, two of them kept for what is critical; the rest is counted in the next message."""
    rules = Rules(routes=(Route(("test",)),), group_wait=0, group_interval=0, resolve_after=0)
    day = Timetable(rules)
    for second in range(0, 3000, 20):
        day.at(f"00:00:{second}").opens("spike")
        day.at(f"00:00:{second + 10}").closes("spike")
    day.at("00:49:00").opens("nonfinite", "critical")
    day.run("00:59:00")
    titles = [message.title for message in day.messages]

    assert 19 == len(titles)
    assert "CRITICAL" in titles[-1]
    assert day.messages[-1].notification.folded > 100


def test_an_outage_of_an_hour_delays_and_loses_nothing() -> None:
    """While the other side is down the message is put off, tried again, and then tells how things are by then."""
    day = Timetable()
    day.receiver.refuses = DeliveryError("HTTP 500")
    day.at("00:10:00").opens("divergence", step=600)
    day.at("00:30:00").escalates("divergence")
    day.at("01:10:00").does(lambda: setattr(day.receiver, "refuses", None))
    (message,) = day.run("01:20:00")

    assert "01:10:00" <= message[0] <= "01:12:10"
    assert "CRITICAL gpt: loss diverges since step 600" == message[1]
    assert 0 == day.dispatcher.counters.lost
    (arrived,) = day.receiver.got
    # it was decided on up to a minute before it arrived: pauses between tries differ by chance
    decided = arrived.at_unix_s - MIDNIGHT
    assert seconds(message[0]) - 60.0 <= decided <= seconds(message[0])
    failed_for = duration(decided - seconds("00:10:30"))
    assert (("delivery", f"failed for {failed_for} before this message (HTTP 500)"),) == arrived.rows


def test_an_incident_that_came_and_went_during_an_outage_is_told_afterwards() -> None:
    """Nobody heard of it, and everybody was meant to."""
    day = Timetable()
    day.receiver.refuses = DeliveryError("HTTP 500")
    day.at("00:10:00").opens("divergence", step=600)
    day.at("00:20:00").closes("divergence")
    day.at("01:10:00").does(lambda: setattr(day.receiver, "refuses", None))
    messages = day.run("03:00:00")

    assert ["RESOLVED gpt: divergence is over"] == [title for _, title in messages]
    assert "failed for" in plain_text(day.receiver.got[0])


def test_a_message_that_is_refused_as_it_is_is_not_sent_again_and_again() -> None:
    """400 is about this message: it is counted as lost, and the next one is tried."""
    day = Timetable()
    day.receiver.refuses = DeliveryError("HTTP 400", useless=True)
    day.at("00:10:00").opens("divergence", step=600)
    day.at("01:00:00").does(lambda: setattr(day.receiver, "refuses", None))
    day.at("02:00:00").escalates("divergence", step=7200)

    assert ["02:00:00"] == [clock for clock, _ in day.run("03:00:00", every=2.0)]
    assert (2, 1, 1) == (day.dispatcher.counters.tries, day.dispatcher.counters.sent, day.dispatcher.counters.lost)
    assert "1 message before this one never arrived (HTTP 400)" in plain_text(day.receiver.got[0])


def test_a_clock_that_was_set_back_between_two_starts_delays_nothing(tmp_path: Path) -> None:
    """What the state says of the future is not waited for."""
    day = Timetable(folder=tmp_path, begins="12:00:00")
    day.at("12:00:00").opens("divergence", step=600)
    day.run("12:10:00")
    day.dispatcher.abandon()
    back = Timetable(folder=tmp_path, begins="02:00:00")
    back.step = 800
    back.at("02:00:10").opens("off_plan", step=810)

    assert [("02:00:10", "WARNING gpt: learning rate off its schedule since step 810")] == back.run("02:04:00")


def test_a_receiver_that_refuses_for_good_is_switched_off(caplog: pytest.LogCaptureFixture) -> None:
    """One try, one warning that says what to do, and nothing more."""
    day = Timetable()
    day.receiver.refuses = DeliveryError("HTTP 404", fatal=True)
    day.at("00:10:00").opens("divergence")
    day.run("00:40:00")

    assert 1 == day.dispatcher.counters.tries
    assert ["off: HTTP 404"] == [text.split("(")[1].rstrip(")") for _, text in day.dispatcher.rows()]
    assert 1 == sum("off for the rest of this run" in record.message for record in caplog.records)


def test_a_run_that_is_killed_and_resumed_does_not_repeat_itself(tmp_path: Path) -> None:
    """The same spike is found again on the way back to where the run was, and is not told again."""
    day = Timetable(folder=tmp_path)
    day.at("00:10:00").opens("spike", step=600)
    day.at("00:10:30").closes("spike", step=630)
    day.at("00:20:00").restarts(step=500)
    day.at("00:21:40").opens("spike", step=602)  # sums in another order: two rows later
    day.at("00:22:10").closes("spike", step=631)

    assert ["00:10:30", "00:15:30"] == [clock for clock, _ in day.run("01:00:00")]


def test_an_incident_that_the_resumed_run_does_not_meet_again_is_over(tmp_path: Path) -> None:
    """Gone back to before the divergence, with other data: when the run has passed the place, it is called over."""
    day = Timetable(folder=tmp_path)
    day.at("00:10:00").opens("divergence", step=600)
    day.at("00:20:00").restarts(step=300)
    messages = day.run("00:40:00")

    assert ["00:10:30", "00:30:17"] == [clock for clock, _ in messages]
    assert "RESOLVED gpt: divergence is over" == messages[1][1]
    assert "not seen again after the run went back" in day.messages[1].notification.items[0].message


def test_an_incident_that_goes_on_after_the_resume_is_not_told_twice(tmp_path: Path) -> None:
    """The monitor of the resumed run says that it is open: nothing is sent until it gets worse."""
    day = Timetable(folder=tmp_path)
    day.at("00:10:00").opens("divergence", step=600)
    day.at("00:20:00").restarts().opens("divergence", step=600)
    day.at("00:25:00").escalates("divergence", step=1500)

    assert ["00:10:30", "00:25:00"] == [clock for clock, _ in day.run("01:00:00")]


def test_a_run_that_hangs_is_told_and_when_it_goes_on_too() -> None:
    """Half an hour without a step is a stall, in a run that never paused for so long."""
    day = Timetable()
    day.run("00:10:00")
    day.dispatcher.begin()
    day.run("00:45:00", moving=False)
    messages = day.run("01:00:00")
    day.dispatcher.close()

    assert [("00:40:01", "CRITICAL gpt: no step is made after step 601")] == messages[:1]
    assert "stall is over" in messages[1][1]


def test_each_route_gets_what_it_asked_for() -> None:
    """Only critical to the one, only validation of runs named gpt* to the other, with labels and mentions."""
    rules = Rules(
        routes=(
            Route(("test",), severity=Severity.CRITICAL, mentions=("U012AB3",), labels={"team": "night"}),
            Route(("test",), kinds=("validation",), runs=("gpt*",)),
            Route(("test",), kinds=("plateau",), runs=("bert*",)),
        )
    )
    day = Timetable(rules)
    day.at("00:01:00").opens("spike").opens("plateau").opens("validation")
    day.at("00:20:00").opens("nonfinite", "critical", step=1200)
    day.run("00:30:00")
    first, second = (message.notification for message in day.messages)

    assert ["validation"] == [item.kind for item in first.items]
    assert () == first.mentions
    assert (("U012AB3",), (("team", "night"),)) == (second.mentions, second.labels)


def test_a_note_is_told_once_to_who_wants_notes_and_not_taken_back() -> None:
    """A bad batch is over when it is found: nothing repeats it, nothing calls it resolved."""
    day = Timetable(Rules(routes=(Route(("test",), severity=Severity.INFO),)))
    day.at("00:01:00").opens("bad_batch", "info", step=60)
    day.at("02:00:00").opens("bad_batch", "info", step=7200)

    assert [
        ("00:01:30", "NOTE gpt: bad batch at step 60"),
        ("02:00:30", "NOTE gpt: bad batch at step 7,200"),
    ] == day.run("10:00:00", every=5.0)


def test_advice_from_the_forecast_is_a_note_and_to_stop_is_told_to_all() -> None:
    """Each is told when it is given, none is repeated or taken back."""
    extend = Advice(Action.EXTEND, "it still falls.", EvidenceGrade.B, 0.02)
    stop = Advice(Action.STOP, "it cannot beat the incumbent.", EvidenceGrade.B)
    day = Timetable(Rules(routes=(Route(("test",), severity=Severity.INFO),)))
    day.at("01:00:00").does(lambda: day.dispatcher.submit_advice([extend]))
    day.at("03:00:00").does(lambda: day.dispatcher.submit_advice([stop, extend]))
    day.at("09:00:00").does(lambda: day.dispatcher.submit_advice([stop]))
    pager = Timetable()
    pager.at("01:00:00").does(lambda: pager.dispatcher.submit_advice([extend]))

    assert [
        ("01:00:30", "NOTE gpt: advice from the forecast at step 720"),
        ("03:00:30", "WARNING gpt: advice from the forecast at step 2,160"),
        ("09:00:30", "WARNING gpt: advice from the forecast at step 6,480"),
    ] == day.run("20:00:00", every=5.0)
    assert (
        "stop: it cannot beat the incumbent; or extend: it still falls" == day.messages[1].notification.items[0].message
    )
    assert [] == pager.run("03:00:00", every=5.0)


def test_the_timetable_takes_no_time() -> None:
    """A day of decisions is milliseconds an hour: the thread that makes them leaves the cores to the training."""
    day = Timetable()
    day.at("00:01:00").opens("off_law")
    began = time.thread_time()
    day.run("01:00:00", every=0.5)

    assert time.thread_time() - began < 2.0
