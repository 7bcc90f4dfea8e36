"""Rules out of a TOML file: what they mean, and what is said about one that is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from scalewatch import Monitor, Observation, Run
from scalewatch.alert import Dispatcher, Quiet, Route, Rules, Threshold, load_rules
from scalewatch.errors import ConfigError
from scalewatch.finding import Severity
from tests.alert.timetable import MIDNIGHT, Collecting, seconds

WHOLE = """
group_wait = "10s"
repeat_interval = "1d"
budget_per_hour = 6
link = "https://tensorboard.example.org"

[[route]]
receivers = ["slack", "mail"]
severity = "warning"
runs = ["gpt-*"]
mentions = ["U012AB3CD"]
labels = { team = "pretraining" }

[[route]]
receivers = ["pager"]
severity = "critical"
kinds = ["nonfinite", "divergence"]
ends = false

[[quiet]]
start = "22:00"
end = "07:00"
days = ["fri", "sat"]
zone = "Europe/Zurich"

[[threshold]]
target = 2.85
by = 0.02
probability = 0.9
severity = "critical"

[receiver.pager]
type = "command"
argv = ["true"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "alerts.toml"
    path.write_text(text)
    return path


def test_a_file_says_the_same_as_python(tmp_path: Path) -> None:
    """Every part of it."""
    slack = Route(("slack", "mail"), runs=("gpt-*",), mentions=("U012AB3CD",), labels={"team": "pretraining"})
    pager = Route(("pager",), severity=Severity.CRITICAL, kinds=("nonfinite", "divergence"), ends=False)
    expected = Rules(
        routes=(slack, pager),
        quiet=(Quiet("22:00", "07:00", days=("fri", "sat"), zone="Europe/Zurich"),),
        thresholds=(Threshold(2.85, 0.02, 0.9, Severity.CRITICAL),),
        receivers={"pager": {"type": "command", "argv": ["true"]}},
        group_wait=10.0,
        repeat_interval="1d",  # type: ignore[arg-type]  # a text is as good as a number
        budget_per_hour=6,
        link="https://tensorboard.example.org",
    )

    assert expected == load_rules(written(tmp_path, WHOLE))
    assert ("slack", "mail", "pager") == expected.names


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"at least one \[\[route\]\]"),
        ("[[route]]", r"in \[\[route\]\], `receivers` is missing"),
        ('[[route]]\nreceivers = "slack"', r"`receivers` must be a list of words"),
        (
            '[[route]]\nreceivers = ["slack"]\nseverty = "info"',
            r"`severty` is nothing that can be set: did you mean `severity`",
        ),
        (
            '[[route]]\nreceivers = ["slack"]\nseverity = "loud"',
            r"must be one of info, warning, critical \(got 'loud'\)",
        ),
        ('[[route]]\nreceivers = ["slack"]\nmentions = ["@jo"]', r"Slack ids such as U012AB3CD"),
        ('[route]\nreceivers = ["slack"]', r"written as \[\[route\]\]"),
        ('group_wait = "soon"\n[[route]]\nreceivers = ["slack"]', r'`group_wait` must be a time such as "30s"'),
        ('group_wiat = "1s"', r"did you mean `group_wait`"),
        ("budget_per_hour = 0", r"from 1 to 1000 \(got 0\)"),
        ('link = "javascript:alert(1)"', r"an http or https address"),
        ('[[quiet]]\nstart = "25:00"\nend = "07:00"', r'time of day such as "22:00"'),
        ('[[quiet]]\nstart = "07:00"\nend = "07:00"', r"must differ"),
        ('[[quiet]]\nstart = "22:00"\nend = "07:00"\nzone = "Mars/Base"', r'such as "Europe/Zurich"'),
        ('[[quiet]]\nstart = "22:00"\nend = "07:00"\ndays = ["Fri"]', r"among mon, tue"),
        ("[[threshold]]\nprobability = 0.9", r"`target` is missing"),
        ("[[threshold]]\ntarget = 2.8\nprobability = 90", r"from 0.5 to 0.999 \(got 90\)"),
        ("receiver = 3", r"tables such as \[receiver.pager\]"),
        ("[[route]\n", r"this is no TOML"),
        ("\x00", r"this is no TOML"),
        ("a = " + "[" * 10_000, r"this is no TOML"),
        ("#" * 300_000, r"smaller than 256 KiB"),
    ],
)
def test_what_is_wrong_is_said_with_the_file_the_place_and_what_it_may_be(tmp_path: Path, text: str, says: str) -> None:
    """One line that is enough to put it right."""
    with pytest.raises(ConfigError, match=says) as caught:
        load_rules(written(tmp_path, text))

    assert "alerts.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With its name and why."""
    with pytest.raises(ConfigError, match=r"nowhere\.toml' cannot be read: No such file"):
        load_rules(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("clock", "day", "quiet"),
    [
        ("21:59:00", 0, False),
        ("22:00:00", 0, True),
        ("06:59:00", 1, True),
        ("07:00:00", 1, False),
        ("23:00:00", 1, False),
    ],
)
def test_quiet_hours_over_midnight_belong_to_the_day_they_begin_on(clock: str, day: int, quiet: bool) -> None:
    """Monday's quiet hours end on Tuesday; on Tuesday night nothing is quiet."""
    hours = Quiet("22:00", "07:00", days=("mon",), zone="UTC")

    assert quiet == hours.holds(Severity.WARNING, MIDNIGHT + 86_400 * day + seconds(clock))


def test_a_run_that_will_miss_its_target_pages() -> None:
    """ "Page me if the forecast misses the target by 0.02 with 90 %": it does, with the numbers, and once."""
    run = Run("gpt", total_steps=4000, learning_rates=np.full(4000, 3e-4))
    monitor = Monitor(run)
    rng = np.random.default_rng(0)
    for step in range(1, 2001):
        monitor.observe(Observation(step, 2.5 + 6 * step**-0.4 + 0.02 * rng.standard_normal(), 3e-4))
    forecast = monitor.forecast()
    assert forecast is not None
    missed = Threshold(forecast.final_loss - 0.5, 0.02, 0.9, Severity.CRITICAL)
    reached = Threshold(forecast.final_loss + 0.5, 0.02, 0.9, Severity.CRITICAL)
    got = []
    for threshold in (missed, reached):
        receiver = Collecting()
        rules = Rules(routes=(Route(("test",)),), thresholds=(threshold,))
        dispatcher = Dispatcher(run, "run-1", {"test": receiver}, rules)
        dispatcher.observe(2000, 2.8)
        for _ in range(3):
            dispatcher.submit_forecast(forecast)
            dispatcher.tick()
        dispatcher.close()
        got.append([(notification.title, notification.items[0].message) for notification in receiver.got])

    assert 1 == len(got[0])
    assert "CRITICAL gpt: forecast misses the target since step" in got[0][0][0]
    assert f"against a target of {missed.target:g}: it ends more than 0.02 above it with 100 %" in got[0][0][1]
    assert [] == got[1]


HOSTILE = {
    "levels": ("x = " + "[" * 100_000, "this is no TOML"),
    "parts of a name": ("a." * 30_000 + "b = 1", "more than 250 dots"),
    "digits": ("repeat = " + "9" * 60_000, "this is no TOML"),
    "a number beyond all": ("group_wait = " + "9" * 4_000, "larger than any that can be meant"),
    "size": ('x = "' + "a" * 1_000_000 + '"', "must be smaller than 256 KiB"),
    "no text": ("\0" * 1_000, "this is no TOML"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_rules_file_gets_a_sentence(tmp_path: Path, kind: str) -> None:
    """A file that is no rules is refused at once, whatever it holds; none of these may take minutes or memory."""
    text, words = HOSTILE[kind]
    (tmp_path / "rules.toml").write_text(text)

    with pytest.raises(ConfigError, match=words):
        load_rules(tmp_path / "rules.toml")


def test_rules_that_are_a_pipe_are_not_waited_for(tmp_path: Path) -> None:
    """Nor a device that never ends."""
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ConfigError, match="must be a regular file"):
            load_rules(path)
