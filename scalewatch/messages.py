"""What each word that people are told means: when it is said, and what to do then.

The words themselves stand where they are made: kinds in `kinds.py`, states in `status.py`, actions in `advice.py`. Here
is what a person who meets one looks up; `docs/messages.md` is made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

from scalewatch.advice import Action
from scalewatch.finding import Kind
from scalewatch.kinds import EventKind
from scalewatch.status import State

__all__ = ["ACTIONS", "KINDS_SAID", "STATES", "Said"]


@final
@dataclass(frozen=True, slots=True)
class Said:
    """When something is said, and what to do then, a sentence or two each."""

    when: str
    do: str


_SETUP = "Look at what was changed at that step: data, rate, batch, machine. If nothing was, go on."

#: Kind of a finding -> when it is said and what to do; the numbers are those of `scalewatch/detect/`.
KINDS_SAID: Mapping[str, Said] = MappingProxyType(
    {
        Kind.NONFINITE: Said(
            "A row has a loss that is NaN or infinite: a note. Three running (two in a sparse log): critical. The "
            "fourth of one incident, with numbers between: a warning.",
            "One row: nothing, a step was skipped. Critical: stop, and restart from the last good checkpoint.",
        ),
        Kind.NONFINITE_GRADIENT: Said(
            "The gradient norm is NaN or infinite while the loss is a number: a note; a warning after 16 more bad rows "
            "than good ones.",
            "With fp16 a few are normal. A warning: train in bf16, or look at the loss scale.",
        ),
        Kind.DIVERGENCE: Said(
            "The loss has risen above its slow mean for longer than its scatter and its own past explain: a warning. "
            "Critical when it stays up by 3 % for 300 steps (a tenth of a short run), or by 28 % for eight rows.",
            "Put the learning rate back on its plan if it left it. Critical: stop, and restart from before it began.",
        ),
        Kind.SPIKE: Said(
            "Two rows running lie far above the level of the loss (one, in a sparse log): a warning. Critical when it "
            "is still up after 300 steps, or a tenth of a short run.",
            "Wait: most come back by themselves. If this one has not after 300 steps, restart from the checkpoint "
            "before it, and skip its batches.",
        ),
        Kind.BAD_BATCH: Said(
            "One row far above the level, and the next one normal: a note, made when it is over.",
            "Nothing. Many of them: look at these batches.",
        ),
        Kind.GRAD_NORM: Said(
            "The gradient norm lies three times above its level: a note; a warning when it stays up for 16 rows.",
            "Look whether the loss follows. A warning: clip gradients, or lower the rate.",
        ),
        Kind.PRECURSOR: Said(
            "An attention logit, log Z, an update size or a gradient norm of a part of the model runs away: a note, at "
            "most three times for each.",
            "Nothing yet: it often comes before a spike. If spikes come, QK normalisation or z-loss cure it.",
        ),
        Kind.OFF_LAW: Said(
            "The loss lies above the law of smaller runs, for four stretches of the curve running, by more than chance "
            "and more than seeds move it: a warning.",
            "Look for what differs from the smaller runs: data, tokenizer, rate, batch. Or the law does not hold here.",
        ),
        Kind.BETTER_THAN_LAW: Said(
            "The same below the law: a note.",
            "Look for leaked or repeated data, and at the evaluation, before you believe it.",
        ),
        Kind.OFF_PLAN: Said(
            "The learning rate of a row is not the planned one: a note.",
            "If nobody changed it, put it back. It is the first thing to know when the loss rises.",
        ),
        Kind.REWOUND: Said("A step comes that was seen before: a note.", "Nothing: the run went back to a checkpoint."),
        Kind.PHASE: Said(
            "Somebody said that a phase begins (`note_phase`): a note.", "Nothing: levels start anew, by design."
        ),
        Kind.PLATEAU: Said(
            "The last quarter of the run is no better than the quarter before it, at a high rate: a note.",
            "Lower the learning rate or end the run: more of the same buys nothing.",
        ),
        Kind.LEVEL_SHIFT: Said(
            "The mean loss moved within one block by more than six of its scales and 0.5 %, and stays, or rises as "
            "slowly as it fell: a note.",
            _SETUP,
        ),
        Kind.SUSPICIOUS_IMPROVEMENT: Said(
            "The loss fell at once, faster than learning explains, or below what any text has: a note; a warning "
            "above 26 %.",
            "Look for repeated data, targets that leak into inputs, a loss that counts padding.",
        ),
        Kind.VALIDATION: Said(
            "The validation loss rises while that of training does not: a note; a warning at 3 % for eight validations."
            " It is no number: a warning at the second.",
            "Use the checkpoint of its lowest. Add or mix data.",
        ),
        Kind.THROUGHPUT: Said(
            "A step takes 1.5 times as long as it did: a note; a warning at twice for 15 minutes.",
            "Look at data loading, at the slowest rank and its network, and at who else uses the machines.",
        ),
        Kind.NOISE: Said(
            "The scatter of one row has doubled within the last half of the run: a note.",
            "Nothing yet. With spikes: the rate may be too high.",
        ),
        Kind.VANISHED_GRADIENT: Said(
            "The gradient norm is 0 in 32 rows running, and was .05 or more: a warning.",
            "Look at the loss scale, at what is frozen or detached, and at what the optimizer holds.",
        ),
        Kind.STILLNESS: Said(
            "32 equal rows, or a scatter that is suddenly a tenth of what it was: a warning.",
            "Look at what a batch holds, at which loss is logged, and whether the weights move.",
        ),
        Kind.RANK_APART: Said(
            "One rank lies a quarter above the median of the others for 16 rows: a note; half above for 32: a warning.",
            "Run its batch on another rank: it is the data, or the machine.",
        ),
        Kind.GRAD_DRIFT: Said(
            "The gradient norm has doubled since its lowest (four times where no rate is logged), and stays: a note.",
            "Nothing yet. With spikes: the rate may be too high.",
        ),
        EventKind.STALLED: Said(
            "No step for `stall_after`, and for ten times longer than any pause before.",
            "Look at the process: a collective that hangs, a disk that is full, a loader that waits.",
        ),
        EventKind.GONE: Said(
            "The journal was not closed and nobody writes it: the process is gone (`scalewatch alert watch`).",
            "Start it again from its last checkpoint.",
        ),
        EventKind.TARGET: Said(
            "The forecast misses a target of the rules, with the probability that they ask for.",
            "Change the schedule or the target, or stop: `scalewatch whatif` says what each would bring.",
        ),
        EventKind.ADVICE: Said("A look at a tenth of the run has an advice that is new.", "Read it; it has its gain."),
        EventKind.ACT: Said(
            "Something was done to the run by `act`, or would have been in a dry run.",
            "Look at it when there is time: docs/acts.md.",
        ),
    }
)

#: State -> when a run is in it, and what to do.
STATES: Mapping[State, Said] = MappingProxyType(
    {
        State.HEALTHY: Said("A fault of the ordinary size would have been seen, and none was.", "Nothing."),
        State.IN_TROUBLE: Said("Something goes on that is worth waking someone.", "Read its advice."),
        State.LOST: Said(
            "Something critical goes on: the run is lost, or loses money every minute.", "Stop it now, then read why."
        ),
        State.RECOVERED: Said(
            "There was something worth waking someone, and it is over.", "Nothing; look when you can."
        ),
        State.CANNOT_TELL: Said(
            "Nothing is claimed: too few rows, no loss found, or an objective that is no descent; the reason follows.",
            "Log what is missing, or say which loss counts.",
        ),
        State.OVER: Said("The planned end was reached, and nothing was found.", "Nothing."),
    }
)

#: Action of an advice -> when it is advised, and what it means to follow it.
ACTIONS: Mapping[Action, Said] = MappingProxyType(
    {
        Action.WAIT: Said("A spike is young.", "Look again at the step that is named, and do nothing before."),
        Action.STOP: Said(
            "The run is lost, or its forecast misses the goal for sure.", "End it. `act` may do so by itself."
        ),
        Action.REWIND: Said(
            "An incident holds the loss up for longer than such things last.",
            "Restart from the checkpoint that is named, and skip the batches after it.",
        ),
        Action.LOWER_LEARNING_RATE: Said(
            "The rate is above its plan, or noise or gradient norm rose before the incident.",
            "Put it back on its plan, else cut it by a fifth (habit: nobody has shown by how much).",
        ),
        Action.DECAY_NOW: Said("What is left of the run buys little.", "Begin the decay now, and save the rest."),
        Action.FIX_DATA: Said("The loss is too good or too still.", "Look at what a batch holds."),
        Action.CHECK_SETUP: Said("The cause lies outside the training.", "Look at what is named."),
        Action.EXTEND: Said("More steps still buy what they cost.", "Go on, with the schedule made longer."),
        Action.CHANGE_SCHEDULE: Said(
            "Another schedule of the same length ends lower, surely.", "Use it: `scalewatch whatif` compares them."
        ),
        Action.CHANGE_SIZE: Said(
            "The compute would buy more with another size, by the law.", "For the next run: `scalewatch plan`."
        ),
    }
)
