"""What `scalewatch fit` is asked beside its runs: how they are fitted, and what is drawn of the law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

import typer

from scalewatch.cli.options import Dark, Draw, Target
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    from scalewatch.fitting.points import Estimator

__all__ = ["DrawingOptions", "EstimatorOptions"]


@dataclass(frozen=True, slots=True)
class DrawingOptions:
    """Which chart goes where, and the run that its ladder is for."""

    out: Draw = None
    chart: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="What --out draws: auto, isoflop, isoloss, compute, residuals, ladder or collapse."
        ),
    ] = "auto"
    target: Target = None
    outcome: Annotated[float | None, typer.Option(metavar="NATS", help="Loss that it came out at.")] = None
    dark: Dark = False


@dataclass(frozen=True, slots=True)
class EstimatorOptions:
    """How runs are fitted."""

    breaks: Annotated[int, typer.Option(help="Breaks of a broken law: 0, 1 or 2.")] = 1
    estimator: Annotated[str, typer.Option(metavar="NAME", help="huber, or lad: least absolute deviations.")] = "huber"
    bootstrap: Annotated[int, typer.Option(help="Resamples for intervals; 0: the normal approximation.")] = 1_000
    keep_outliers: Annotated[bool, typer.Option("--keep-outliers", help="Fit runs far above the law too.")] = False

    def check(self) -> None:
        """Refuse what cannot be, before anything is read.

        Raises:
            ConfigError: if an option is out of its range.
        """
        from scalewatch.fitting.bootstrap import MOST_RESAMPLES

        if self.estimator not in ("huber", "lad"):
            raise ConfigError(f"`--estimator` must be huber or lad (got {self.estimator!r:.40}).")
        if not 0 <= self.bootstrap <= MOST_RESAMPLES:
            raise ConfigError(f"`--bootstrap` must lie between 0 and {MOST_RESAMPLES:,} (got {self.bootstrap}).")

    @property
    def kind(self) -> Estimator:
        """The estimator, which `check` has let pass."""
        return cast("Estimator", self.estimator)
