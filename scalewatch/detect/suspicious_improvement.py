"""A loss that is better than it can be: a leak, repeated data, a broken evaluation."""

from __future__ import annotations

import math
from typing import final

from scalewatch.detect.base import amount
from scalewatch.detect.block import AbstractBlockDetector, Block
from scalewatch.detect.changepoint_window import ChangepointWindow
from scalewatch.detect.excursions import Excursions
from scalewatch.detect.incident_state import IncidentState
from scalewatch.finding import Finding, Kind, Severity

__all__ = ["DROP", "SuspiciousImprovement"]

#: Shift in its own scale, as in level_shift.py [sigmas].
SIGMAS = 6.0
#: Fall at once that is worth a note [log units: 3 %], and that is worth waking someone [log units: 26 %]: a change of
#: the data mixture, which is often meant, moves the loss by 5 to 20 %. By hand.
DROP, PAGE_DROP = 0.03, 0.3
#: Least d log loss / d log steps, twice what level_shift.py asks for; and that of a fall that wakes someone. By hand.
LEARNING, PAGE_LEARNING = 1.0, 4.0
#: Fall that counts as one that the run has come back from, where there was none [log units]. By hand.
LEAST_FALL = 0.05
#: How far from where an epoch began a fall counts as one of data that are seen again [parts of an epoch]. By hand.
NEAR_EPOCH = 0.15
#: Least rows before a fall wakes someone [rows]: a run that sits on a plateau at its start falls off it at once.
#: By hand.
PAGE_ROWS = 512
#: Blocks after which the fallen loss is taken for its level [blocks]. By hand.
GIVE_UP_BLOCKS = 64
#: Part of the fall that is to come back for it to be over. By hand.
BACK = 0.5
#: Loss that no text has [log of nats/token]: 0.25 is 0.09 bits a character at 4 characters a token, a seventh of the
#: lower bound of English (Shannon 1951, 0.6 bits). It speaks only of losses of text, whose first one is in its range.
FLOOR = math.log(0.25)
#: First loss of a language model [log of nats/token]: log of a vocabulary of 16 to 500 million, with some slack.
#: By hand.
LEAST_START, MOST_START = math.log(2.5), math.log(25.0)


@final
class SuspiciousImprovement(AbstractBlockDetector):
    """Loss fell at once and stays down, faster than learning explains; or is below what any text has.

    Rule: fall of more than 3 % and 6 s between 8 blocks before and 4 after (changepoint_window.py), d log loss / d log
    steps above 1, learning rate unchanged: info; above 26 % after 512 rows: warning. A block below 0.25 nats/token in a
    run of text (`of_text`) that began between 2.5 and 25: info. Closes when half of it has come back, or after 64
    blocks. Where an epoch begins the loss of data seen before falls so (`steps_per_epoch`): info. Memory: six numbers.
    `restart` closes it.

    >>> from scalewatch.detect.block import Blocks
    >>> from scalewatch.detect.base import Sample
    >>> from scalewatch.detect.schedule import Schedule
    >>> from scalewatch.run import Run
    >>> blocks, row, window = Blocks(Schedule(Run("doc"))), Sample(), ChangepointWindow()
    >>> detector = SuspiciousImprovement(window)
    >>> row.usable = True
    >>> for row.step in range(1, 2501):
    ...     row.row, row.value = row.step, 1.0 + 0.01 * (row.step * 7 % 5) - 0.4 * (row.step > 2000)
    ...     block = blocks.take(row, hold=False)
    ...     if block is not None:
    ...         window.update(block)
    ...         finding = detector.observe(block)
    ...         if finding is not None:
    ...             print(finding.step, finding.severity, finding.message)
    2112 warning loss fell at once from 2.773 to 1.860 (-33 %) near step 1953, faster than learning does
    """

    name = "suspicious improvement"
    in_loss_units = True
    STATE = ("incident", "rows", "blocks", "bound", "is_text", "begun", "noted_floor", "past")

    def __init__(self, window: ChangepointWindow) -> None:
        super().__init__(IncidentState(Kind.SUSPICIOUS_IMPROVEMENT))
        self._window = window
        self.rows = 0
        self.blocks = 0
        self.bound = 0.0
        self.is_text = False
        self.of_text = False
        self.steps_per_epoch: float | None = None
        self.begun = False
        self.noted_floor = False
        self.past = Excursions(least=LEAST_FALL)

    def observe(self, block: Block) -> Finding | None:
        self.rows += block.rows
        if block.loss != block.loss:
            return None
        if not self.begun:
            self.begun, self.is_text = True, self.of_text and LEAST_START < block.loss < MOST_START
        if self.incident.is_open:
            return self._watch(block)
        fall = -self._window.shift.nats
        self.past.see(fall, ended=fall <= 0.0)
        if self._window.ready and self._fell():
            return self._open(block)
        if self.is_text and block.loss < FLOOR and not self.noted_floor:
            self.noted_floor, self.bound, self.blocks = True, FLOOR, 0
            message = f"loss of {amount(self._loss(block))} nats per token is below what any text has"
            return self.incident.open(Severity.INFO, block.step, block.first_step, message, self._evidence(block))
        return None

    def restart(self) -> None:
        self.incident.reset()

    def _fell(self) -> bool:
        shift = self._window.shift
        fast = shift.nats < -DROP and shift.sigmas > SIGMAS and shift.elasticity > LEARNING
        return fast and not shift.rate_changed

    def _open(self, block: Block) -> Finding:
        window, shift = self._window, self._window.shift
        scale = window.loss_scale
        before, now = scale.loss_at(window.level), scale.loss_at(block.loss)
        message = (
            f"loss fell at once from {amount(before)} to {amount(now)}{scale.share(window.level, block.loss)} "
            f"near step {window.start_step}, faster than learning does"
        )
        fast = shift.nats < -PAGE_DROP and shift.elasticity > PAGE_LEARNING
        again = self._begins_epoch(window.start_step, block.step)
        if again:
            message += ": an epoch begins there, of data seen before"
        pages = fast and self.rows > PAGE_ROWS and self.past.beyond(-shift.nats, alone=1.0) and not again
        evidence = {
            **self._evidence(block),
            "level_nats": before,
            "excess_nats": now - before,
            "sigmas": shift.sigmas,
            "elasticity": shift.elasticity,
        }
        self.bound, self.blocks = window.now - BACK * shift.nats, 0
        severity = Severity.WARNING if pages else Severity.INFO
        found = self.incident.open(severity, block.step, window.start_step, message, evidence)
        window.move(block.step)
        return found

    def _begins_epoch(self, first: int, last: int) -> bool:
        """Whether an epoch but the first begins between two steps, or just before the first of them."""
        length = self.steps_per_epoch
        if length is None:
            return False
        begun = math.ceil((first - NEAR_EPOCH * length) / length)
        return begun >= 1 and begun * length <= min(last, first + NEAR_EPOCH * length)

    def _watch(self, block: Block) -> Finding | None:
        self.blocks += 1
        if block.loss > self.bound:
            message = f"loss is up again at {amount(self._loss(block))}"
        elif self.blocks >= GIVE_UP_BLOCKS:
            message = f"loss has stayed near {amount(self._loss(block))}, which is taken for its level from here on"
        else:
            return None
        return self.incident.close(block.step, message, self._evidence(block))

    def _loss(self, block: Block) -> float:
        return self._window.loss_scale.loss_at(block.loss)

    def _evidence(self, block: Block) -> dict[str, float]:
        return {"loss_nats": self._loss(block)}
