"""What every law is: a formula with constants, inputs with units and a range, a source, and a form in a file.

Two laws can be compared, kept and used by one program only where they can be asked in one way: `predict` takes inputs
by name, as columns of a table are named. Beside it each law has methods of its own, with its paper's words.

No laws in this sense, though they live here: the optimum for a model that is served (`scalewatch.laws.inference`) is
a minimum over Chinchilla's law; collapse and emergence compare curves with each other and predict no loss; advice on
batch and learning rate has bands instead of a formula.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, final

from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError, LawFileError
from scalewatch.strict_json import check_fields, fields_within

__all__ = ["Law", "Publication", "Quantity", "ScheduleLaw"]

#: Version of what stands in a law file. By definition.
SCHEMA = 1
#: Halvings of an inverse: the bracket is then narrower than a float can tell. By hand.
HALVINGS = 200


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Publication:
    """Where a law is from.

    Attributes:
        authors: "Hoffmann et al.". year: of it. where: number of the preprint, or the journal. equation: which in it.
    """

    authors: str
    year: int
    where: str
    equation: str

    def __str__(self) -> str:
        """Return the publication as it is cited."""
        return f"{self.authors} ({self.year}), {self.where}, {self.equation}"


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Quantity:
    """An input or the output of a law.

    Attributes:
        name: as the column of a table is named. unit: in words. least, most: range in which the law was fitted or
            checked; 0 and inf where it is not known.
    """

    name: str
    unit: str
    least: float = 0.0
    most: float = math.inf


class Law(ABC):
    """A formula with its constants, that is asked by the names of its inputs.

    Attributes:
        KIND: word for it in a file. SOURCE: where it is from.
        RANGES: constant -> least and most that a file may give it.
        MORE: further fields of a file, which are no numbers.
        INVERSE: inputs for which the law can be solved: it falls or rises in each of them.
    """

    __slots__ = ()

    KIND: ClassVar[str]
    SOURCE: ClassVar[Publication]
    RANGES: ClassVar[dict[str, tuple[float, float]]]
    MORE: ClassVar[tuple[str, ...]] = ()
    INVERSE: ClassVar[tuple[str, ...]] = ()

    @classmethod
    @abstractmethod
    def example(cls) -> Law:
        """Return one such law, with published constants where there are any."""

    @property
    @abstractmethod
    def inputs(self) -> tuple[Quantity, ...]:
        """What `predict` takes, each with its unit and the range in which it was fitted or checked."""

    @property
    def output(self) -> Quantity:
        """What `predict` returns."""
        return Quantity("loss", "nats/token")

    @abstractmethod
    def predict(self, inputs: Mapping[str, ArrayLike]) -> Floats:
        """Return the output at `inputs`: name -> value or array; all broadcast.

        Raises:
            ConfigError: if an input is missing or out of its range.
        """

    def invert(self, name: str, output: float, inputs: Mapping[str, ArrayLike]) -> float:
        """Return the value of the input `name` at which the law gives `output`, the others being as in `inputs`.

        Raises:
            ConfigError: if the law cannot be solved for this input, or does not reach the output from 1e-9 to 1e30.
        """
        if name not in self.INVERSE:
            known = ", ".join(self.INVERSE) or "none of its inputs"
            raise ConfigError(f"This law can be solved for {known} (asked for {name!r:.40}).")

        def above(log_value: float) -> float:
            return float(self.predict({**inputs, name: math.exp(log_value)})) - output

        low, high = math.log(max(1.0 if name == "parameters" else 1e-9, 1e-9)), math.log(1e30)
        first, last = above(low), above(high)
        if not first * last <= 0:
            raise ConfigError(f"No `{name}` gives {self.output.name} {output:g}: the law does not reach it.")
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            if above(middle) * first > 0:
                low = middle
            else:
                high = middle
        return math.exp(0.5 * (low + high))

    @property
    def publication(self) -> Publication:
        """Where it is from: `SOURCE`, unless its constants are of one of several families."""
        return self.SOURCE

    @property
    def numbers(self) -> dict[str, float]:
        """The constants of `RANGES`, by their names."""
        return {name: getattr(self, name) for name in self.RANGES}

    def to_json(self) -> dict[str, Any]:
        """Return the law as plain numbers, words and lists, for a file."""
        return {"schema": SCHEMA, "kind": self.KIND, **self.numbers, **self.more_json()}

    def more_json(self) -> dict[str, Any]:
        """Return the fields of `MORE`, as plain values."""
        return {}

    @classmethod
    def from_json(cls, record: dict[str, Any], source: Path) -> Self:
        """Return the law that `to_json` described.

        Args:
            record: with all of its fields. source: where it stands, for the message.

        Raises:
            LawFileError: if it is no such law; the message names source, field and reason.
        """
        check_fields(source, record, cls.KIND, SCHEMA, {"schema", "kind", *cls.RANGES, *cls.MORE})
        fields = {**fields_within(source, record, cls.RANGES), **cls.read_more(record, source)}
        try:
            return cls.of_fields(fields)
        except ConfigError as fault:
            raise LawFileError(f"{source}: {fault}") from None

    @classmethod
    def of_fields(cls, fields: dict[str, Any]) -> Self:
        """Return the law of the fields of a file, each read already.

        Raises:
            ConfigError: if together they are none.
        """
        return cls(**fields)

    @classmethod
    def read_more(cls, record: dict[str, Any], source: Path) -> dict[str, Any]:
        """Return the arguments that the fields of `MORE` stand for.

        Raises:
            LawFileError: if one is not what it has to be.
        """
        return {}


class ScheduleLaw(Law):
    """A law of whole curves: the loss after any step of a run whose learning rates are planned."""

    __slots__ = ()

    @abstractmethod
    def losses(self, learning_rates: ArrayLike, steps: ArrayLike) -> Floats:
        """Return the loss [nats/token] after `steps`, shape (n,), of a plan of `learning_rates`, shape (T,)."""

    @property
    def inputs(self) -> tuple[Quantity, ...]:
        """The planned rates, one for each step, and the steps at which the loss is asked for."""
        return Quantity("learning_rate", "planned rate of steps 1..T"), Quantity("step", "steps completed", 1.0)

    def predict(self, inputs: Mapping[str, ArrayLike]) -> Floats:
        """Return the loss [nats/token] after each `step`, shape (n,), of a plan with `learning_rate`, shape (T,)."""
        rates, steps = asked(inputs, "learning_rate", "step")
        return self.losses(rates, steps)


def asked(inputs: Mapping[str, ArrayLike], *names: str) -> list[ArrayLike]:
    """Return the inputs of these names.

    Raises:
        ConfigError: if one is missing; the message says which a law takes.
    """
    missing = [name for name in names if name not in inputs]
    if missing:
        raise ConfigError(f"This law takes {', '.join(names)}: {', '.join(missing)} missing.")
    return [inputs[name] for name in names]
