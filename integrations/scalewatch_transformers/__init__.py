"""Watches a training by the Trainer of transformers: `Trainer(callbacks=[ScaleWatch()])` is all there is to write."""

from __future__ import annotations

from scalewatch.acting.rewinding import resume_from
from scalewatch_transformers.callback import ScaleWatch

__all__ = ["ScaleWatch", "resume_from"]
