"""Two detectors as another package would bring them, and some that are none."""

from __future__ import annotations

from typing import NoReturn, final

from scalewatch.detect import AbstractBlockDetector, AbstractDetector, Block, IncidentState, RobustBaseline, Sample
from scalewatch.finding import Finding, Severity


@final
class LossAbove(AbstractDetector):
    """Loss above a limit of the user's, and above what the shared baseline allows.

    Rule: loss > limit and 3 scales above the baseline. Closes at the first row below the limit. Memory: a count.
    `restart` closes it.

    >>> detector, row = LossAbove(4.0), Sample()
    >>> row.step, row.loss, row.usable = 7, 4.5, True
    >>> detector.attach(RobustBaseline())
    >>> detector.observe(row) is None
    True
    """

    name = "loss above"
    STATE = ("incident", "rows")

    def __init__(self, limit: float = 4.0) -> None:
        super().__init__(IncidentState("loss_above"))
        self.limit = limit
        self.rows = 0

    def attach(self, baseline: RobustBaseline) -> None:
        self._baseline = baseline

    def observe(self, sample: Sample) -> Finding | None:
        if not sample.usable:
            return None
        self.rows += 1
        is_high = sample.loss > self.limit
        if is_high and not self.incident.is_open and self._baseline.sigmas > 3.0:
            message, evidence = f"loss of {sample.loss:.3f} is above {self.limit}", {"loss": sample.loss}
            return self.incident.open(Severity.WARNING, sample.step, sample.step, message, evidence)
        if self.incident.is_open and not is_high:
            return self.incident.close(sample.step, f"loss is below {self.limit} again", {"rows": self.rows})
        return None

    def restart(self) -> None:
        self.incident.reset()


@final
class FewLosses(AbstractBlockDetector):
    """Less than half of the rows of a block have a loss.

    Rule: losses < rows / 2. Closes at the next block that has them. Memory: none but its incident. `restart` closes it.

    >>> FewLosses().incident.is_open
    False
    """

    name = "few losses"
    STATE = ("incident",)

    def __init__(self) -> None:
        super().__init__(IncidentState("few_losses"))

    def observe(self, block: Block) -> Finding | None:
        is_short, evidence = 2 * block.losses < block.rows, {"losses": block.losses}
        if is_short == self.incident.is_open:
            return None
        if is_short:
            return self.incident.open(Severity.INFO, block.step, block.first_step, "losses are missing", evidence)
        return self.incident.close(block.step, f"{block.losses} rows of a block have a loss again", evidence)

    def restart(self) -> None:
        self.incident.reset()


@final
class NotMade(AbstractDetector):
    """Cannot be made: it reads a file that there is not."""

    name = "not made"

    def __init__(self) -> None:
        raise FileNotFoundError("limits.toml")

    def observe(self, sample: Sample) -> NoReturn:
        raise AssertionError

    def restart(self) -> None:
        """Nothing to forget."""


@final
class Forgetful(AbstractDetector):
    """Does not call `super().__init__`."""

    name = "forgetful"

    def __init__(self) -> None:
        self.rows = 0

    def observe(self, sample: Sample) -> Finding | None:
        return None

    def restart(self) -> None:
        """Nothing to forget."""


@final
class Babbling(AbstractDetector):
    """Says something that is no finding."""

    name = "babbling"
    STATE = ("incident",)

    def __init__(self) -> None:
        super().__init__(IncidentState("babbling"))

    def observe(self, sample: Sample) -> Finding | None:
        return "all is well"  # type: ignore[return-value]  # what somebody else's code may do

    def restart(self) -> None:
        """Nothing to forget."""
