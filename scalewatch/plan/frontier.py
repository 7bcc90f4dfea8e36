"""What a law says of budgets and targets, solved for each of its rows: the best size, the cheapest budget, contours.

    C = 6 N D, so ln D = p - ln N with p = ln(C / 6)
    the best size makes dL/dln N = dL/dln D
    along the frontier ln(L - E) is nearly a line in p, so the budget of a loss takes a few secant steps

Why numbers and not Chinchilla's closed forms: the same lines then serve a law file and Kaplan's law, which have none,
and the closed forms serve as the test (tests/plan/test_frontier.py).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.plan.loss_model import AbstractLossModel

__all__ = [
    "best_log_size",
    "frontier_loss",
    "log_pairs_for_loss",
    "log_size_for_loss",
    "log_size_for_tokens",
    "log_tokens_for_loss",
    "log_tokens_for_size",
]

#: Points of the grid in ln(N) that finds the valley of a budget, and halvings that find its bottom.
VALLEY_POINTS, HALVINGS = 65, 60
#: ln of the most parameters, tokens or pairs of them that an answer may have: 1e35.
MOST_LOG = 80.0
#: Steps of the secant in the budget, and log loss above the floor at which it is there.
SECANT_STEPS, SECANT_TOLERANCE = 25, 1e-12
#: Least that a loss is taken to lie above the floor [nats/token]: a law may leave its range on the way.
LEAST_ABOVE = 1e-9


def best_log_size(surface: AbstractLossModel, log_pairs: Floats) -> Floats:
    """Return ln(N) of least loss for budgets p = ln(C / 6), shape (r, m) from (r, m); nan where there is none inside.

    N and D are at least 1, and N within what `facts.search` allows.
    """
    least, most = (0.0, MOST_LOG) if surface.facts.search is None else np.log(surface.facts.search)
    pairs = np.atleast_2d(log_pairs) + np.zeros_like(surface.floor)
    low, high = np.full_like(pairs, least), np.minimum(pairs, most)
    shares = np.linspace(0.0, 1.0, VALLEY_POINTS)
    grid = low[..., None] + (high - low)[..., None] * shares
    flat = grid.reshape(len(pairs), -1)
    losses = surface.loss(flat, np.repeat(pairs, VALLEY_POINTS, axis=1) - flat).reshape(grid.shape)
    at = np.argmin(losses, axis=-1)
    inside = (at > 0) & (at < VALLEY_POINTS - 1) & (high > low)
    step = (high - low) / (VALLEY_POINTS - 1)
    left = low + step * np.maximum(at - 1, 0)
    right = low + step * np.minimum(at + 1, VALLEY_POINTS - 1)
    found = _rising_root(lambda x: surface.slope(x, pairs - x), left, right)
    return np.where(inside, found, np.nan)


def frontier_loss(surface: AbstractLossModel, log_pairs: Floats) -> Floats:
    """Return the least loss [nats/token] of budgets p = ln(C / 6), shape (r, m)."""
    pairs = np.atleast_2d(log_pairs)
    size = best_log_size(surface, pairs)
    return surface.loss(size, pairs - size)


def log_pairs_for_loss(surface: AbstractLossModel, loss: Floats, start: Floats | float = 40.0) -> Floats:
    """Return p = ln(C / 6) of the least budget that reaches `loss` [nats/token], shape (r, m); inf where none does.

    Args:
        surface: the law. loss: broadcasts to (r, m). start: p near which the answer may lie.
    """
    wanted = np.atleast_2d(loss) + np.zeros_like(surface.floor)
    reachable = wanted > surface.floor + LEAST_ABOVE
    goal = np.log(np.where(reachable, wanted - surface.floor, 1.0))

    def height(pairs: Floats) -> Floats:
        return np.log(np.maximum(frontier_loss(surface, pairs) - surface.floor, LEAST_ABOVE))

    before = np.broadcast_to(np.asarray(start, dtype=np.float64), wanted.shape).copy()
    here = before + 1.0
    was, now = height(before), height(here)
    for _ in range(SECANT_STEPS):
        fall = (now - was) / np.where(here == before, 1.0, here - before)
        missing = goal - now
        # a bend must not throw the search off: a step is 20 e-folds of budget at most
        step = np.clip(np.where(fall < -1e-9, missing / np.minimum(fall, -1e-9), 0.0), -20.0, 20.0)
        done = (np.abs(missing) < SECANT_TOLERANCE) | ~np.isfinite(step)
        before, was = np.where(done, before, here), np.where(done, was, now)
        here = np.clip(np.where(done, here, here + step), 1.0, MOST_LOG)
        now = height(here)
        if bool(np.all(done)):
            break
    arrived = reachable & (np.abs(now - goal) < 1e-6)
    return np.where(arrived, here, np.inf)


def log_tokens_for_loss(surface: AbstractLossModel, log_size: Floats, loss: Floats) -> Floats:
    """Return ln(D) after which a size has `loss` [nats/token], shape (r, m); inf where endless data do not reach it."""
    size, wanted = _both(surface, log_size, loss)
    found = _rising_root(lambda y: wanted - surface.loss(size, y), np.zeros_like(size), np.full_like(size, MOST_LOG))
    return np.where(found > MOST_LOG - 1e-6, np.inf, found)


def log_size_for_loss(surface: AbstractLossModel, log_tokens: Floats, loss: Floats) -> Floats:
    """Return ln(N) that has `loss` [nats/token] after some tokens, shape (r, m); inf where no size reaches it."""
    tokens, wanted = _both(surface, log_tokens, loss)
    found = _rising_root(
        lambda x: wanted - surface.loss(x, tokens), np.zeros_like(tokens), np.full_like(tokens, MOST_LOG)
    )
    return np.where(found > MOST_LOG - 1e-6, np.inf, found)


def log_tokens_for_size(surface: AbstractLossModel, log_size: Floats) -> Floats:
    """Return ln(D) for which a size is the best one, shape (r, m); nan where it is for none."""
    size, _ = _both(surface, log_size, np.zeros(1))
    found = _rising_root(lambda y: -surface.slope(size, y), np.zeros_like(size), np.full_like(size, MOST_LOG))
    return np.where((found > 1e-6) & (found < MOST_LOG - 1e-6), found, np.nan)


def log_size_for_tokens(surface: AbstractLossModel, log_tokens: Floats) -> Floats:
    """Return ln(N) for which some tokens are the best amount, shape (r, m); nan where there is none."""
    tokens, _ = _both(surface, log_tokens, np.zeros(1))
    found = _rising_root(lambda x: surface.slope(x, tokens), np.zeros_like(tokens), np.full_like(tokens, MOST_LOG))
    return np.where((found > 1e-6) & (found < MOST_LOG - 1e-6), found, np.nan)


def _both(surface: AbstractLossModel, one: Floats, other: Floats) -> tuple[Floats, Floats]:
    a, b = np.broadcast_arrays(np.atleast_2d(one) + np.zeros_like(surface.floor), np.atleast_2d(other))
    return np.array(a), np.array(b)


def _rising_root(function: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Where a function that rises through zero between `low` and `high` is zero; an end where it is not."""
    left, right = low.copy(), high.copy()
    for _ in range(HALVINGS):
        middle = 0.5 * (left + right)
        below = function(middle) < 0
        left, right = np.where(below, middle, left), np.where(below, right, middle)
    return 0.5 * (left + right)
