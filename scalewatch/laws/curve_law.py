"""The annealing law with a size: one law for all the curves of a recipe.

    L(s; N) = E + K n^-a + A n^b [ w(s)^-alpha - rho D(s) ],    n = N / N_ref,    w = S / S_ref

The bracket is the annealing law (Tissue et al. 2024, eq. 1) with S counted in tokens where all runs say
how many a step has, so that runs of different batch size share it. E + K n^-a is what a model of size N
would reach on endless data at constant rate (Hoffmann et al. 2022, eq. 2). So a bigger run is predicted
before its first step, from its size and its schedule.

Why the size enters the level and not the exponent: given few sizes, one exponent for all is what the data
can carry, and what a misfit does is seen in `run_log_sd`, which widens every interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from scalewatch.errors import ConfigError
from scalewatch.run import Run

__all__ = ["CurveLaw", "LawPrediction"]

Floats = NDArray[np.float64]

#: Relative error that a law gains for each e-fold of size beyond the largest run, on top of its own
#: covariance: what a public ladder was off by, 1.4 e-folds beyond its one size (0.4 to 0.5 %).
EXTRAPOLATION_LOG_SD = 0.004
#: Two-sided 80 % of a Gaussian.
GAUSSIAN_80 = 1.2816
#: Run-to-run sd of ln(final loss) from which runs are hardly of one recipe (seeds of public runs: 0.2 to 0.6 %), and
#: from which no law describes them: seeds alone move a final loss by up to 4 % (Choshen et al. 2024).
SCATTERED_LOG_SD, MOST_RUN_LOG_SD = 0.01, 0.04
#: Runs of different sizes that make the effect of size the data's own.
FEWEST_RUNS = 3
#: Losses beyond this are none [nats/token].
MOST_LOSS = 1e30


@final
@dataclass(frozen=True, slots=True)
class LawPrediction:
    """What a law expects of a run before it starts.

    Attributes:
        end_loss: loss at the planned end [nats/token], None if the law or the run knows no size.
        end_loss_sd: its standard error [nats/token].
        remaining: A of the annealing law at the planned end [nats/token].
        remaining_sd: its standard error [nats/token].
        ratio: rho at the planned end.
        notes: what the prediction had to assume, a sentence each.
    """

    end_loss: float | None
    end_loss_sd: float
    remaining: float
    remaining_sd: float
    ratio: float
    notes: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True, eq=False)
class CurveLaw:
    """A fitted law of whole loss curves.

    Attributes:
        alpha: exponent of the walk, dimensionless; alpha_log_sd: sd of its logarithm.
        ratio: rho, gain of a full decay over A at S_ref; ratio_log_sd: sd of its logarithm.
        memory_steps: memory of the decay [optimizer steps].
        walk_unit: "tokens" or "steps", what S counts at peak rate.
        reference_walk: S_ref [walk_unit].
        size_kind: which parameters N counts, "total" or "non_embedding"; "none" if no run said.
        reference_size: N_ref, count.
        parameters: (ln E, ln K, a, ln A, b); E, K, A in nats/token.
        covariance: of `parameters`, shape (5, 5).
        run_log_sd: sd of ln(final loss) from run to run at one size and plan.
        remaining_log_sd: the same of ln A.
        misfit: relative misfit of the curve's shape.
        row_noise: relative sd of one row's loss in these runs.
        sizes: smallest and largest N fitted. walks: smallest and largest S fitted.
        runs: how many runs it rests on.
        left_out: what the fit did not use and why, a sentence each.
    """

    alpha: float
    alpha_log_sd: float
    ratio: float
    ratio_log_sd: float
    memory_steps: float
    walk_unit: Literal["tokens", "steps"]
    reference_walk: float
    size_kind: Literal["total", "non_embedding", "none"]
    reference_size: float
    parameters: Floats
    covariance: Floats
    run_log_sd: float
    remaining_log_sd: float
    misfit: float
    row_noise: float
    sizes: tuple[float, float]
    walks: tuple[float, float]
    runs: int
    left_out: tuple[str, ...] = field(default=())

    def size_of(self, run: Run) -> float | None:
        """Return N of `run` as this law counts it, None if the run does not say."""
        if self.size_kind == "total":
            return run.parameters
        if self.size_kind == "non_embedding":
            return run.non_embedding_parameters
        return self.reference_size

    @property
    def usable(self) -> bool:
        """Whether one law describes its runs: they scatter about it by no more than seeds can make, 4 %."""
        return self.run_log_sd <= MOST_RUN_LOG_SD

    @property
    def cautions(self) -> tuple[str, ...]:
        """What its runs do not carry, and what to do, a sentence each; none if there is nothing to say."""
        said = []
        if not self.usable:
            said.append(
                f"The law does not describe these runs, their final losses lie {self.run_log_sd:.0%} off (one sd): fit "
                "runs of one recipe, one tokenizer and one unit."
            )
        elif self.run_log_sd > SCATTERED_LOG_SD:
            said.append(
                f"The runs scatter about the law by {self.run_log_sd:.1%}, more than runs of one recipe do: fit one "
                "recipe (data, tokenizer, batch size, peak rate) at a time."
            )
        if self.size_kind == "none":
            said.append(
                "No run says its size, so this law knows one size only: say it (`parameters`) to predict others."
            )
        elif self.sizes[0] == self.sizes[1]:
            said.append("All sizes are equal, so the effect of size rests on priors: add runs of other sizes.")
        elif self.runs < FEWEST_RUNS:
            said.append("Two runs leave the effect of size to priors, and the interval is wide: add a third size.")
        return tuple(said)

    def predict(self, run: Run, end_walk_steps: float, end_annealed: float) -> LawPrediction:
        """Predict the end of `run`.

        Args:
            run: the run, with its size and its tokens per step if the law counts those.
            end_walk_steps: S at the planned end [optimizer steps at peak rate].
            end_annealed: D at the planned end, in [0, 1].

        Raises:
            ConfigError: if the law gives no finite number for this run: it is so far off that nothing is left.
        """
        try:
            told = self._predict(run, end_walk_steps, end_annealed)
        except OverflowError:
            told = None
        numbers = () if told is None else (told.end_loss_sd, told.remaining, told.remaining_sd)
        within = all(1e-40 < number < MOST_LOSS for number in numbers)
        if told is None or not within or not abs(told.end_loss or 0.0) < MOST_LOSS:
            raise ConfigError(f"The law gives no finite loss for the run '{run.name}': it is of other runs than this.")
        return told

    def _predict(self, run: Run, end_walk_steps: float, end_annealed: float) -> LawPrediction:
        notes: list[str] = []
        walk = end_walk_steps
        if self.walk_unit == "tokens":
            if run.tokens_per_step is None:
                notes.append("The law counts tokens and the run does not say how many a step has.")
                walk = self.reference_walk
            else:
                walk = end_walk_steps * run.tokens_per_step
        size = self.size_of(run)
        log_n = 0.0 if size is None else math.log(size / self.reference_size)
        log_w = math.log(walk / self.reference_walk)
        power = math.exp(-self.alpha * log_w)
        bracket = power - self.ratio * end_annealed
        _, _, _, log_a, b = self.parameters.tolist()
        amplitude = math.exp(log_a + b * log_n)
        end_loss, sd = self._end_loss(log_n, bracket, power * self.alpha * self.alpha_log_sd * abs(log_w))
        if size is None:
            notes.append("The run does not say its size, so the law gives the shape of its curve but not its level.")
        notes.extend(self._range_notes(size, walk))
        return LawPrediction(
            end_loss=None if size is None else end_loss,
            end_loss_sd=sd,
            remaining=amplitude * power,
            remaining_sd=amplitude * power * self.remaining_log_sd,
            ratio=self.ratio / power,
            notes=tuple(notes),
        )

    def _end_loss(self, log_n: float, bracket: float, bracket_sd: float) -> tuple[float, float]:
        log_e, log_k, a, log_a, b = self.parameters.tolist()
        level, gain = math.exp(log_e), math.exp(log_k - a * log_n)
        amplitude = math.exp(log_a + b * log_n)
        end = level + gain + amplitude * bracket
        slope = np.array([level, gain, -gain * log_n, amplitude * bracket, amplitude * bracket * log_n])
        beyond = max(0.0, log_n - math.log(self.sizes[1] / self.reference_size))
        spread = self.run_log_sd**2 + (EXTRAPOLATION_LOG_SD * beyond) ** 2
        variance = float(slope @ self.covariance @ slope) + spread * end**2
        variance = variance * self._few_runs() ** 2 + (amplitude * bracket_sd) ** 2
        return end, math.sqrt(variance)

    def _few_runs(self) -> float:
        """Widening for a scatter that was itself estimated from few runs: Student's t over the Gaussian, at 80 %.

        The two-term expansion of Fisher and Cornish (1960), within 2 % of the exact ratio from 2 degrees of
        freedom on. One degree is the prior scatter, which counts as a run.
        """
        told_apart = 1 if self.sizes[0] == self.sizes[1] else 2
        freedom = max(self.runs - told_apart + 1, 2)
        z = GAUSSIAN_80
        first = (z**3 + z) / (4 * freedom)
        second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        return (z + first + second) / z

    def _range_notes(self, size: float | None, walk: float) -> list[str]:
        notes = []
        if size is not None and self.size_kind != "none":
            if size > 10 * self.sizes[1]:
                notes.append(
                    f"Extrapolates {size / self.sizes[1]:.0f}x past the largest fitted run; "
                    "intervals are unreliable past 10x."
                )
            elif size < self.sizes[0] / 3:
                notes.append("The run is smaller than every run the law was fitted on.")
        if walk > 3 * self.walks[1]:
            notes.append(f"Trains {walk / self.walks[1]:.1f}x longer than the longest fitted run.")
        return notes
