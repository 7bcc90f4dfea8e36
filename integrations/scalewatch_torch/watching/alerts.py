"""What the callback's option `alerts` may be, and the alerts of one fit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scalewatch.alert import Dispatcher, Receiver, Rules, load_rules, make_receivers
from scalewatch.errors import ConfigError
from scalewatch.finding import Severity
from scalewatch.run import Run
from scalewatch.status import State, Status

__all__ = ["checked_alerts", "end_of", "new_dispatcher"]


def checked_alerts(alerts: Any) -> Rules | None:
    """Return the rules that `alerts` stands for, None for no alerts; every receiver is made once, to see that it can.

    Of a receiver that goes by its name the name is kept: it holds secrets, and a callback may be pickled.

    Raises:
        ConfigError: if it is neither receivers, names of them, the path of a rules file nor rules, or a secret is
            not set.
    """
    if isinstance(alerts, Rules):
        rules = alerts
    elif isinstance(alerts, os.PathLike) or (isinstance(alerts, str) and alerts.endswith(".toml")):
        rules = load_rules(alerts)
    elif isinstance(alerts, str | Receiver):
        rules = Rules.to(alerts)
    elif isinstance(alerts, Sequence) and not isinstance(alerts, bytes):
        if not alerts:
            return None
        try:
            rules = Rules.to(*alerts)
        except ConfigError as fault:
            raise ConfigError(f"`alerts`: {fault}") from None
    else:
        raise ConfigError(
            f'`alerts` must be a list of receivers such as ["slack"], the path of a TOML file or Rules'
            f" (got {alerts!r:.80}, {type(alerts).__name__})."
        )
    make_receivers(rules)
    return rules


def new_dispatcher(rules: Rules, run: Run, run_id: str, folder: Path | None, state: object) -> Dispatcher:
    """Return the alerts of a fit; `state` is what a checkpoint held of them."""
    return Dispatcher(run, run_id, make_receivers(rules), rules, folder=folder, state=state)


def end_of(ended: str, status: Status) -> tuple[str, Severity]:
    """Return what is told of the end of a run and how loud, from the words for how it came and how the run was."""
    headline = f"{ended}; {status.sentence}"
    if ended.startswith("crashed"):
        return headline, Severity.CRITICAL
    bad = ended.startswith("stopped by scalewatch") or status.state in (State.LOST, State.IN_TROUBLE)
    return headline, Severity.WARNING if bad else Severity.INFO
