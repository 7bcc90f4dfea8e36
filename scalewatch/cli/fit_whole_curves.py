"""The half of `scalewatch fit` that turns whole loss curves into a law of curves, and says how far to trust it."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scalewatch.cli.fit_runs import Drawing, say
from scalewatch.cli.fit_tables import Constant, FittedLaw, constants_table
from scalewatch.errors import FitError, JournalError
from scalewatch.figures.law_parts import used_curves
from scalewatch.laws import Curve, CurveLaw
from scalewatch.offline.journals import find_journals
from scalewatch.offline.listed import MOST_NAMED, how_many, named
from scalewatch.plan.quantities import count
from scalewatch.text import percent

if TYPE_CHECKING:
    from rich.console import Console

    from scalewatch.offline.reading import Reading

__all__ = ["curves_of", "fit_whole_curves"]

#: The law, as it is printed.
FORMULA = "L = E + K n^-a + A n^b (w^-alpha - rho D)"
#: Normal deviate of `LEVEL`, both sides.
NORMAL_80 = 1.2816
#: Part of its plan that a run may lack and still count as finished.
UNFINISHED = 0.02
#: Curves that are shown in the table, the largest.
MOST_SHOWN = 24


def fit_whole_curves(console: Console, reading: Reading, output: Path, drawing: Drawing) -> FittedLaw:
    """Fit a law of curves, print it, write it, draw it; return what was made.

    Raises:
        FitError: if no curve can be used, with the reason of each.
    """
    from scalewatch.fitting import fit_curves
    from scalewatch.laws import save_law

    curves = curves_of(console, reading)
    law = fit_curves(curves)
    save_law(law, output)
    say(console, [*_first(law.evidence.left_out), _parts_left_out()], "yellow")
    say(console, [_used(law)], "")
    console.print(_runs_table(curves, law))
    constants = _constants(law)
    console.print(constants_table(FORMULA, constants))
    say(console, [_promise(curves, law)], "")
    say(console, law.cautions, "yellow" if law.usable else "bold red")
    say(console, [f"Written to {output}."], "")
    if law.usable:
        say(console, [f"Watch a run with it: ScaleWatch(law={str(output)!r})"], "")
    if drawing.out is not None:
        from scalewatch.figures.laws import curve_chart

        picture = curve_chart(drawing.chart, law, curves, goal=drawing.goal, dark=drawing.dark)
        drawing.save(console, picture)
    return FittedLaw("curves", FORMULA, law.evidence.runs, constants, law.usable)


def curves_of(console: Console, reading: Reading, *, rates: bool = True) -> list[Curve]:
    """Return the curves of journals and tables, each once and by a name of its own, and say what was left out.

    Args:
        console: where that is said. reading: of what was given. rates: whether a table must have learning rates.

    Raises:
        FitError: if a table has no row a step, or there is no curve at all.
    """
    from scalewatch.offline.curve_tables import curves_from_tables, missing_of_curves

    for table in reading.tables:
        missing = missing_of_curves(table, reading.overrides, rates=rates)
        if missing:
            raise FitError(
                f"{table.source}: whole curves need a row a step, with step, loss{' and learning_rate' * rates}, and "
                f"there is no column for {' and '.join(missing)}; say which: --column {missing[0]}=NAME."
            )
    curves, notes, skipped = curves_from_tables(
        reading.tables, reading.overrides, bytes_per_token=reading.bytes_per_token
    )
    if reading.folders or not reading.tables:
        more, unread = _curves(find_journals(reading.folders))
        curves, skipped = [*curves, *more], [*skipped, *unread]
        notes.append(f"Read: {how_many(len(more), 'journal')}.")
    say(console, notes, "dim")
    curves, copies = _without_copies(_named_apart(curves))
    say(console, [*_first(skipped), *copies, *_unfinished(curves)], "yellow")
    if not curves:
        raise FitError("There is no run to fit a law to. " + " ".join(skipped))
    return curves


def _curves(journals: list[Path]) -> tuple[list[Curve], list[str]]:
    from scalewatch.journal import read_journal

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
    return curves, skipped


def _named_apart(curves: Sequence[Curve]) -> list[Curve]:
    """Number the runs that share a name, so that what is said of one is not said of another."""
    times, seen = Counter(curve.run.name for curve in curves), Counter[str]()
    apart = []
    for curve in curves:
        name = curve.run.name
        seen[name] += 1
        apart.append(curve if times[name] == 1 else curve.renamed(f"{name} ({seen[name]})"))
    return apart


def _without_copies(curves: Sequence[Curve]) -> tuple[list[Curve], list[str]]:
    """A run that was given twice counts once."""
    first: dict[tuple[bytes, bytes], Curve] = {}
    copies = []
    for curve in curves:
        twin = first.setdefault((curve.steps.tobytes(), curve.loss.tobytes()), curve)
        if twin is not curve:
            copies.append(curve.run.name)
    note = f"Left out: {how_many(len(copies), 'run')} row for row a copy of another: {named(copies)}."
    return list(first.values()), [note] if copies else []


def _unfinished(curves: Sequence[Curve]) -> list[str]:
    names = [
        f"{curve.run.name:.60} ({int(curve.steps[-1]):,} of {curve.run.total_steps:,} steps)"
        for curve in curves
        if curve.hole is None
        and curve.run.total_steps is not None
        and curve.steps[-1] < (1 - UNFINISHED) * curve.run.total_steps
    ]
    return [f"Stopped before the planned end, and used up to there: {named(names)}."] if names else []


def _first(sentences: Sequence[str]) -> list[str]:
    more = len(sentences) - MOST_NAMED
    return [*sentences[:MOST_NAMED], *([f"And {how_many(more, 'run')} more left out."] if more > 0 else [])]


def _parts_left_out() -> str:
    from scalewatch.fitting.curves import LEFT_OUT_SHARE

    return (
        f"Left out: of each run, the warm-up and the first {percent(LEFT_OUT_SHARE)} of its walk (learning rate times "
        "steps); early descent is of another law."
    )


def _used(law: CurveLaw) -> str:
    low, high = (count(size) for size in law.evidence.sizes)
    kind = law.units.size_kind.replace("_", "-")
    sizes = "of unknown size" if kind == "none" else f"{low if low == high else f'{low} to {high}'} {kind} parameters"
    walks = " to ".join(dict.fromkeys(count(walk) for walk in law.evidence.lr_sums))
    return f"Used: {how_many(law.evidence.runs, 'run')}, {sizes}, {walks} {law.units.lr_sum_unit} walked at peak rate."


def _expected(curve: Curve, law: CurveLaw) -> tuple[float, float] | None:
    """What the law says of the end of a curve: loss and its sd [nats/token]."""
    from scalewatch.laws import schedule_features

    plan = curve.run.learning_rates
    if plan is None:
        return None
    walked, annealed = schedule_features(plan, [law.shape.memory_steps]).at([float(curve.steps[-1])])
    expected = law.predict_run(curve.run, float(walked[0]), float(annealed[0, 0]))
    return None if expected.end_loss is None else (expected.end_loss, expected.end_loss_sd)


def _fitted(curves: Sequence[Curve], law: CurveLaw) -> list[Curve]:
    return sorted(used_curves(law, curves), key=lambda curve: law.size_of(curve.run) or 0.0)


def _promise(curves: Sequence[Curve], law: CurveLaw) -> str:
    """How well the law knows a run like its largest."""
    expected = _expected(_fitted(curves, law)[-1], law)
    if expected is None or not law.usable:
        return "What it says of a new run cannot be relied on."
    half = NORMAL_80 * expected[1] / expected[0]
    return f"A new run like the largest will end within {percent(half, 1)} of the law, four times in five."


def _runs_table(curves: Sequence[Curve], law: CurveLaw) -> object:
    from rich import box
    from rich.table import Table

    ordered = _fitted(curves, law)
    hidden = max(len(ordered) - MOST_SHOWN, 0)
    title = f"Runs{f', the {MOST_SHOWN} largest of {len(ordered)}' if hidden else ''}"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("run", overflow="fold")
    for name in ("parameters", "steps", "final loss", "law", "error"):
        table.add_column(name, justify="right", no_wrap=True)
    for curve in ordered[hidden:]:
        final = float(np.mean(curve.loss[-max(len(curve.loss) // 50, 1) :]))
        expected, size = _expected(curve, law), law.size_of(curve.run)
        table.add_row(
            curve.run.name.replace("[", r"\["),
            "?" if size is None or law.units.size_kind == "none" else count(size),
            f"{int(curve.steps[-1]):,}",
            f"{final:.4f}",
            "" if expected is None else f"{expected[0]:.4f}",
            "" if expected is None else f"{100 * (expected[0] / final - 1):+.2f} %",
        )
    return table


def _constants(law: CurveLaw) -> tuple[Constant, ...]:
    log_e, log_k, a, log_a, b = law.parameters.tolist()
    half = [NORMAL_80 * math.sqrt(v) for v in law.covariance.diagonal()]

    def scaled(log_value: float, log_half: float) -> tuple[float, float]:
        with np.errstate(over="ignore"):
            low, high = np.exp([log_value - log_half, log_value + log_half])
        return float(low), float(high)

    rows = [
        Constant("E", math.exp(log_e), scaled(log_e, half[0]), "nats/token that no model gets below"),
        Constant(
            "K", math.exp(log_k), scaled(log_k, half[1]), f"what size gains, at n = {count(law.units.reference_size)}"
        ),
        Constant("a", a, (a - half[2], a + half[2]), "exponent of size"),
        Constant("A", math.exp(log_a), scaled(log_a, half[3]), "what training longer gains"),
        Constant("b", b, (b - half[4], b + half[4]), "its exponent in size"),
        Constant(
            "alpha",
            law.shape.alpha,
            scaled(math.log(law.shape.alpha), NORMAL_80 * law.shape.alpha_log_sd),
            "exponent of the sum of rates",
        ),
        Constant("rho", law.shape.ratio, _of_ratio(law), "gain of a full decay, in parts of A"),
        Constant("noise", law.scatter.run_log_sd, None, "run-to-run sd of ln(final loss)"),
    ]
    if not law.usable:
        rows = [dataclasses.replace(row, interval=row.interval and (-math.inf, math.inf)) for row in rows]
    return tuple(rows)


def _of_ratio(law: CurveLaw) -> tuple[float, float]:
    factor = math.exp(NORMAL_80 * law.shape.ratio_log_sd)
    return law.shape.ratio / factor, law.shape.ratio * factor
