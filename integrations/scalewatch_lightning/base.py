"""The class that the callback derives from: `Callback` of each Lightning that is installed.

`pytorch_lightning` and `lightning.pytorch` are the same code twice, with two `Callback` classes. A trainer of
either takes a callback of the other, but each `LightningCLI` accepts only a subclass of its own. So the
callback is a subclass of both wherever both are installed.

Why not the one that is in `sys.modules`: then the order of two import lines would decide whether a
command line works. The second flavour shares all its dependencies with the first and costs 0.1 s more
(measured, 2.4 s for the first one).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["FLAVOURS", "LightningCallback"]

#: The import names of Lightning, in the order in which their `Callback`s are derived from.
FLAVOURS = ("pytorch_lightning", "lightning.pytorch")


def find_bases(flavours: tuple[str, ...] = FLAVOURS) -> tuple[type[Any], ...]:
    """Return `Callback` of each of `flavours` that can be imported.

    Raises:
        ImportError: if there is none, naming what to install.
    """
    bases: list[type[Any]] = []
    reasons: list[str] = []
    for flavour in flavours:
        try:
            bases.append(importlib.import_module(flavour).Callback)
        except ImportError as missing:
            reasons.append(str(missing))
    if not bases:
        raise ImportError(
            "scalewatch_lightning needs PyTorch Lightning, and none can be imported"
            f" ({'; '.join(reasons)}): pip install 'scalewatch[lightning]'."
        )
    return tuple(bases)


if TYPE_CHECKING:
    from pytorch_lightning import Callback as LightningCallback
else:
    LightningCallback = type("LightningCallback", find_bases(), {"__module__": __name__})
