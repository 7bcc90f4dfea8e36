"""Where one fit is watched from."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from scalewatch_torch.introspect import Sizes

__all__ = ["Place"]


class Place(NamedTuple):
    """What is known before the first batch: the folder of the journal, None for none, and the sizes of the model."""

    folder: Path | None = None
    sizes: Sizes = Sizes(None, None)
