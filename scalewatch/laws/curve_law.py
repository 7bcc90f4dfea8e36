"""The annealing law with a size: one law for all the curves of a recipe.

    L(s; N) = E + K n^-a + A n^b [ (S / S_ref)^-alpha - rho D(s) ],    n = N / N_ref

The bracket is the annealing law (Tissue et al. 2024, eq. 1) with S counted in tokens where all runs say
how many a step has, so that runs of different batch size share it. E + K n^-a is what a model of size N
would reach on endless data at constant rate (Hoffmann et al. 2022, eq. 2). So a bigger run is predicted
before its first step, from its size and its schedule.

Why the size enters the level and not the exponent: given few sizes, one exponent for all is what the data
can carry, and what a misfit does is seen in `run_log_sd`, which widens every interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError, LawFileError
from scalewatch.laws.law import Law, Publication, Quantity, asked
from scalewatch.run import Run
from scalewatch.strict_json import choice, least_and_most, numbers, numbers_within, sentences
from scalewatch.text import percent

__all__ = ["CurveEvidence", "CurveLaw", "CurveScatter", "CurveShape", "CurveUnits", "RunPrior"]

#: Relative error that a law gains for each e-fold of size beyond the largest run, on top of its own covariance: what a
#: public ladder was off by, 1.4 e-folds beyond its one size (0.4 to 0.5 %, 25M to 100M of Luo et al. 2025 in
#: tests/benchmarks/forecast.py).
EXTRAPOLATION_LOG_SD = 0.004
#: Two-sided 80 % of a Gaussian. By definition.
GAUSSIAN_80 = 1.2816
#: Run-to-run sd of ln(final loss) from which runs are hardly of one recipe (seeds of public runs: 0.2 to 0.6 %), and
#: from which no law describes them: seeds alone move a final loss by up to 4 % (Choshen et al. 2024).
SCATTERED_LOG_SD, MOST_RUN_LOG_SD = 0.01, 0.04
#: Runs of different sizes that make the effect of size the data's own. By hand.
FEWEST_RUNS = 3
#: Losses beyond this are none [nats/token]. By hand.
MOST_LOSS = 1e30
#: (ln E, ln K, a, ln A, b) -> (least, most): no loss or exponent of a law lies beyond. By hand.
PARAMETER_RANGES = ((-100.0, 100.0), (-100.0, 100.0), (-10.0, 10.0), (-100.0, 100.0), (-10.0, 10.0))


@final
@dataclass(frozen=True, slots=True)
class RunPrior:
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


_INPUTS = ("parameters", "lr_sum", "annealing_sum")


@final
@dataclass(frozen=True, slots=True)
class CurveShape:
    """How the curve of every size falls: the annealing law without its level.

    Attributes:
        alpha: exponent of the sum of rates, dimensionless; alpha_log_sd: sd of its logarithm.
        ratio: rho, gain of a full decay over A at the reference sum; ratio_log_sd: sd of its logarithm.
        memory_steps: memory of the decay [optimizer steps].
    """

    alpha: float
    alpha_log_sd: float
    ratio: float
    ratio_log_sd: float
    memory_steps: float


@final
@dataclass(frozen=True, slots=True)
class CurveUnits:
    """What a law of curves counts, and from where.

    Attributes:
        lr_sum_unit: "tokens" or "steps", what S counts at peak rate.
        reference_lr_sum: S_ref [lr_sum_unit].
        size_kind: which parameters N counts, "total" or "non_embedding"; "none" if no run said.
        reference_size: N_ref, count.
    """

    lr_sum_unit: Literal["tokens", "steps"]
    reference_lr_sum: float
    size_kind: Literal["total", "non_embedding", "none"]
    reference_size: float


@final
@dataclass(frozen=True, slots=True)
class CurveScatter:
    """How far runs and rows lie from a law of curves.

    Attributes:
        run_log_sd: sd of ln(final loss) from run to run at one size and schedule.
        remaining_log_sd: the same of ln A.
        misfit: relative misfit of the curve's shape.
        row_noise: relative sd of one row's loss in these runs.
    """

    run_log_sd: float
    remaining_log_sd: float
    misfit: float
    row_noise: float


@final
@dataclass(frozen=True, slots=True)
class CurveEvidence:
    """What a law of curves rests on.

    Attributes:
        sizes: smallest and largest N fitted. lr_sums: smallest and largest S fitted.
        runs: how many runs it rests on.
        left_out: what the fit did not use and why, a sentence each.
    """

    sizes: tuple[float, float]
    lr_sums: tuple[float, float]
    runs: int
    left_out: tuple[str, ...] = ()


#: The parts of a law, whose fields stand side by side in a file.
_PARTS: dict[str, type] = {"shape": CurveShape, "units": CurveUnits, "scatter": CurveScatter, "evidence": CurveEvidence}


@final
@dataclass(frozen=True, slots=True, eq=False)
class CurveLaw(Law):
    """A fitted law of whole loss curves.

    Attributes:
        shape: of every curve. units: of S and N.
        parameters: (ln E, ln K, a, ln A, b); E, K, A in nats/token.
        covariance: of `parameters`, shape (5, 5).
        scatter: of runs and rows about it. evidence: what it rests on.
    """

    KIND: ClassVar = "annealing_curve_law"
    SOURCE: ClassVar = Publication("Tissue et al.", 2024, "arXiv 2408.11029", "equation 1, and a size")
    RANGES: ClassVar = {
        **{"alpha": (1e-2, 3.0), "alpha_log_sd": (0.0, 1.0), "ratio": (0.0, 100.0), "ratio_log_sd": (0.0, 1.0)},
        **{"memory_steps": (1.0, 1e12), "reference_lr_sum": (1e-6, 1e30), "reference_size": (1e-6, 1e18)},
        **{"run_log_sd": (1e-6, 10.0), "remaining_log_sd": (1e-6, 10.0), "misfit": (0.0, 1.0)},
        **{"row_noise": (0.0, 10.0), "runs": (1, 1e6)},
    }
    MORE: ClassVar = ("lr_sum_unit", "size_kind", "parameters", "covariance", "sizes", "lr_sums", "left_out")
    INVERSE: ClassVar = ("lr_sum",)

    shape: CurveShape
    units: CurveUnits
    parameters: Floats
    covariance: Floats
    scatter: CurveScatter
    evidence: CurveEvidence

    @classmethod
    def example(cls) -> CurveLaw:
        """Return a law of made-up runs of 10M to 300M parameters."""
        return cls(
            CurveShape(0.5, 0.1, 0.45, 0.12, 1_000.0),
            CurveUnits("tokens", 1e9, "total", 6e7),
            np.array([0.5, 0.2, 0.3, -1.0, 0.0]),
            np.diag([1e-3] * 5),
            CurveScatter(0.003, 0.05, 0.003, 0.02),
            CurveEvidence((1e7, 3e8), (3e8, 6e9), 4),
        )

    @property
    def inputs(self) -> tuple[Quantity, ...]:
        """Size, and S and D of the annealing law at the end of the plan."""
        units, evidence = self.units, self.evidence
        size = Quantity("parameters", f"{units.size_kind} parameters", *evidence.sizes)
        lr_sum = Quantity("lr_sum", f"{units.lr_sum_unit} at peak rate", *evidence.lr_sums)
        return size, lr_sum, Quantity("annealing_sum", "part of the peak rate taken away", 0.0, 1.0)

    def predict(self, inputs: Mapping[str, ArrayLike]) -> Floats:
        """Return the loss at the end [nats/token] at `parameters`, `lr_sum` and `annealing_sum`."""
        size, lr_sum, annealing_sum = (np.asarray(v, dtype=np.float64) for v in asked(inputs, *_INPUTS))
        log_e, log_k, a, log_a, b = self.parameters.tolist()
        log_n = np.log(size / self.units.reference_size)
        power = (lr_sum / self.units.reference_lr_sum) ** -self.shape.alpha
        bracket = power - self.shape.ratio * annealing_sum
        return np.asarray(np.exp(log_e) + np.exp(log_k - a * log_n) + np.exp(log_a + b * log_n) * bracket)[()]

    @property
    def numbers(self) -> dict[str, float]:
        """The constants of `RANGES`, by their names, whatever part holds them."""
        return {name: value for name, value in self._flat().items() if name in self.RANGES}

    def _flat(self) -> dict[str, Any]:
        return {name: value for part in _PARTS for name, value in asdict(getattr(self, part)).items()}

    def more_json(self) -> dict[str, Any]:
        """Return the fields that are no plain numbers."""
        flat = self._flat()
        arrays = {"parameters": self.parameters.tolist(), "covariance": self.covariance.tolist()}
        lists = {name: list(flat[name]) for name in ("sizes", "lr_sums", "left_out")}
        return {"lr_sum_unit": flat["lr_sum_unit"], "size_kind": flat["size_kind"], **arrays, **lists}

    @classmethod
    def of_fields(cls, values: dict[str, Any]) -> CurveLaw:
        """Return the law of the fields of a file, which holds all parts side by side."""
        parts = {name: part(*(values.pop(f.name) for f in fields(part))) for name, part in _PARTS.items()}
        return cls(**parts, **values)

    @classmethod
    def read_more(cls, record: dict[str, Any], source: Path) -> dict[str, Any]:
        """Return the fields that are no plain numbers."""
        return {
            "runs": int(record["runs"]),
            "lr_sum_unit": choice(source, "lr_sum_unit", record["lr_sum_unit"], ("tokens", "steps")),
            "size_kind": choice(source, "size_kind", record["size_kind"], ("total", "non_embedding", "none")),
            "parameters": np.array(numbers_within(source, "parameters", record["parameters"], PARAMETER_RANGES)),
            "covariance": _covariance(source, record["covariance"]),
            **{name: least_and_most(source, name, record[name]) for name in ("sizes", "lr_sums")},
            "left_out": sentences(source, "left_out", record["left_out"]),
        }

    def size_of(self, run: Run) -> float | None:
        """Return N of `run` as this law counts it, None if the run does not say."""
        if self.units.size_kind == "total":
            return run.parameters
        if self.units.size_kind == "non_embedding":
            return run.non_embedding_parameters
        return self.units.reference_size

    @property
    def usable(self) -> bool:
        """Whether one law describes its runs: they scatter about it by no more than seeds can make, 4 %."""
        return self.scatter.run_log_sd <= MOST_RUN_LOG_SD

    @property
    def cautions(self) -> tuple[str, ...]:
        """What its runs do not carry, and what to do, a sentence each; none if there is nothing to say."""
        notes, run_log_sd = [], self.scatter.run_log_sd
        if not self.usable:
            notes.append(
                f"The law does not describe these runs, their final losses lie {percent(run_log_sd)} off (one sd): fit "
                "runs of one recipe, one tokenizer and one unit."
            )
        elif run_log_sd > SCATTERED_LOG_SD:
            notes.append(
                f"The runs scatter about the law by {percent(run_log_sd, 1)}, more than runs of one recipe do: fit one "
                "recipe (data, tokenizer, batch size, peak rate) at a time."
            )
        if self.units.size_kind == "none":
            notes.append(
                "No run says its size, so this law knows one size only: say it (`parameters`) to predict others."
            )
        elif self.evidence.sizes[0] == self.evidence.sizes[1]:
            notes.append("All sizes are equal, so the effect of size rests on priors: add runs of other sizes.")
        elif self.evidence.runs < FEWEST_RUNS:
            notes.append("Two runs leave the effect of size to priors, and the interval is wide: add a third size.")
        return tuple(notes)

    def predict_run(self, run: Run, end_lr_sum: float, end_annealing_sum: float) -> RunPrior:
        """Predict the end of `run`.

        Args:
            run: the run, with its size and its tokens per step if the law counts those.
            end_lr_sum: S at the planned end [optimizer steps at peak rate].
            end_annealing_sum: D at the planned end, in [0, 1].

        Raises:
            ConfigError: if the law gives no finite number for this run: it is so far off that nothing is left.
        """
        try:
            expected = self._predict(run, end_lr_sum, end_annealing_sum)
        except OverflowError:
            expected = None
        spread = () if expected is None else (expected.end_loss_sd, expected.remaining, expected.remaining_sd)
        within = all(1e-40 < number < MOST_LOSS for number in spread)
        if expected is None or not within or not abs(expected.end_loss or 0.0) < MOST_LOSS:
            raise ConfigError(f"The law gives no finite loss for the run '{run.name}': it is of other runs than this.")
        return expected

    def _predict(self, run: Run, end_lr_sum: float, end_annealing_sum: float) -> RunPrior:
        notes: list[str] = []
        shape, units, lr_sum = self.shape, self.units, end_lr_sum
        if units.lr_sum_unit == "tokens":
            if run.tokens_per_step is None:
                notes.append("The law counts tokens and the run does not say how many a step has.")
                lr_sum = units.reference_lr_sum
            else:
                lr_sum = end_lr_sum * run.tokens_per_step
        size = self.size_of(run)
        log_n = 0.0 if size is None else math.log(size / units.reference_size)
        log_s = math.log(lr_sum / units.reference_lr_sum)
        power = math.exp(-shape.alpha * log_s)
        bracket = power - shape.ratio * end_annealing_sum
        _, _, _, log_a, b = self.parameters.tolist()
        amplitude = math.exp(log_a + b * log_n)
        end_loss, sd = self._end_loss(log_n, bracket, power * shape.alpha * shape.alpha_log_sd * abs(log_s))
        if size is None:
            notes.append("The run does not say its size, so the law gives the shape of its curve but not its level.")
        notes.extend(self._range_notes(size, lr_sum))
        return RunPrior(
            end_loss=None if size is None else end_loss,
            end_loss_sd=sd,
            remaining=amplitude * power,
            remaining_sd=amplitude * power * self.scatter.remaining_log_sd,
            ratio=shape.ratio / power,
            notes=tuple(notes),
        )

    def _end_loss(self, log_n: float, bracket: float, bracket_sd: float) -> tuple[float, float]:
        log_e, log_k, a, log_a, b = self.parameters.tolist()
        level, gain = math.exp(log_e), math.exp(log_k - a * log_n)
        amplitude = math.exp(log_a + b * log_n)
        end = level + gain + amplitude * bracket
        slope = np.array([level, gain, -gain * log_n, amplitude * bracket, amplitude * bracket * log_n])
        beyond = max(0.0, log_n - math.log(self.evidence.sizes[1] / self.units.reference_size))
        spread = self.scatter.run_log_sd**2 + (EXTRAPOLATION_LOG_SD * beyond) ** 2
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused by who asked
            of_law = float(slope @ self.covariance @ slope)
        variance = of_law + spread * end**2
        variance = variance * self._few_runs() ** 2 + (amplitude * bracket_sd) ** 2
        return end, math.sqrt(variance)

    def _few_runs(self) -> float:
        """Widening for a scatter that was itself estimated from few runs: Student's t over the Gaussian, at 80 %.

        The two-term expansion of Fisher and Cornish (1960), within 2 % of the exact ratio from 2 degrees of
        freedom on. One degree is the prior scatter, which counts as a run.
        """
        told_apart = 1 if self.evidence.sizes[0] == self.evidence.sizes[1] else 2
        freedom = max(self.evidence.runs - told_apart + 1, 2)
        z = GAUSSIAN_80
        first = (z**3 + z) / (4 * freedom)
        second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        return (z + first + second) / z

    def _range_notes(self, size: float | None, lr_sum: float) -> list[str]:
        notes, (smallest, largest), longest = [], self.evidence.sizes, self.evidence.lr_sums[1]
        if size is not None and self.units.size_kind != "none":
            if size > 10 * largest:
                notes.append(
                    f"Extrapolates {size / largest:.0f}x past the largest fitted run; "
                    "intervals are unreliable past 10x."
                )
            elif size < smallest / 3:
                notes.append("The run is smaller than every run the law was fitted on.")
        if lr_sum > 3 * longest:
            notes.append(f"Trains {lr_sum / longest:.1f}x longer than the longest fitted run.")
        return notes


def _covariance(source: Path, value: Any) -> Floats:
    if not isinstance(value, list) or len(value) != 5:
        raise LawFileError(f"{source}: `covariance` must be 5 lists of 5 numbers.")
    matrix = np.array([numbers(source, f"covariance[{i}]", row, 5) for i, row in enumerate(value)])
    if not np.allclose(matrix, matrix.T, rtol=1e-6, atol=1e-12) or np.linalg.eigvalsh(matrix).min() < -1e-9 * max(
        float(np.abs(matrix).max()), 1e-300
    ):
        raise LawFileError(f"{source}: `covariance` must be symmetric and positive.")
    return matrix
