"""What a trainer's checkpoint callbacks write: which checkpoints there are, and none of weights that are lost.

Without acts nothing is touched: that one was written is learnt from `on_save_checkpoint`, and where it is from what the
checkpoint callbacks say of themselves. With acts two methods of each `ModelCheckpoint` are asked first: Lightning has
no hook that may say no, and a checkpoint of dead weights takes the place of the last good one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from scalewatch.guard import Guard
from scalewatch_torch.acting.kept import KeptCheckpoints
from scalewatch_torch.acting.weights import are_finite
from scalewatch_torch.watching.saved import end_of_kept
from scalewatch_torch.watching.session import Session
from scalewatch_torch.watching.several import Sessions

__all__ = ["TrainerCheckpoints"]

#: The methods of `ModelCheckpoint` that write, and the one that is asked whether to write after an exception; as in
#: Lightning 2.0 to 2.6.
WRITE = ("_save_topk_checkpoint", "_save_last_checkpoint")
ON_EXCEPTION = "_should_save_on_exception"


@final
class TrainerCheckpoints:
    """The checkpoints of one fit.

    Args:
        protects: whether acts were asked for: then none of lost weights is written, and the last good one is kept.
    """

    def __init__(self, *, protects: bool) -> None:
        self._protects = protects
        self._guard = Guard()
        self._session: Session | Sessions | None = None
        self._kept: KeptCheckpoints | None = None
        self._due: int | None = None
        self._told = False
        self._asked: list[tuple[Any, str]] = []

    def begin(self, trainer: Any, session: Session | Sessions, settled: int) -> None:
        """Know the checkpoint that the run goes on from; on the process that watches."""
        self._session = session
        self._kept = KeptCheckpoints(settled, keeps=self._protects, complain=session.note)
        if trainer.global_step:
            self._kept.saved(int(trainer.global_step), str(trainer.ckpt_path or ""))
            session.know_checkpoints(self._kept.known())

    def protect(self, trainer: Any, lost: Callable[[], bool]) -> None:
        """Have each checkpoint callback ask before it writes, on all processes; `lost` is the same on all of them."""
        if not self._protects:
            return
        for callback in trainer.checkpoint_callbacks:
            for name in (*WRITE, ON_EXCEPTION):
                method = getattr(callback, name, None)
                if method is not None:
                    setattr(callback, name, self._asking(method, lost, on_exception=name == ON_EXCEPTION))
                    self._asked.append((callback, name))

    def _asking(
        self, method: Callable[..., Any], lost: Callable[[], bool], *, on_exception: bool
    ) -> Callable[..., Any]:
        def ask(trainer: Any, *rest: Any) -> Any:
            # after an exception there may be no other process left to agree with
            refused = self._guard.call("checkpoints", self._refuses, trainer, lost, alone=on_exception)
            if refused:
                return False if on_exception else None
            answer = method(trainer, *rest)
            if not on_exception:
                self.look(trainer)
            return answer

        return ask

    def _refuses(self, trainer: Any, lost: Callable[[], bool], *, alone: bool) -> bool:
        refused = lost() or are_finite(trainer.lightning_module.parameters()) is False
        if trainer.world_size > 1 and not alone:
            refused = bool(trainer.strategy.reduce_boolean_decision(refused, all=False))
        if refused and not self._told and self._session is not None:
            self._told = True
            self._session.note(f"no checkpoint is written at step {trainer.global_step:,}: the weights are lost")
        return refused

    def written(self, trainer: Any) -> None:
        """A checkpoint is being written; where, its callback will know when it has been."""
        if self._kept is not None:
            self._due = int(trainer.global_step)

    def look(self, trainer: Any) -> None:
        """Find what was written since the last look."""
        step, self._due = self._due, None
        if step is not None and self._kept is not None and self._session is not None:
            self._guard.call("checkpoints", self._find, trainer, step, self._kept, self._session)

    def _find(self, trainer: Any, step: int, kept: KeptCheckpoints, session: Session | Sessions) -> None:
        before = {each.path for each in kept.known()}
        since = session.critical_since
        for path in _paths(trainer):
            if path not in before:
                kept.saved(step, path, since)
        if all(each.step != step for each in kept.known()):
            kept.saved(step, "", since)
        session.know_checkpoints(kept.known())

    def release(self) -> None:
        """Leave the callbacks of the trainer as they were."""
        for callback, name in self._asked:
            vars(callback).pop(name, None)
        self._asked.clear()

    def end(self) -> None:
        """Leave no second name that nobody needs."""
        kept, session = self._kept, self._session
        self._kept = self._session = None
        if kept is not None and session is not None:
            self._guard.call("checkpoints", end_of_kept, kept, session)


def _paths(trainer: Any) -> list[str]:
    """What the checkpoint callbacks say that they have written."""
    found: dict[str, None] = {}
    for callback in trainer.checkpoint_callbacks:
        names = (getattr(callback, "best_model_path", ""), *getattr(callback, "best_k_models", ()))
        for path in (*names, getattr(callback, "last_model_path", "")):
            if path:
                found[str(path)] = None
    return list(found)
