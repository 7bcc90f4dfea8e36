"""The run that a ladder is for, as it is typed."""

from __future__ import annotations

from scalewatch.errors import ConfigError
from scalewatch.figures.ladder import Goal
from scalewatch.offline.tables import count_of

__all__ = ["goal_of"]

#: Losses that an outcome can be [nats/token].
LEAST_OUTCOME, MOST_OUTCOME = 1e-3, 100.0


def goal_of(target: str | None, outcome: float | None) -> Goal | None:
    """Return the run of `--target`, "7B" or "7B:140B" (parameters, tokens), and `--outcome` [nats/token].

    Raises:
        ConfigError: if one of them is no such number, or there is an outcome of no target.
    """
    if target is None:
        if outcome is not None:
            raise ConfigError("`--outcome` must come with `--target`, the run it is of, such as 7B:140B.")
        return None
    if outcome is not None and not LEAST_OUTCOME <= outcome <= MOST_OUTCOME:
        raise ConfigError(
            f"`--outcome` must be a loss of {LEAST_OUTCOME:g} to {MOST_OUTCOME:g} nats/token (got {outcome:g})."
        )
    size, colon, tokens = target.partition(":")
    return Goal(count_of("--target", size), count_of("--target", tokens) if colon else None, outcome)
