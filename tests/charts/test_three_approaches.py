"""The approaches side by side."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from scalewatch.charts import Answer, Frame, three_approaches
from scalewatch.errors import ConfigError
from tests.charts.reading import layers_of, texts_of, values_of

ONE = Answer("1 envelope", 0.5, 0.48, 0.52, math.log(1e9) - 0.5 * math.log(1e20), (1e18, 1e20))
OTHER = Answer("3 parametric", 0.6, 0.58, 0.62, math.log(1e9) - 0.6 * math.log(1e20), (1e18, 1e20))
NONE = Answer("2 isoFLOP", None, -math.inf, math.inf, math.nan, (math.nan, math.nan), "Nothing of equal compute.")


def subtitle(*answers: Answer, target: float | None = None) -> list[str]:
    lines: list[str] = three_approaches(answers, Frame("t"), target_flops=target).to_dict()["title"]["subtitle"]
    return lines


def test_it_says_how_far_apart_the_sizes_are_that_they_ask_for() -> None:
    """They agree at 1e20 and part by 100^0.1 at 1e22."""
    (line,) = subtitle(ONE, OTHER, target=1e22)

    assert "At 1e22 FLOP they ask for 10B ('1 envelope') to 15.8B parameters ('3 parametric'), a factor of 1.6." == line


def test_an_approach_without_an_answer_is_named_with_its_reason() -> None:
    """It is not silently one row less."""
    assert "2 isoFLOP has no answer. Nothing of equal compute." in subtitle(ONE, NONE)


def test_each_exponent_is_written_with_its_interval() -> None:
    """Three digits: the third is what they differ in."""
    assert "1 envelope:  0.500  (0.480 to 0.520)" in texts_of(three_approaches([ONE, OTHER], Frame("t")))


def test_an_interval_that_is_not_known_is_said_and_not_drawn() -> None:
    """No bar across the whole panel, no infinity in words."""
    unknown = replace(OTHER, low=-math.inf, high=math.inf)
    chart = three_approaches([ONE, unknown], Frame("t"))

    assert "3 parametric:  0.600  (interval not known)" in texts_of(chart)
    bars = [row for layer in layers_of(chart, "rule") for row in values_of(layer) if "low" in row]
    assert 0.6 == bars[1]["low"] == bars[1]["high"]


def test_an_approach_keeps_its_colour_when_another_has_no_answer() -> None:
    """Pages of two sets of runs can be laid side by side."""

    def shade(*answers: Answer) -> str:
        domain, shades = ([], [])
        for layer in layers_of(three_approaches(answers, Frame("t")), "circle"):
            domain, shades = (layer["encoding"]["color"]["scale"][key] for key in ("domain", "range"))
        return str(dict(zip(domain, shades, strict=True))["3 parametric"])

    assert shade(ONE, OTHER) == shade(replace(NONE, label="1 envelope"), OTHER)


def test_a_band_opens_beyond_the_runs_as_the_interval_does() -> None:
    """At the budget asked for, 1e22, 1000 times the middle of the runs: 0.58 to 0.62 is a factor of 1000^0.04."""
    chart = three_approaches([OTHER], Frame("t"), target_flops=1e22)
    (band,) = layers_of(chart, "area")
    end = values_of(band)[-1]

    assert pytest.approx(1000**0.04, rel=1e-3) == end["high"] / end["low"]


def test_no_answer_at_all_is_an_error_that_says_what_to_do() -> None:
    """Train runs of equal compute."""
    with pytest.raises(ConfigError, match="equal compute"):
        three_approaches([NONE], Frame("t"))
