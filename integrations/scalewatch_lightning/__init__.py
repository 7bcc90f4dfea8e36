"""Watches a PyTorch Lightning run: `pl.Trainer(callbacks=[ScaleWatch()])` is all there is to write."""

from __future__ import annotations

from scalewatch_lightning.callback import ScaleWatch

__all__ = ["ScaleWatch"]
