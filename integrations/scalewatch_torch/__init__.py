"""What every loop in PyTorch needs to be watched, whoever writes it: by hand, Fabric, accelerate, Lightning.

    with Watcher(model, optimizer, scheduler, total_steps=STEPS) as watcher:
        for batch in batches:
            loss = loss_of(model, batch)
            loss.backward()
            optimizer.step()
            scheduler.step()
            watcher.step(loss)    # never waits for the device

`examples/plain_torch.py` is the whole of it, and runs. Under Lightning `scalewatch_lightning.ScaleWatch` does all of
this, and under the Trainer of transformers `scalewatch_transformers.ScaleWatch`. The parts can be had by themselves:
`reader_for` brings losses to the host, `planned_rates` runs a scheduler ahead, `Precursors` looks into the model.
"""

from __future__ import annotations

from scalewatch.acting.acts import ActLimits
from scalewatch.acting.rewinding import resume_from
from scalewatch_torch.groups import group_of
from scalewatch_torch.introspect import Sizes, count_sizes, tokens_in
from scalewatch_torch.loggers.wandb_alerts import WandbAlerts
from scalewatch_torch.lr_lookahead import Clock, LookAhead, Scheduled, planned_rates
from scalewatch_torch.optimizer import gradient_norm, why_no_gradient_norm
from scalewatch_torch.precursors import Precursors
from scalewatch_torch.scalars import ScalarReader, reader_for
from scalewatch_torch.watcher import Watcher

__all__ = [
    "ActLimits",
    "Clock",
    "LookAhead",
    "Precursors",
    "ScalarReader",
    "Scheduled",
    "Sizes",
    "WandbAlerts",
    "Watcher",
    "count_sizes",
    "gradient_norm",
    "group_of",
    "planned_rates",
    "reader_for",
    "resume_from",
    "tokens_in",
    "why_no_gradient_norm",
]
