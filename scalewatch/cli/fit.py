"""`scalewatch fit`: a law file from finished, smaller runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalewatch.cli.journals import find_journals
from scalewatch.errors import FitError, JournalError

if TYPE_CHECKING:
    from scalewatch.laws import Curve, CurveLaw

__all__ = ["fit"]


def fit(
    runs: Annotated[list[Path], typer.Argument(help="Folders that hold journals, at any depth.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the law file goes.")] = Path("ladder.law.json"),
) -> None:
    """Fit a law of whole loss curves to finished runs, and write it to a file.

    The runs must share their recipe (data, tokenizer, optimizer, batch size) and differ in size: three
    sizes or more make a law that can be trusted beyond them.
    """
    from rich.console import Console

    from scalewatch.laws import fit_curves, save_law

    console = Console()
    curves, skipped = _curves(find_journals(runs))
    for reason in skipped:
        console.print(reason, style="yellow", markup=False)
    law = fit_curves(curves)
    save_law(law, output)
    console.print(_runs_table(curves, law))
    console.print(_law_table(law))
    for reason in law.left_out:
        console.print(reason, style="yellow", markup=False)
    console.print(f"Written to {output}. Watch a run with it: ScaleWatch(law={str(output)!r})", markup=False)


def _curves(journals: list[Path]) -> tuple[list[Curve], list[str]]:
    from scalewatch.journal import read_journal
    from scalewatch.laws import Curve

    curves, skipped = [], []
    for folder in journals:
        try:
            journal = read_journal(folder)
            if journal.run is None:
                raise FitError(f"{folder}: its header cannot be read, so nothing is known of the run.")
            rows = journal.observations
            curves.append(Curve(journal.run, [r.step for r in rows], [r.loss for r in rows]))
        except (FitError, JournalError) as fault:
            skipped.append(f"Left out: {fault}")
    if not curves:
        raise FitError("There is no run to fit a law to. " + " ".join(skipped))
    return curves, skipped


def _runs_table(curves: list[Curve], law: CurveLaw) -> object:
    import numpy as np
    from rich.table import Table

    from scalewatch.laws import schedule_features

    table = Table(title="runs", title_justify="left")
    for name in ("run", "parameters", "steps", "final loss", "law", "error"):
        table.add_column(name, justify="left" if name == "run" else "right")
    for curve in sorted(curves, key=lambda c: law.size_of(c.run) or 0.0):
        plan = curve.run.learning_rates
        last = max(len(curve.loss) // 50, 1)
        final = float(np.mean(curve.loss[-last:]))
        expected = None
        if plan is not None:
            walked, annealed = schedule_features(plan, [law.memory_steps]).at([float(curve.steps[-1])])
            expected = law.predict(curve.run, float(walked[0]), float(annealed[0, 0])).end_loss
        size = law.size_of(curve.run)
        table.add_row(
            curve.run.name,
            "?" if size is None else f"{size:,.0f}",
            f"{int(curve.steps[-1]):,}",
            f"{final:.4f}",
            "" if expected is None else f"{expected:.4f}",
            "" if expected is None else f"{100 * (expected / final - 1):+.2f} %",
        )
    return table


def _law_table(law: CurveLaw) -> object:
    from rich.table import Table

    log_e, log_k, a, log_a, b = law.parameters.tolist()
    sd = [math.sqrt(v) for v in law.covariance.diagonal()]
    table = Table(title="L = E + K n^-a + A n^b (w^-alpha - rho D)", title_justify="left")
    for name in ("", "value", "standard error", "what it is"):
        table.add_column(name, justify="right" if name in ("value", "standard error") else "left")
    rows = (
        ("E", math.exp(log_e), math.exp(log_e) * sd[0], "nats/token that no model of this recipe gets below"),
        ("K", math.exp(log_k), math.exp(log_k) * sd[1], f"nats/token that size can gain, at {law.reference_size:,.0f}"),
        ("a", a, sd[2], "exponent of the size"),
        ("A", math.exp(log_a), math.exp(log_a) * sd[3], "nats/token that training longer can gain"),
        ("b", b, sd[4], "its exponent in the size"),
        ("alpha", law.alpha, law.alpha * law.alpha_log_sd, f"exponent of the {law.walk_unit} walked"),
        ("rho", law.ratio, law.ratio * law.ratio_log_sd, "gain of a full decay, in parts of A"),
        ("noise", law.run_log_sd, float("nan"), "run-to-run sd of ln(final loss)"),
    )
    for name, value, error, meaning in rows:
        table.add_row(name, f"{value:.4g}", "" if math.isnan(error) else f"{error:.2g}", meaning)
    return table
