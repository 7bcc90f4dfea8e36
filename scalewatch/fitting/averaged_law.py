"""The average of several fitted laws, as a law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError, LawFileError
from scalewatch.fitting.points import FittedLaw
from scalewatch.laws.law import Law, Publication, Quantity
from scalewatch.strict_json import numbers

__all__ = ["AveragedLaw"]

#: Laws that an average may have; there are fewer families. By hand.
MOST_LAWS = 20


@final
@dataclass(frozen=True, slots=True, eq=False)
class AveragedLaw(Law):
    """The mean of ln(loss) of some fitted laws, by weight.

    Attributes:
        laws: of one kind of size. weights: of each, 0 or more; together 1.

    Raises:
        ConfigError: if there is no law, or weights do not sum to 1.
    """

    KIND: ClassVar = "averaged_law"
    SOURCE: ClassVar = Publication("Bates and Granger", 1969, "Operational Research Quarterly 20", "equation 1")
    RANGES: ClassVar = {}
    MORE: ClassVar = ("laws", "weights")
    INVERSE: ClassVar = ("parameters", "tokens")

    laws: tuple[FittedLaw, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.laws or len(self.laws) != len(self.weights) or min(self.weights) < 0:
            raise ConfigError("An average takes one law or more, each with a weight of 0 or more.")
        if abs(sum(self.weights) - 1.0) > 1e-6 or len({law.kind for law in self.laws}) > 1:
            raise ConfigError("The weights of an average must sum to 1, and its laws count one kind of parameters.")

    @classmethod
    def example(cls) -> AveragedLaw:
        """Return an average of one law."""
        return cls((FittedLaw.example(),), (1.0,))

    @property
    def inputs(self) -> tuple[Quantity, ...]:
        """Size and tokens, as of its laws."""
        return self.laws[0].inputs

    def predict(self, inputs: Mapping[str, ArrayLike]) -> Floats:
        """Return the loss [nats/token] at `parameters` and `tokens`."""
        logs = [w * np.log(law.predict(inputs)) for law, w in zip(self.laws, self.weights, strict=True)]
        return np.asarray(np.exp(np.sum(logs, axis=0)))[()]

    def more_json(self) -> dict[str, Any]:
        """Return the laws and their weights."""
        return {"laws": [law.to_json() for law in self.laws], "weights": list(self.weights)}

    @classmethod
    def read_more(cls, record: dict[str, Any], source: Path) -> dict[str, Any]:
        """Return the laws and their weights."""
        given = record["laws"]
        if not isinstance(given, list) or len(given) > MOST_LAWS or not all(isinstance(law, dict) for law in given):
            raise LawFileError(f"{source}: `laws` must be a list of at most {MOST_LAWS} laws.")
        weights = numbers(source, "weights", record["weights"], len(given), 0.0, 1.0)
        return {"laws": tuple(FittedLaw.from_json(law, source) for law in given), "weights": tuple(weights)}
