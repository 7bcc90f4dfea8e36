"""What each detector looks at, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["LOOKS_AT"]

#: Name of a detector -> what it looks at.
LOOKS_AT: Mapping[str, str] = {
    "nonfinite": "A loss that is NaN or infinite.",
    "nonfinite gradient": "A gradient norm that is NaN or infinite while the loss is still a number.",
    "spike": "A loss far above its own level: one row is a bad batch, several are a spike.",
    "divergence": "A loss that rises and does not come back.",
    "gradient norm": "A gradient norm far above its own level.",
    "precursor": "Measurements inside the model (attention entropy, activation and logit sizes) that run away.",
    "validation": "A validation loss that parts from the training loss.",
    "plateau": "A loss that no longer falls where its own curve says that it should.",
    "level shift": "A loss that moves to another level and stays there.",
    "too good": "A loss that falls faster than training explains: leaked or repeated data, a broken loss.",
    "noise": "Scatter of the loss from row to row that grows.",
    "gradient drift": "A gradient norm that grows slowly over a long time.",
    "throughput": "Steps that take longer than they did.",
}
