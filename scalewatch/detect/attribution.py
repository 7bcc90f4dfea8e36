"""Why an incident happened, as far as numbers carry.

Each rule asks for evidence that the other causes do not leave; where there is none the answer is "unknown". Grades:
A measured directly (a rate above its plan, one rank alone), B the marks that this cause leaves and few others do, C a
hint that is worth a look. In the order in which they are asked:

    hardware               one rank not finite, or the same one far from the others again
    learning_rate_too_high above its plan, or above all it was before, when the incident began
    optimizer_state_lost   right level first and then up, within 100 steps of going back to a checkpoint
    fp16_overflow          non-finite gradients before the non-finite loss
    bad_batch              one row high, the next one normal
    learning_rate_too_high gradient norm up before the loss; noise that grew; the end of a warm-up; a rate like nobody's
    data_change            a new level with unchanged noise
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple, final

from scalewatch.detect.base import Sample, amount
from scalewatch.detect.baseline import RobustBaseline
from scalewatch.detect.grad_norm import GradNorm
from scalewatch.detect.noise import Noise
from scalewatch.detect.nonfinite import NonFiniteGradient
from scalewatch.detect.precursor import Precursor
from scalewatch.detect.ranks import odd_rank
from scalewatch.detect.schedule import Schedule
from scalewatch.detect.state import Stateful
from scalewatch.finding import Finding, Kind, Phase
from scalewatch.kinds import kind_row

__all__ = ["CauseAttribution"]

#: Learning rate above its plan that is no rounding, and that is beyond doubt [ratio]. By hand.
ABOVE_PLAN, FAR_ABOVE_PLAN = 1.05, 1.5
#: Steps after a jump of the rate above all it was, and after a resume, in which it is to blame [steps]; at least so
#: many rows. Adam without its second moment takes steps of full size for some 1/(1 - beta2) of them: 20 at .95
#: (Kingma and Ba 2015, arXiv 1412.6980, section 3). The rest by hand; `EXPECT_STEPS` of schedule.py is the first.
JUMP_STEPS, RESUME_STEPS, LEAST_ROWS = 512, 100, 8
#: Loss that is the one from before the resume [ratio]: by hand, a few times the scatter of a row.
SAME_LEVEL = 1.05
#: Rows between a non-finite gradient and the incident, and the fewest of them [rows]: by hand.
OVERFLOW_ROWS, OVERFLOWS = 64, 2
#: Rows between the last high gradient norm and the incident [rows]: spikes follow 1 to 8 steps after
#: (Wortsman et al. 2023, arXiv 2304.13013, abstract).
LEAD_ROWS = 8
#: High gradient norms, and steps, before the loss rises that are more than a hint [rows, steps]: by hand.
LEAD_HIGH, LEAD_LONG = 3, 3
#: Steps between a precursor and the incident [steps]: eight samples of one that is measured every eighth step. By hand.
PRECURSOR_STEPS = 64
#: Recent gradient norm over its slow mean, and scatter over its least, that are signs of instability [log units,
#: ratio]: by hand, half of what a note on either asks for.
GRAD_GROWN, NOISE_GROWN = math.log(1.4), 1.5
#: Length of the warm-up, from the first step, within which its end is to blame [ratio]: by hand.
AFTER_WARM_UP = 2.0
#: Rates above this are like nobody's: published transformers peak at 1e-5 to 6e-3 with Adam, at 2e-2 to 5e-2 with Muon.
#: By hand.
NOBODYS_RATE = 0.06


class _Attribution(NamedTuple):
    cause: str
    grade: str
    reason: str


@final
class _OddRank(Stateful):
    """The rank whose loss was the one that is not like the others, last and how often running; -1 for none yet."""

    STATE = ("rank", "rows", "step", "broken")

    def __init__(self) -> None:
        self.rank = -1
        self.rows = 0
        self.step = 0
        self.broken = False

    def see(self, rank: int, step: int, broken: bool) -> None:
        self.rows = self.rows + 1 if rank == self.rank else 1
        self.rank, self.step, self.broken = rank, step, broken

    def blamed(self) -> _Attribution | None:
        """The cause that it is; None while it may be chance."""
        if self.broken:
            reason = f"the loss of rank {self.rank} alone is not finite at step {self.step}"
            return _Attribution("hardware", "A" if self.rows > 1 else "B", reason)
        if self.rows < 2:
            return None
        reason = f"the loss of rank {self.rank} alone is far from those of the others, {self.rows} times running"
        return _Attribution("hardware", "B", reason)


@final
class CauseAttribution(Stateful):
    """Adds `cause`, `cause_grade` and `cause_reason` to the evidence of a finding.

    A later finding of the same incident keeps the cause of an earlier one unless it has a better grade. Memory: a dozen
    numbers and a sentence per kind. Nothing resets it.

    >>> from scalewatch.finding import Severity
    >>> from scalewatch.run import Run
    >>> schedule = Schedule(Run("doc", learning_rates=[1e-3] * 100))
    >>> meant = schedule.expects_rise(50, 4e-3)
    >>> cause = CauseAttribution(RobustBaseline(), schedule, GradNorm(), NonFiniteGradient(), Noise(), Precursor())
    >>> spike = Finding(Kind.SPIKE, Severity.WARNING, 50, 49, "loss rose")
    >>> row = Sample()
    >>> row.step = 50
    >>> found = cause.attribute(spike, row)
    >>> found.evidence["cause"], found.evidence["cause_grade"], found.evidence["cause_reason"]
    ('learning_rate_too_high', 'A', 'the learning rate of 0.004 is 4 times its plan')
    """

    STATE = ("resumed", "resumed_step", "resumed_loss", "odd", "newest")

    def __init__(
        self,
        baseline: RobustBaseline,
        schedule: Schedule,
        gradient: GradNorm,
        overflow: NonFiniteGradient,
        noise: Noise,
        precursor: Precursor,
    ) -> None:
        self._baseline, self._schedule, self._noise = baseline, schedule, noise
        self._gradient, self._overflow, self._precursor = gradient, overflow, precursor
        self.resumed = False
        self.resumed_step = 0
        self.resumed_loss = 0.0
        self.odd = _OddRank()
        self.newest: dict[str, list[str]] = {}

    def resume(self, step: int) -> None:
        """Note that the run goes back to this step; before the level forgets where it was."""
        self.resumed, self.resumed_step = self._baseline.rows > 0, step
        self.resumed_loss = self._baseline.fast_mean
        self.newest = {}

    def look_at_ranks(self, sample: Sample) -> None:
        """Take in the losses of the ranks at a row that may belong to an incident."""
        level = self._baseline.loss_scale.loss_at(self._baseline.fast_mean) if self._baseline.rows else math.nan
        rank, broken = odd_rank(sample.rank_losses, level)
        if rank >= 0:
            self.odd.see(rank, sample.step, broken)

    def attribute(self, finding: Finding, sample: Sample) -> Finding:
        """The finding, with its cause among the evidence; the same one if its kind has none."""
        if not kind_row(finding.kind).has_cause:
            return finding
        odd = self.odd
        of_rank = odd.blamed() if odd.rank >= 0 and finding.start_step <= odd.step <= finding.step else None
        made = of_rank or self._rule(finding, sample)
        kind = str(finding.kind)
        if finding.phase is not Phase.OPENED and kind in self.newest:
            before = _Attribution(*self.newest[kind])
            if before.grade and (not made.grade or before.grade <= made.grade):
                made = before
        self.newest[kind] = list(made)
        if finding.phase is Phase.CLOSED:
            del self.newest[kind]
        evidence = {"cause": made.cause, "cause_grade": made.grade, "cause_reason": made.reason}
        if of_rank is None:
            return replace(finding, evidence={**finding.evidence, **evidence})
        # whoever reads it first wants to know which machine to look at
        message = finding.message if "rank" in finding.message else f"{finding.message} (rank {odd.rank} alone)"
        return replace(finding, message=message, evidence={**finding.evidence, **evidence, "rank": odd.rank})

    def _rule(self, finding: Finding, sample: Sample) -> _Attribution:
        kind = finding.kind
        if kind is Kind.BAD_BATCH:
            return self._bad_batch(finding)
        if kind in (Kind.LEVEL_SHIFT, Kind.SUSPICIOUS_IMPROVEMENT):
            return self._data_change(finding)
        start = finding.start_step
        made = self._ended() if kind is Kind.NONFINITE else None
        made = made or self._rate_above(start, sample) or self._resumed(finding, sample)
        if made is None and kind is Kind.NONFINITE:
            made = self._overflowed(finding, sample)
        return made or self._unstable(finding, sample) or self._settled(finding) or self._unknown()

    def _rate_above(self, start: int, sample: Sample) -> _Attribution | None:
        schedule = self._schedule
        rate, planned = schedule.rate, schedule.planned
        if planned > 0.0 and rate > ABOVE_PLAN * planned:
            grade = "A" if rate > FAR_ABOVE_PLAN * planned else "B"
            reason = f"the learning rate of {rate:.3g} is {rate / planned:.3g} times its plan"
            return _Attribution("learning_rate_too_high", grade, reason)
        reach = max(JUMP_STEPS, LEAST_ROWS * sample.spacing)
        jump = schedule.jump
        if jump.ratio > FAR_ABOVE_PLAN and 0 <= start - jump.step + sample.spacing <= reach:
            reason = (
                f"the learning rate went to {jump.ratio:.3g} times its highest before at step "
                f"{jump.step}, and this began at step {start}"
            )
            return _Attribution("learning_rate_too_high", "A", reason)
        return None

    def _resumed(self, finding: Finding, sample: Sample) -> _Attribution | None:
        if not self.resumed:
            return None
        steps = finding.start_step - self.resumed_step
        level = finding.evidence.get("level_nats")
        if not 0 <= steps <= max(RESUME_STEPS, LEAST_ROWS * sample.spacing) or not isinstance(level, float):
            return None
        if not level > 0.0 or abs(math.log(level) - self.resumed_loss) > math.log(SAME_LEVEL):
            return None
        reason = (
            f"the run went back to step {self.resumed_step}, where its loss was right at first ({amount(level)}), and "
            f"the loss rose {steps} steps later: as Adam does without its moments"
        )
        return _Attribution("optimizer_state_lost", "B", reason)

    def _overflowed(self, finding: Finding, sample: Sample) -> _Attribution | None:
        bad = self._overflow
        near = 0 <= finding.step - bad.last_step <= OVERFLOW_ROWS * sample.spacing
        if bad.bad_rows < OVERFLOWS or not near or not bad.infinite:
            return None
        reason = f"the gradient norm was infinite in {bad.bad_rows} rows up to step {bad.last_step}"
        return _Attribution("fp16_overflow", "B", reason)

    def _ended(self) -> _Attribution | None:
        """A loss that was off before it was no number has the cause that it had then."""
        for kind in (Kind.DIVERGENCE, Kind.SPIKE):
            before = _Attribution(*self.newest.get(kind.value, ("", "", "")))
            if before.grade:
                return before._replace(reason=f"the {kind.value} before it: {before.reason}")
        return None

    def _bad_batch(self, finding: Finding) -> _Attribution:
        gradient = self._gradient
        if not gradient.baseline.rows:
            return _Attribution("bad_batch", "B", "one row is high and the next one normal")
        if gradient.high_rows and gradient.high_step < finding.start_step <= gradient.high_last + LEAD_ROWS:
            return _Attribution(
                "bad_batch", "C", "one row is high and the next one normal, but the gradient norm was up before"
            )
        return _Attribution(
            "bad_batch", "A", "one row is high and the next one normal, and the gradient norm not up before"
        )

    def _unstable(self, finding: Finding, sample: Sample) -> _Attribution | None:
        """Signs that the steps are too large: two of them, or a long lead of the gradient norm, are grade B."""
        start, schedule, gradient = finding.start_step, self._schedule, self._gradient
        signs, sure = [], False
        lead = start - gradient.high_step
        if gradient.high_rows and lead > 0 and start - gradient.high_last <= LEAD_ROWS * sample.spacing:
            signs.append(f"the gradient norm was up {lead} steps before the loss")
            sure = lead >= LEAD_LONG * sample.spacing and gradient.high_rows >= LEAD_HIGH
        inside = self._precursor
        names = [name for name in inside.up if not name.startswith("grad_norm")]
        if names and inside.high_step < start and start - inside.high_last <= PRECURSOR_STEPS:
            signs.append(f"{' and '.join(names[:2])} had been up since step {inside.high_step}")
        grown = gradient.baseline.fast_mean - gradient.baseline.slow_mean
        if gradient.baseline.rows >= LEAST_ROWS and grown > max(GRAD_GROWN, gradient.baseline.scale):
            signs.append(f"the gradient norm had grown {math.exp(grown):.1f} times")
        if self._noise.grown > NOISE_GROWN:
            signs.append(f"the noise of the loss had grown {self._noise.grown:.1f} times")
        rate, warm_up = schedule.rate, schedule.warm_up
        if rate >= NOBODYS_RATE:
            signs.append(f"the learning rate of {rate:.3g} is higher than that of published transformers")
        lasted = warm_up.top_step - warm_up.first_step
        if warm_up.rises and start - warm_up.first_step <= AFTER_WARM_UP * lasted:
            signs.append(f"the learning rate rose until step {warm_up.top_step}")
        if not signs or (rate == rate and rate < 0.5 * schedule.highest):
            return None
        text = signs[0] if len(signs) == 1 else f"{', '.join(signs[:-1])} and {signs[-1]}"
        return _Attribution("learning_rate_too_high", "B" if sure or len(signs) > 1 else "C", text)

    def _settled(self, finding: Finding) -> _Attribution | None:
        """A divergence that ends at a new level, with nothing else changed."""
        is_over = finding.kind is Kind.DIVERGENCE and finding.phase is Phase.CLOSED and "settled" in finding.message
        return self._data_change(finding) if is_over else None

    def _unknown(self) -> _Attribution:
        lacks = []
        if not self._gradient.baseline.rows:
            lacks.append("gradient norm")
        if self._schedule.highest == 0.0:
            lacks.append("learning rate")
        reason = "nothing in the log tells one cause from another"
        return _Attribution("unknown", "", f"{reason}; it has no {' and no '.join(lacks)}" if lacks else reason)

    def _data_change(self, finding: Finding) -> _Attribution:
        if self._noise.grown > NOISE_GROWN or "level_nats" not in finding.evidence:
            return self._unknown()
        reason = f"the loss moved near step {finding.start_step} and its noise stayed what it was"
        return _Attribution("data_change", "C", reason)
