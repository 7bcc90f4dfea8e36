"""What every loop in PyTorch needs to be watched, whoever writes it: by hand, Fabric, accelerate, Lightning.

    run = Run("mine", STEPS, learning_rates=planned_rates(optimizer, [Scheduled(scheduler)], STEPS).rates)
    monitor, reader, precursors = Monitor(run), reader_for(device), Precursors(model, optimizer)
    for step, batch in enumerate(batches, start=1):
        with precursors.forward(step):
            loss = loss_of(model, batch)
        loss.backward()
        precursors.before_step()
        reader.set_norm(gradient_norm(optimizer))
        optimizer.step()
        reader.add_loss(loss)
        reader.close_step(step, scheduler.get_last_lr()[0])
        scheduler.step()
        for observation in reader.take():    # steps whose losses have arrived; never waits
            monitor.observe(observation._replace(precursors=precursors.read(observation.step)))

`reader.flush(seconds)` gives the rest at the end. `examples/plain_torch.py` is the whole of it, and runs. Under
Lightning the callback does all of this: `ScaleWatch(precursors=Precursors())`.
"""

from __future__ import annotations

from scalewatch_torch.groups import group_of
from scalewatch_torch.introspect import Sizes, count_sizes, tokens_in
from scalewatch_torch.lr_lookahead import Clock, LookAhead, Scheduled, planned_rates
from scalewatch_torch.optimizer import gradient_norm, why_no_gradient_norm
from scalewatch_torch.precursors import Precursors
from scalewatch_torch.scalars import ScalarReader, reader_for

__all__ = [
    "Clock",
    "LookAhead",
    "Precursors",
    "ScalarReader",
    "Scheduled",
    "Sizes",
    "count_sizes",
    "gradient_norm",
    "group_of",
    "planned_rates",
    "reader_for",
    "tokens_in",
    "why_no_gradient_norm",
]
