"""The card of each thing that people look at in a notebook: its sentence, its picture, no script."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from scalewatch import Monitor, Observation, Run, Verdict
from scalewatch.fitting import average_laws, fit_broken, fit_chinchilla
from scalewatch.laws import Parameters
from scalewatch.offline.registering import PlannedRun, register_run
from tests.synthetic import TrueLaw, cosine, fitted, noisy, planned, rows, watch

TOTAL = 800


@cache
def monitor(upto: int = TOTAL // 2, *, law: bool = False) -> Monitor:
    rates = cosine(TOTAL)
    losses = noisy(TrueLaw().losses(rates, 8e6), 0.01, 3)
    made = Monitor(planned(rates), law=fitted() if law else None)
    watch(made, rows(losses[:upto], rates[:upto]))
    return made


@cache
def table() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    size, tokens = 10 ** rng.uniform(7, 8.5, 30), 10 ** rng.uniform(9, 10.5, 30)
    return size, tokens, (1.8 + 480 * size**-0.35 + 2_000 * tokens**-0.37) * np.exp(0.003 * rng.standard_normal(30))


def prediction() -> Any:
    return fit_chinchilla(*table()).predict(Parameters(np.array([1e9, 7e9]), "total"), np.array([2e10, 1.4e11]))


def registered() -> Any:
    run = PlannedRun("big", 2_000, "cosine", 3e-4, 20, tokens_per_step=2_000.0, parameters=8_000_000)
    return register_run(fitted(), run, 0.0)


#: What is shown, and a word of its sentence.
SHOWN: dict[str, tuple[Callable[[], Any], str]] = {
    "monitor": (monitor, "run: healthy"),
    "monitor with a law": (lambda: monitor(law=True), "against its law"),
    "monitor after its end": (lambda: monitor(TOTAL), "over: healthy to its end"),
    "forecast": (lambda: monitor().forecast(), "80 % interval"),
    "forecast before the start": (lambda: monitor(0, law=True).forecast(), "before the first step"),
    "verdict": (lambda: monitor(TOTAL).verdict(), "inside the interval"),
    "fit of Chinchilla": (lambda: fit_chinchilla(*table()), "fitted to 30 points"),
    "prediction": (prediction, "Predicted losses of 2 runs"),
    "registered prediction": (registered, "big: predicted to end at"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_shown_has_its_sentence_and_its_picture(name: str) -> None:
    """A card of less than 100 kB that holds no script and asks nobody for anything."""
    make, word = SHOWN[name]
    shown = make()._repr_html_()

    text = re.sub(r"<style>.*?</style>|<[^>]+>", " ", shown)
    assert word in text
    assert "<svg" in shown
    assert 100_000 > len(shown)
    assert not re.search(r"<script|javascript:|@import|url\((?!#)|(?:src|href)=\"(?!#)", shown)


def test_a_fit_without_its_points_shows_its_constants() -> None:
    """A law of breaks keeps no runs: its constants, its status and its source are there."""
    x = np.geomspace(1e6, 1e10, 24)
    shown = fit_broken(x, 2.0 + 30 * x**-0.2)._repr_html_()

    assert "<svg" not in shown
    assert "source" in shown
    assert "curves or points" in shown


def test_a_monitor_that_has_seen_nothing_says_so() -> None:
    """Without a picture, and without a fault."""
    shown = Monitor(Run("new", total_steps=100))._repr_html_()

    assert "cannot tell" in shown
    assert "<svg" not in shown


def test_a_spike_is_told_and_marked() -> None:
    """With what to do about it."""
    made = monitor_with_spike()
    shown = made._repr_html_()

    assert "IN TROUBLE: spike" in shown or "LOST: spike" in shown
    assert "leaves the rows of an incident out" in shown
    assert "evidence" in shown


def monitor_with_spike() -> Monitor:
    rates = cosine(TOTAL)
    losses = noisy(TrueLaw().losses(rates, 8e6), 0.01, 3)
    losses[300:] += 2.0
    made = Monitor(planned(rates))
    for row in rows(losses[:340], rates[:340]):
        made.observe(row)
    return made


def test_showing_changes_no_answer() -> None:
    """A notebook shows what it has whenever a cell ends with it."""
    made = monitor_with_spike()
    before = made.state_dict()
    made._repr_html_()

    assert before == made.state_dict()
    assert isinstance(made.verdict(), Verdict)
    assert made.observe(Observation(341, 2.0)) == monitor_with_spike().observe(Observation(341, 2.0))


def test_an_average_of_laws_has_a_card_too() -> None:
    """Its laws disagree where it is unsure; what is shown is that it was fitted, and from where."""
    shown = average_laws(*table())._repr_html_()

    assert "fitted to 30" in shown
