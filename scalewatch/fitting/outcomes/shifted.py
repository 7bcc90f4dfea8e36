"""One law for runs with labels (data sets, recipes): a shift and a stretch for each label, the shape shared."""

from __future__ import annotations

from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.fitting.outcomes.axes import GROUP, Axes, Points
from scalewatch.fitting.outcomes.shape import Expected, Shape, Values

__all__ = ["Shifted"]

#: Shift of a label in spreads of all losses, and ln of its stretch. By hand.
SHIFT, STRETCH = Expected(0.0, 0.7), Expected(0.0, 0.4)


@final
class Shifted(Shape):
    """loss = least + shift + stretch (law - least) with a shift and a stretch for each label.

    Args:
        shape: the law that all share.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.name, self.source = shape.name, shape.source

    def suits(self, axes: Axes) -> bool:
        """Return whether there are labels, and the law suits."""
        return len(axes.groups) > 1 and self.shape.suits(axes)

    def expected(self, axes: Axes) -> dict[str, Expected]:
        """Return the law's parameters, and two for each label."""
        own = [(f"shift {label}", SHIFT) for label in axes.groups] + [(f"stretch {g}", STRETCH) for g in axes.groups]
        return {**self.shape.expected(axes), **dict(own)}

    def loss(self, values: Values, points: Points, axes: Axes) -> Floats:
        """Return the law, shifted and stretched; a label that is not known has neither."""
        law = self.shape.loss(values, points, axes)
        place = points[GROUP]
        shift, stretch = np.zeros_like(law), np.ones_like(law)
        for i, label in enumerate(axes.groups):
            here = place == i
            shift = np.where(here, values[f"shift {label}"] * axes.spread, shift)
            stretch = np.where(here, np.exp(values[f"stretch {label}"]), stretch)
        return np.asarray(axes.least + shift + stretch * (law - axes.least))
