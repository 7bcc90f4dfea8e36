"""Lets a run that went back pass over the batches that it was lost at: they are drawn, and no step is spent on them.

Other batches take their place (as Chowdhery et al. 2022, PaLM, section 5.1 did it), so that the run is trained for as
many steps as was planned. To leave out the steps instead costs what they would have learned: a fifth of a run that is
sabotaged for a sixth of it (tests/benchmarks/closed_loop.py).
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["can_pass_over", "pass_over"]

#: What a fetcher of Lightning is called that leaves the drawing to `training_step`; as in Lightning 2.0 to 2.6.
_DRAWN_BY_THE_MODULE = "_DataLoaderIterDataFetcher"
#: What is drawn where there is no more.
_NO_MORE: Final = object()


def can_pass_over(trainer: Any, steps: int) -> bool:
    """Whether the batches of so many steps can be drawn without the run ending before its planned steps do.

    A run that ends with its epochs would be shorter by them, with its learning rate still up. Where the module steps
    its optimizers itself, or draws its batches, nobody knows how many batches a step has.
    """
    loop = trainer.fit_loop
    if not trainer.lightning_module.automatic_optimization or type(loop._data_fetcher).__name__ == _DRAWN_BY_THE_MODULE:
        return False
    epochs, planned = loop.max_epochs, int(trainer.max_steps)
    if epochs is None or epochs == -1:
        return True
    batches = epochs * trainer.num_training_batches
    return planned > 0 and bool(batches >= (planned + steps) * trainer.accumulate_grad_batches)


def pass_over(trainer: Any, steps: int) -> int:
    """Draw the batches of so many steps, or those that are left in the epoch; return how many these were."""
    fetcher, wanted = trainer.fit_loop._data_fetcher, steps * int(trainer.accumulate_grad_batches)
    for drawn in range(wanted):
        if next(fetcher, _NO_MORE) is _NO_MORE:
            return drawn
    return wanted
