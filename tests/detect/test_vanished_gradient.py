"""Gradient norms that are nought."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scalewatch import Monitor, Observation, Run
from scalewatch.finding import Finding, Kind, Phase

Follow = Callable[..., list[Finding]]

LOSSES = (2.0 + np.random.default_rng(0).normal(0.0, 0.05, 400)).tolist()


def vanished(found: list[Finding]) -> list[Finding]:
    return [f for f in found if f.kind is Kind.VANISHED_GRADIENT]


def test_a_run_whose_gradients_become_nought_is_paged_while_its_loss_looks_healthy(follow: Follow) -> None:
    """Within two blocks, with what they were; and it is over when they are back."""
    opened, closed = vanished(follow(LOSSES, norms=[1.2] * 100 + [0.0] * 200 + [1.1] * 100))

    assert opened.pages
    assert 132 <= opened.step <= 164
    assert 100 <= opened.start_step <= 105
    assert "was near 1.20" in opened.message
    assert Phase.CLOSED is closed.phase
    assert 300 <= closed.step <= 340


def test_norms_that_are_taken_once_in_some_steps_are_enough() -> None:
    """As a callback takes them, every tenth step: there it takes ten times as long."""
    monitor, found = Monitor(Run("gpt")), list[Finding]()
    for step, loss in enumerate(4 * LOSSES, 1):
        norm = None if step % 10 else 1.2 if step < 600 else 0.0
        found += monitor.observe(Observation(step, loss, grad_norm=norm))

    (opened,) = vanished(found)
    assert 910 <= opened.step <= 1_000
    assert 600 <= opened.start_step <= 640


def test_single_noughts_and_norms_too_small_for_the_digits_of_a_log_are_nothing(follow: Follow) -> None:
    """Loss scaling skips a step now and then; a log of two digits shows .00 where the norm was .01."""
    rounded = [0.2] * 50 + [0.04] * 50 + [0.01] * 100 + [0.0] * 200

    assert [] == vanished(follow(LOSSES, norms=[1.2, 0.0, 0.0, 0.0] * 100))
    assert [] == vanished(follow(LOSSES, norms=rounded))


def test_a_log_that_has_nought_for_a_norm_it_never_took_is_said_to_have_none() -> None:
    """As Megatron prints it where none is computed."""
    monitor = Monitor(Run("gpt"))
    for step, loss in enumerate(LOSSES, 1):
        assert not any(f.pages for f in monitor.observe(Observation(step, loss, grad_norm=0.0)))

    assert "gradient norm" in dict(monitor.verdict().rows())["not measured"]
