"""Several losses of one run, such as the two of a game: a monitor and a journal for each, one verdict over them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, final

from scalewatch.acting.acts import Act, ActPhase, Acts, Decision
from scalewatch.checkpoints import SavedCheckpoint
from scalewatch.observation import Observation
from scalewatch.run import Run
from scalewatch_torch.acting.feed import ActFeed
from scalewatch_torch.watching.session import Session
from scalewatch_torch.watching.terminal import Terminal

__all__ = ["Sessions", "folder_of", "let_go_on_fault"]

#: What a folder's name may not hold on some system.
_NO_FOLDER = re.compile(r"[^A-Za-z0-9._-]+")


def folder_of(loss: str) -> str:
    """Return the name of the folder in which the journal of a loss is.

    >>> folder_of("train/g_loss"), folder_of("../x"), folder_of("?")
    ('train_g_loss', 'x', 'loss')
    """
    return _NO_FOLDER.sub("_", loss).strip("._")[:100] or "loss"


@contextmanager
def let_go_on_fault() -> Iterator[list[Session | Sessions]]:
    """Where the block raises there is no watch that would close the session put into the list: its threads end here."""
    made: list[Session | Sessions] = []
    try:
        yield made
    except BaseException:
        for session in made:
            session.release()
        raise


@final
class Sessions:
    """Watches each loss of a run by itself, and tells of all of them in one table.

    Args:
        sessions: by the name of the loss, in the order in which observations number them; their terminals hold the
            table back. terminal: where the one table is printed. name: of the run.
    """

    def __init__(self, sessions: Mapping[str, Session], terminal: Terminal, name: str) -> None:
        self._by_name = dict(sessions)
        self._all = list(self._by_name.values())
        self._terminal = terminal
        self._name = name

    @property
    def run(self) -> Run:
        """What is trained, as the first loss knows it."""
        return self._all[0].run

    @property
    def run_id(self) -> str:
        """What the journal of the first loss is filed under."""
        return self._all[0].run_id

    @property
    def observed(self) -> int:
        """Steps that were taken in of each of them, count."""
        return min(session.observed for session in self._all)

    @property
    def told_ahead(self) -> list[str]:
        """What the forecast of the first loss advised so far, an action each."""
        return self._all[0].told_ahead

    def begin(self) -> None:
        """Begin with each."""
        for session in self._all:
            session.begin()

    def learn_logged(self, names: Iterable[str]) -> None:
        """Take note of what the module logs: it tells what kind of loss it is."""
        names = list(names)
        for session in self._all:
            session.learn_logged(names)

    def observe(self, observation: Observation, series: int = 0) -> None:
        """Take in one step of the loss of this number."""
        self._all[series].observe(observation)

    @property
    def critical_since(self) -> int | None:
        """Step at which the oldest incident of any loss began that is critical now; None while none is."""
        lost = [each.critical_since for each in self._all]
        return min((since for since in lost if since is not None), default=None)

    def know_checkpoints(self, checkpoints: Sequence[SavedCheckpoint]) -> None:
        """Take note of all checkpoints that are there: the advice names the last good one."""
        for session in self._all:
            session.know_checkpoints(checkpoints)

    @property
    def acting(self) -> ActFeed | None:
        """What decides for the first loss, for which anything but a stop is decided."""
        return self._all[0].acting

    def act(
        self,
        acts: Acts,
        weights_finite: Callable[[], bool | None],
        taken: Callable[[int], bool | None] | None,
        kept: Mapping[str, Any] | None = None,
    ) -> None:
        """Have what was asked for decided from now on: of the first loss all of it, of the others whether to stop."""
        for number, session in enumerate(self._all):
            session.act(acts if number == 0 else acts.only(Act.STOP), weights_finite, taken, kept)

    def decide(self) -> Decision | None:
        """Return what is to be done to the run now, by any of its losses."""
        for name, session in self._by_name.items():
            decision = session.decide()
            if decision is not None:
                return replace(decision, reason=f"{name}: {decision.reason}")
        return None

    def keep_act(self, decision: Decision, phase: ActPhase, text: str) -> None:
        """Keep what became of an act, with the first."""
        self._all[0].keep_act(decision, phase, text)

    def act_state(self) -> dict[str, Any]:
        """Return what was done to the run so far, as plain numbers."""
        return self._all[0].act_state()

    def tell_act(self, decision: Decision, phase: ActPhase, text: str) -> None:
        """Tell what is done to the run, or would be."""
        self._all[0].tell_act(decision, phase, text)

    def write_validation(self, step: int, loss: float) -> None:
        """Keep a validation loss that no observation carries, with the first."""
        self._all[0].write_validation(step, loss)

    def write_validations(self, step: int, losses: Mapping[str, float]) -> None:
        """Keep what a validation loss is the mean of, with the first."""
        self._all[0].write_validations(step, losses)

    def note(self, text: str) -> None:
        """Print a line that is no finding, and keep it with the first."""
        self._all[0].note(text)

    def state(self) -> dict[str, Any]:
        """Return the state of the first monitor, as plain numbers, strings, lists and dicts."""
        return self._all[0].state()

    def alert_state(self) -> dict[str, Any] | None:
        """Return what was told of the first to whom."""
        return self._all[0].alert_state()

    def others(self) -> dict[str, dict[str, Any]]:
        """Return the same of all but the first, by the names of their losses."""
        return {
            name: {
                "monitor": session.state(),
                "run_id": session.run_id,
                "alerts": session.alert_state(),
                "told_ahead": session.told_ahead,
            }
            for name, session in list(self._by_name.items())[1:]
        }

    def release(self) -> None:
        """See that the threads of each end."""
        for session in self._all:
            session.release()

    def close(self, step: int, ended: str, extra: list[tuple[str, str]]) -> None:
        """End each watch, and tell of all of them in one table: the worst of them is the health of the run."""
        tables = {name: session.close(step, ended, []) for name, session in self._by_name.items()}
        worst = max(self._by_name, key=lambda name: self._by_name[name].status.state.rank)
        said = dict(tables[worst])
        rows = [("run", self._name), ("health", f"{worst}: {said['health']}" if "health" in said else "unknown")]
        labels = dict.fromkeys(label for table in tables.values() for label, _ in table)
        for label in labels:
            texts = {name: text for name, table in tables.items() for row, text in table if row == label}
            if label == "run":
                continue
            if len(texts) == len(tables) and len(set(texts.values())) == 1:
                if label != "health":
                    rows.append((label, next(iter(texts.values()))))
                continue
            rows += [(f"{name}: {label}", text) for name, text in texts.items()]
        self._terminal.verdict([*rows, *extra])
