"""Watches a training by the Trainer of transformers: `Trainer(callbacks=[ScaleWatch()])` is all there is to write."""

from __future__ import annotations

from scalewatch_transformers.callback import ScaleWatch

__all__ = ["ScaleWatch"]
