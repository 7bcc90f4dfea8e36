"""One row for each kind of finding: everything that depends on the kind and is no number of a detector.

A kind that is added has its row here and nowhere else. One that is not here, from somebody's own detector or an older
journal, is called by its own word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import final

from scalewatch.advice import Action
from scalewatch.finding import Kind

__all__ = [
    "HOLD_THE_LOSS",
    "KINDS",
    "STANDS_STILL",
    "EventKind",
    "KindRow",
    "Remedy",
    "kind_name",
    "kind_row",
    "not_measured",
]


@final
class EventKind(StrEnum):
    """What is told of a run although no detector found it in the rows."""

    STALLED = "stalled"
    GONE = "gone"
    TARGET = "target"
    ADVICE = "advice"
    ACT = "act"


@final
@dataclass(frozen=True, slots=True)
class Remedy:
    """What to look at while the run goes on.

    Attributes:
        action: what to do. what: at what, and for what. would_change: what would speak
            against it, the rest of "Ignore this if ...".
    """

    action: Action
    what: str
    would_change: str


@final
@dataclass(frozen=True, slots=True)
class KindRow:
    """What depends on the kind of a finding.

    Attributes:
        kind: its word in code, journals and JSON.
        name: what people call it, in "... since step 7", "3 x ..." and "... is over".
        firing: what a message says of it while it goes on.
        looks_at: what is looked at, a sentence.
        needs: the field of an observation without which it cannot be found; empty for what no row holds.
        joined: how its step is joined to it: "since", or "at" for what is over when it is found, or "after".
        inhibits: kinds that follow from it, so that nobody is told of them while it goes on (Alertmanager's word).
        holds_the_loss: whether the rows of such an incident are no part of the curve of the loss.
        has_cause: whether a cause is looked for.
        strain: what it says is rising, of a run whose learning rate may be too high; "" if that is no sign of it.
        remedy: what to look at while the run goes on, None if that is no matter of the setup.
    """

    kind: str
    name: str
    firing: str
    looks_at: str
    needs: str = "loss"
    joined: str = "since"
    inhibits: frozenset[str] = frozenset()
    holds_the_loss: bool = False
    has_cause: bool = False
    strain: str = ""
    remedy: Remedy | None = None

    @property
    def at_once(self) -> bool:
        """Whether it is over when it is found: no finding closes it, and nothing calls it resolved."""
        return self.joined == "at"

    @property
    def inputs(self) -> str:
        """The field of an observation that it needs, in words."""
        return self.needs.replace("_", " ").replace("grad ", "gradient ")


#: What a loss that is no number, or runs away, brings with it.
_FOLLOWS = frozenset[str](
    {Kind.PLATEAU, Kind.NOISE, Kind.GRAD_NORM, Kind.GRAD_DRIFT, Kind.LEVEL_SHIFT, Kind.SPIKE, Kind.BAD_BATCH}
    | {Kind.PRECURSOR, Kind.OFF_LAW, Kind.BETTER_THAN_LAW, Kind.SUSPICIOUS_IMPROVEMENT, Kind.VALIDATION}
    | {EventKind.TARGET}
)

_ROWS = (
    KindRow(
        Kind.NONFINITE,
        "non-finite loss",
        "loss is NaN or infinite",
        "A loss that is NaN or infinite: one row may be a step that was skipped, several running are a lost run.",
        inhibits=_FOLLOWS,
        holds_the_loss=True,
        has_cause=True,
    ),
    KindRow(
        Kind.NONFINITE_GRADIENT,
        "non-finite gradient norm",
        "gradient norm is NaN or infinite",
        "A gradient norm that is NaN or infinite while the loss is a number: loss scaling in fp16 makes some.",
        needs="grad_norm",
    ),
    KindRow(
        Kind.DIVERGENCE,
        "divergence",
        "loss diverges",
        "A loss that rises and does not come back.",
        inhibits=_FOLLOWS,
        holds_the_loss=True,
        has_cause=True,
    ),
    KindRow(
        Kind.SPIKE,
        "spike",
        "loss spike",
        "A loss far above its own level: one row is a bad batch, several are a spike.",
        holds_the_loss=True,
        has_cause=True,
    ),
    KindRow(
        Kind.BAD_BATCH,
        "bad batch",
        "bad batch",
        "One row far above the level of the loss, and the next one normal.",
        joined="at",
        has_cause=True,
    ),
    KindRow(
        Kind.GRAD_NORM,
        "jump of the gradient norm",
        "gradient norm jumped",
        "A gradient norm far above its own level.",
        needs="grad_norm",
    ),
    KindRow(
        Kind.PRECURSOR,
        "early sign of trouble",
        "early sign of trouble",
        "Measurements inside the model (attention entropy, activation and logit sizes) that run away.",
        needs="precursors",
    ),
    KindRow(
        Kind.OFF_LAW,
        "gap above its law",
        "above its scaling law",
        "A loss above what the law expected at this step.",
    ),
    KindRow(
        Kind.BETTER_THAN_LAW,
        "gap below its law",
        "below its scaling law",
        "A loss below what the law expected at this step.",
    ),
    KindRow(
        Kind.OFF_PLAN,
        "learning rate off its schedule",
        "learning rate off its schedule",
        "A learning rate that is not the planned one.",
        needs="learning_rate",
    ),
    KindRow(Kind.REWOUND, "rewind", "went back to an earlier step", "Steps that are seen again.", "step", "at"),
    KindRow(
        Kind.PHASE,
        "phase",
        "a phase begins",
        "What a person says is changed by design from a step on.",
        needs="phase",
        joined="at",
    ),
    KindRow(
        Kind.PLATEAU,
        "plateau",
        "loss has stopped falling",
        "A loss that no longer falls where its own curve says that it should.",
    ),
    KindRow(
        Kind.LEVEL_SHIFT,
        "level shift",
        "loss shifted to another level",
        "A loss that moves to another level and stays there.",
        has_cause=True,
    ),
    KindRow(
        Kind.SUSPICIOUS_IMPROVEMENT,
        "suspicious improvement",
        "loss is too good",
        "A loss that falls faster than training explains: leaked or repeated data, a broken loss.",
        has_cause=True,
        remedy=Remedy(
            Action.FIX_DATA,
            "If nothing was changed on purpose, look for repeated data, a leak of targets into inputs, or a loss that "
            "counts padding.",
            "the held-out loss falls by as much.",
        ),
    ),
    KindRow(
        Kind.VALIDATION,
        "rise of the validation loss",
        "validation loss gets worse",
        "A validation loss that parts from the training loss.",
        needs="validation_loss",
        remedy=Remedy(
            Action.CHECK_SETUP,
            "More steps on this data make the model worse on held-out data: use the checkpoint of its lowest "
            "validation loss, and add or mix data. If it is no number, look at the evaluation.",
            "a later checkpoint has a lower validation loss.",
        ),
    ),
    KindRow(
        Kind.THROUGHPUT,
        "slowdown",
        "steps have become slow",
        "Steps that take longer than they did.",
        needs="seconds",
        remedy=Remedy(
            Action.CHECK_SETUP,
            "Look at data loading, at the slowest rank and its network, and at who else uses the machines.",
            "steps are as fast as before, without a change.",
        ),
    ),
    KindRow(
        Kind.NOISE,
        "growth of the noise",
        "loss grows noisier",
        "Scatter of the loss from row to row that grows.",
        strain="noise of the loss",
    ),
    KindRow(
        Kind.STILLNESS,
        "stillness of the loss",
        "loss no longer scatters",
        "A loss that is one constant, or as smooth as if each batch held the same data or none.",
        remedy=Remedy(
            Action.FIX_DATA,
            "Look at what a batch holds (zeros, one sample repeated), at whether the loss that is logged is the one "
            "that is trained, and at whether the weights move (learning rate, detached graph).",
            "losses differ from batch to batch, as they did.",
        ),
    ),
    KindRow(
        Kind.RANK_APART,
        "rank unlike the others",
        "one rank is not like the others",
        "The loss of one rank that stays above that of the others, where all ranks are watched.",
        needs="rank_losses",
        remedy=Remedy(
            Action.CHECK_SETUP,
            "Look at what this rank reads, and whether its machine computes right: run its batch on another rank.",
            "losses differ by design, because the ranks read data of different kinds.",
        ),
    ),
    KindRow(
        Kind.GRAD_DRIFT,
        "drift of the gradient norm",
        "gradient norm drifts",
        "A gradient norm that grows slowly over a long time.",
        needs="grad_norm",
        strain="gradient norm",
    ),
    KindRow(
        Kind.VANISHED_GRADIENT,
        "vanished gradient",
        "gradient norm is zero",
        "A gradient norm that was there and is nought: no weight moves any more.",
        needs="grad_norm",
        remedy=Remedy(
            Action.CHECK_SETUP,
            "Look at the loss scale (fp16 underflows), at what is frozen or detached, at whether the optimizer holds "
            "what is trained, and at whether each batch is all padding.",
            "what is logged is not the norm of all gradients.",
        ),
    ),
    KindRow(
        EventKind.STALLED,
        "stall",
        "no step is made",
        "The time since the newest step.",
        needs="",
        joined="after",
    ),
    KindRow(
        EventKind.GONE,
        "absence of the process",
        "the process is gone",
        "The process that trains.",
        needs="",
        joined="after",
    ),
    KindRow(
        EventKind.TARGET,
        "miss of its target",
        "forecast misses the target",
        "The forecast, against the final loss that is wanted.",
        needs="",
    ),
    KindRow(
        EventKind.ADVICE,
        "advice from the forecast",
        "advice from the forecast",
        "What the forecast advises.",
        needs="",
        joined="at",
    ),
    KindRow(
        EventKind.ACT,
        "act of scalewatch",
        "scalewatch acts",
        "What is done to the run by those who asked for it.",
        needs="",
        joined="at",
    ),
)

#: Every kind that is known -> its row; of two that are open, the one that comes first here is more urgent.
KINDS: Mapping[str, KindRow] = MappingProxyType({row.kind: row for row in _ROWS})

#: What is told of a run that makes no steps.
STANDS_STILL = (EventKind.STALLED, EventKind.GONE)

#: Incidents whose rows are no part of the curve of the loss, the most urgent first.
HOLD_THE_LOSS = tuple(row.kind for row in _ROWS if row.holds_the_loss)


def not_measured(given: Mapping[str, bool]) -> tuple[str, ...]:
    """Return what was never given of what kinds of findings need, in words.

    >>> not_measured({"loss": True, "grad_norm": False})
    ('gradient norm',)
    """
    missing = dict.fromkeys(row.inputs for row in _ROWS if given.get(row.needs) is False)
    return tuple(missing)


def kind_row(kind: str) -> KindRow:
    """Return the row of a kind; of one that is not known here, a row that calls it by its own word.

    >>> kind_row("divergence").name, kind_row("dead_neurons").name
    ('divergence', 'dead neurons')
    """
    name = kind.replace("_", " ")
    return KINDS.get(kind) or KindRow(kind, name, name, f"What a detector from outside calls {name}.", needs="")


def kind_name(kind: str) -> str:
    """Return what people call a kind of finding.

    >>> kind_name("nonfinite"), kind_name("bad_batch")
    ('non-finite loss', 'bad batch')
    """
    return kind_row(kind).name
