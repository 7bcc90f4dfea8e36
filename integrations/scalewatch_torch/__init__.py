"""Looks inside a model that trains in PyTorch, at a few of its steps: what often moves before the loss does.

    precursors = Precursors(model, optimizer)
    for step, batch in enumerate(batches, start=1):
        with precursors.forward(step):
            loss = loss_of(model, batch)
        loss.backward()
        precursors.before_step()
        optimizer.step()
        monitor.observe(Observation(step, loss.item(), precursors=precursors.read(step)))

Under Lightning the callback does all of it: `ScaleWatch(precursors=Precursors())`.

Why a package of its own and no part of the callback: a loop without Lightning has the same instabilities.
"""

from __future__ import annotations

from scalewatch_torch.groups import group_of
from scalewatch_torch.precursors import Precursors

__all__ = ["Precursors", "group_of"]
