"""The one kind of array that everything here is computed in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats"]

#: Numbers in double precision, of any shape; which shape, and the unit, the place says that takes or returns them.
Floats = NDArray[np.float64]
