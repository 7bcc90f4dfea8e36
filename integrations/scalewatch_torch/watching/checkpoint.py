"""What a checkpoint holds of the watch, and how a run goes on from it."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any, final

from scalewatch.arrays import KnottedRates, Rates
from scalewatch_torch.lr_lookahead import joined, pack_rates, unpack_rates
from scalewatch_torch.watching.resumed import Resumed
from scalewatch_torch.watching.session import Session
from scalewatch_torch.watching.several import Sessions
from scalewatch_torch.watching.step_metrics import StepMetrics

__all__ = ["STATE_VERSION", "Checkpoint", "readable_state", "resumed_from", "tokens_done", "whole_schedule"]

_log = logging.getLogger("scalewatch")

#: Schema of what a watch puts into a checkpoint.
STATE_VERSION = 1


@final
class Checkpoint:
    """What a checkpoint held of us, or the end of the fit before; it is of one trainer's runs.

    Attributes:
        state: plain numbers, strings, lists and dicts; None for nothing.
    """

    def __init__(self) -> None:
        self.state: dict[str, Any] | None = None
        self._trainer_id: int | None = None
        self._packed: tuple[Rates, dict[str, Any]] | None = None

    def belong_to(self, trainer: object) -> None:
        """Forget what is of a run of another trainer."""
        if self._trainer_id not in (None, id(trainer)):
            self.state = None
        self._trainer_id = id(trainer)

    def collect(self, session: Session | Sessions, metrics: StepMetrics) -> dict[str, Any]:
        """Return what a checkpoint is to hold now."""
        return {
            "version": STATE_VERSION,
            "step": metrics.step,
            "tokens": metrics.tokens,
            "plan": self._pack(session.run.learning_rates),
            "monitor": session.state(),
            "run_id": session.run_id,
            "alerts": session.alert_state(),
            "told_ahead": session.told_ahead,
            "acts": session.act_state(),
            "others": session.others() if isinstance(session, Sessions) else {},
        }

    def _pack(self, rates: Rates | None) -> dict[str, Any] | None:
        """Return planned rates as a checkpoint holds them; packed once, for they may be millions."""
        if rates is None:
            return None
        if self._packed is None or self._packed[0] is not rates:
            self._packed = rates, pack_rates(rates)
        return self._packed[1]


def readable_state(state: object) -> dict[str, Any] | None:
    """Return the state from a checkpoint, None (and one warning) if this version cannot read it."""
    if isinstance(state, Mapping) and state.get("version") == STATE_VERSION:
        fields = {name: state.get(name) for name in ("step", "tokens", "plan", "monitor", "run_id", "alerts")}
        actions = state.get("told_ahead")
        fields["told_ahead"] = [word for word in actions if isinstance(word, str)] if isinstance(actions, list) else []
        fields["acts"] = state.get("acts") or {}
        fields["others"] = _readable_others(state.get("others"))
        step, tokens = fields["step"], fields["tokens"]
        if (
            isinstance(step, int)
            and not isinstance(step, bool)
            and step >= 0
            and (tokens is None or _is_number(tokens))
            and isinstance(fields["monitor"], Mapping)
            and isinstance(fields["run_id"], str | None)
        ):
            return {"version": STATE_VERSION, **fields}
    _log.warning("scalewatch: what the checkpoint holds for it cannot be read by this version: watching starts afresh.")
    return None


def _readable_others(states: object) -> dict[str, dict[str, Any]]:
    """What a checkpoint holds of the second loss and on."""
    found = {}
    for name, state in states.items() if isinstance(states, Mapping) else ():
        if isinstance(state, Mapping) and isinstance(state.get("monitor"), Mapping):
            told = state.get("told_ahead")
            kept = {key: state.get(key) for key in ("monitor", "run_id", "alerts")}
            found[str(name)] = {**kept, "told_ahead": told if isinstance(told, list) else []}
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def resumed_from(step: int, state: Mapping[str, Any] | None) -> Resumed | None:
    """Where a run goes on after `step` steps, None if it begins; `state` is as `readable_state` returned it."""
    if step == 0:
        return None
    if state is None:
        return Resumed(step, None, None)
    return Resumed(step, state["monitor"], state["run_id"], state["alerts"], state["told_ahead"])


def tokens_done(step: int, state: Mapping[str, Any] | None, tokens_per_step: float | None) -> float | None:
    """Tokens that were consumed up to `step`, None if they cannot be counted."""
    if tokens_per_step is None:
        return None
    if state is not None and state["step"] == step and state["tokens"] is not None:
        return float(state["tokens"])
    return tokens_per_step * step


def whole_schedule(ahead: Rates, step: int, state: Mapping[str, Any] | None) -> Rates | None:
    """Planned rates of all steps of a run, shape (steps,), from those after `step`; None if none is above 0."""
    schedule = ahead
    if step:
        # without a checkpoint of ours nobody knows the past: taken as constant at the rate of now
        known = unpack_rates(state and state["plan"], step)
        schedule = joined(KnottedRates([1, step], [ahead[0]] * 2)[:step] if known is None else known, ahead)
    return schedule if schedule.max() > 0 else None
