"""The law of transfer: how many fine-tuning characters a pre-training is worth.

    D_T = k D_F^alpha N^beta,    D_E = D_F + D_T

D_F is what is fine-tuned on and D_T what a model of the same size, trained from nothing, would have needed on
top of it to reach the same loss. alpha is small where the two texts are close, beta is of the architecture.

Why characters: the paper counts them, because pre-training and fine-tuning text are tokenized differently
well. A law of tokens is fed with `characters / characters_per_token` of the fine-tuning text.

Source: Hernandez, Kaplan, Henighan, McCandlish (2021), arXiv 2102.01293, equations 1.1 and 1.2, table 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError
from scalewatch.laws.law import Law, Publication, Quantity, asked
from scalewatch.laws.size import Parameters, SizeKind, count_for, non_embedding, positive

__all__ = ["Transfer"]

#: Fine-tuning sets of Hernandez et al. 2021 [characters]: figure 2 spans three orders of magnitude from about 1e5; all
#: of its Python is 2.2e10.
LEAST_CHARACTERS, MOST_CHARACTERS = 1e5, 2.2e10
#: Sizes of Hernandez et al. 2021 [non-embedding parameters]: four orders of magnitude, not listed (figure 2); about
#: these.
LEAST_SIZE, MOST_SIZE = 1e5, 1e9
#: Multiplier below which the fine-tuning set is no longer small beside what it stands for; the fit breaks down there
#: (Hernandez et al. 2021, appendix D), and small models end worse than from nothing (section 3.1, ossification).
#: By hand.
LEAST_MULTIPLIER = 2.0


@final
@dataclass(frozen=True, slots=True)
class Transfer(Law):
    """Effective data of a fine-tuned model.

    Attributes:
        scale: k, characters^(1 - alpha).
        data_exponent: alpha, dimensionless, in (0, 1); how far apart the two texts are.
        size_exponent: beta, dimensionless, positive.

    Raises:
        ConfigError: if a constant is not positive and finite, or alpha is not below 1.

    >>> from scalewatch.laws.size import non_embedding
    >>> law = Transfer.text_to_python()
    >>> f"{law.multiplier(3e5, non_embedding(4e7)):.0f}"
    '476'
    """

    KIND: ClassVar = "transfer"
    SOURCE: ClassVar = Publication("Hernandez et al.", 2021, "arXiv 2102.01293", "equations 1.1 and 1.2")
    RANGES: ClassVar = {"scale": (1e-30, 1e30), "data_exponent": (1e-4, 1.0), "size_exponent": (1e-4, 10.0)}
    INVERSE: ClassVar = ("characters", "parameters")

    scale: float
    data_exponent: float
    size_exponent: float

    def __post_init__(self) -> None:
        for name in ("scale", "data_exponent", "size_exponent"):
            positive(name, getattr(self, name), "of D_T = k D_F^alpha N^beta")
        if self.data_exponent >= 1:
            raise ConfigError(
                f"`data_exponent` must be below 1 (got {self.data_exponent:g}): from 1 on, a fine-tuning set "
                "would be worth more the larger it is."
            )

    @classmethod
    def text_to_python(cls) -> Transfer:
        """Return the law of English text to Python, as published (table 1, first row)."""
        return cls(scale=1.9e4, data_exponent=0.18, size_exponent=0.38)

    @classmethod
    def text_and_code_to_python(cls) -> Transfer:
        """Return the law of half text, half other code to Python, as published (table 1, second row)."""
        return cls(scale=2.1e5, data_exponent=0.096, size_exponent=0.38)

    @classmethod
    def example(cls) -> Transfer:
        """Return the published law of English text to Python."""
        return cls.text_to_python()

    @property
    def inputs(self) -> tuple[Quantity, ...]:
        """Fine-tuning text and size."""
        size = Quantity("parameters", "non-embedding parameters", LEAST_SIZE, MOST_SIZE)
        return Quantity("characters", "characters of fine-tuning text", LEAST_CHARACTERS, MOST_CHARACTERS), size

    @property
    def output(self) -> Quantity:
        """What the text is worth to the pre-trained model."""
        return Quantity("effective_characters", "characters for a model trained from nothing")

    def predict(self, inputs: Mapping[str, ArrayLike]) -> Floats:
        """Return D_E [characters] at `characters` and `parameters`."""
        characters, count = asked(inputs, "characters", "parameters")
        return self.effective(characters, non_embedding(count))

    def transferred(self, characters: ArrayLike, size: Parameters) -> Floats:
        """Return D_T [characters], what the pre-training is worth.

        Args:
            characters: D_F, fine-tuning text [characters], any shape. size: non-embedding parameters.

        Raises:
            ConfigError: if a number is not positive, or the size counts something else.
        """
        count = count_for("Transfer", size, SizeKind.NON_EMBEDDING)
        data = positive("characters", characters, "fine-tuning text, characters")
        return np.asarray(self.scale * data**self.data_exponent * count**self.size_exponent)[()]

    def effective(self, characters: ArrayLike, size: Parameters) -> Floats:
        """Return D_E = D_F + D_T [characters], to be used for D in a law of training from nothing.

        Raises:
            ConfigError: as `transferred`.
        """
        data = positive("characters", characters, "fine-tuning text, characters")
        return np.asarray(data + self.transferred(characters, size))[()]

    def multiplier(self, characters: ArrayLike, size: Parameters) -> Floats:
        """Return D_E / D_F, dimensionless: by how much the pre-training multiplies the fine-tuning text.

        Raises:
            ConfigError: as `transferred`.
        """
        data = positive("characters", characters, "fine-tuning text, characters")
        return np.asarray(self.effective(characters, size) / data)[()]

    def loss(
        self,
        characters: ArrayLike,
        size: Parameters,
        law: Callable[[Parameters, Floats], Floats],
        characters_per_token: float,
    ) -> Floats:
        """Return the fine-tuned loss [nats/token]: a law of training from nothing, read at D_E.

        Args:
            characters: D_F [characters]. size: non-embedding parameters.
            law: L(size, tokens) of a model trained from nothing on the fine-tuning text; Kaplan's L(N, D) is
                the one the paper uses (section 6.1).
            characters_per_token: of the tokenizer `law` was fitted with, on the fine-tuning text.

        Raises:
            ConfigError: as `transferred`, or if `characters_per_token` is not positive.
        """
        each = positive("characters_per_token", characters_per_token, "characters a token")
        return law(size, np.asarray(self.effective(characters, size) / each)[()])

    def range_notes(self, characters: float, size: Parameters) -> tuple[str, ...]:
        """Return a sentence for each reason not to trust the number; none means within the paper's range.

        Raises:
            ConfigError: as `transferred`.
        """
        notes = []
        multiplier = float(self.multiplier(characters, size))
        if multiplier < LEAST_MULTIPLIER:
            notes.append(
                f"Pre-training is worth only {multiplier - 1:.2g}x the fine-tuning text: outside the low-data regime "
                "the law breaks down, and a small pre-trained model may end worse than one from nothing; train one."
            )
        if not LEAST_CHARACTERS <= characters <= MOST_CHARACTERS:
            notes.append(
                f"Fitted on {LEAST_CHARACTERS:.0e} to {MOST_CHARACTERS:.1e} characters (got {characters:.1e}); "
                "fine-tune on 1 % and 10 % of the text at two sizes to fit k, alpha and beta to yours."
            )
        count = float(count_for("Transfer", size, SizeKind.NON_EMBEDDING))
        if not LEAST_SIZE <= count <= MOST_SIZE:
            notes.append(
                f"Fitted on about {LEAST_SIZE:.0e} to {MOST_SIZE:.0e} non-embedding parameters (got {count:.1e})."
            )
        return tuple(notes)
