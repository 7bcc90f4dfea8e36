"""The callback in hands that would never call it says so, before a step is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from lightning.fabric import Fabric

from scalewatch.errors import ConfigError
from scalewatch_lightning import ScaleWatch


def test_fabric_is_told_what_to_use_instead() -> None:
    """At `setup`, the first moment at which Fabric calls a callback."""
    fabric: Any = Fabric(accelerator="cpu", devices=1, callbacks=[ScaleWatch()])
    model = torch.nn.Linear(2, 1)

    with pytest.raises(ConfigError, match=r"scalewatch_torch\.Watcher"):
        fabric.setup(model, torch.optim.SGD(model.parameters(), 0.1))


def test_the_trainer_of_transformers_is_told_what_to_use_instead(tmp_path: Path) -> None:
    """When it is made."""
    arguments = transformers.TrainingArguments(output_dir=str(tmp_path), report_to="none")

    with pytest.raises(ConfigError, match=r"scalewatch_transformers\.ScaleWatch"):
        transformers.Trainer(model=torch.nn.Linear(2, 1), args=arguments, callbacks=[ScaleWatch()])
