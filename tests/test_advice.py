"""An advice in words: what to do, how sure that is, what it gains or costs, and what would change it."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from scalewatch import Action, Advice, EvidenceGrade
from scalewatch.advice import gain_text
from scalewatch.alert.notification import Recommendation
from scalewatch.plain import from_plain, to_plain

GAINS = st.floats(-20.0, 20.0)


@given(low=GAINS, middle=GAINS, high=GAINS)
def test_a_gain_is_told_with_its_sign_as_a_word_and_its_interval_in_order(
    low: float, middle: float, high: float
) -> None:
    """Nobody has to know that a negative gain is a cost, and no number is a negative zero."""
    low, middle, high = sorted((low, middle, high))
    text = gain_text(middle, (low, high))
    numbers = [float(number) for number in re.findall(r"-?\d+\.\d{3}", text)]

    assert text.startswith("costs " if middle < 0 else "gains ")
    assert numbers[-2] <= numbers[-1]
    assert "-0.000" not in text
    assert ("less than 0.001" in text) == (f"{abs(middle):.3f}" == "0.000")
    assert round(high if middle >= 0 else -low, 3) == numbers[-1]


def test_what_nobody_knows_is_not_told() -> None:
    """No gain, no word of one; no interval, no word of that."""
    stop = Advice(Action.STOP, "It is lost.", EvidenceGrade.B)

    assert "stop (evidence B): It is lost." == stop.text
    assert "gains 0.020 nats" == gain_text(0.02, None, " nats")
    assert "gains 0.020 of loss" == gain_text(0.02, None)
    assert "" == stop.gain


def test_all_of_it_is_one_line() -> None:
    """With what would change it at the end."""
    gain = (0.0213, 7, (0.015, 0.03))
    advice = Advice(Action.DECAY_NOW, "The rest buys little.", EvidenceGrade.B, *gain, "the rest buys more.")

    assert advice.text == (
        "decay now (evidence B, gains 0.021 of loss, 80 %: 0.015 to 0.030): The rest buys little. "
        "Ignore this if the rest buys more."
    )


@given(
    gain=st.none() | GAINS,
    interval=st.none() | st.tuples(GAINS, GAINS),
    words=st.text(max_size=20),
)
def test_a_recommendation_survives_the_state_file(
    gain: float | None, interval: tuple[float, float] | None, words: str
) -> None:
    """What an alert holds of an advice comes back from plain data as it was."""
    told = Recommendation("stop", words, "B", gain, interval, words)

    assert told == from_plain(Recommendation, to_plain(told))
