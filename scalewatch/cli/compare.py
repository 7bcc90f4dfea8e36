"""`scalewatch replay LOG --against REFERENCE`: is this loss curve the same as last release's?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalewatch.cli.outputs import print_hanging, print_json
from scalewatch.errors import ConfigError, LogError

if TYPE_CHECKING:
    from scalewatch.logs.log import AbstractLog
    from scalewatch.offline.compare import Comparison
    from scalewatch.offline.replayed import Settings

__all__ = ["compare_with_reference", "sentences"]

#: Exit codes: the curves are the same as far as can be told, they are not.
SAME, DIFFERENT = 0, 1


def compare_with_reference(
    paths: Sequence[Path], reference: Path, settings: Settings, tolerance: float | None, *, json_: bool, quiet: bool
) -> int:
    """Compare each run at `paths` with the one at `reference`, print what came out, and return the exit code.

    Args:
        paths, reference: logs. settings: how to read them. tolerance: difference that is none [%].
        json_: print JSON. quiet: print only runs that differ.

    Raises:
        LogError: if a log cannot be read, the reference is several runs, or two runs share too little.
        ConfigError: if `tolerance` is not above 0.
    """
    from scalewatch.offline.compare import compare_curves, series

    if tolerance is not None and not 0 < tolerance < 100:
        raise ConfigError(f"`--tolerance` is in per cent, above 0 and below 100 (got {tolerance:g}).")
    to = _one(reference, settings)
    base = series(to.rows())
    opened = settings.open(paths)
    if opened.unreadable:
        raise LogError(opened.unreadable[0].reason)
    records, code = [], SAME
    for log in opened.logs:
        try:
            result = compare_curves(series(log.rows()), base, None if tolerance is None else tolerance / 100)
        except LogError as fault:
            raise LogError(f"{log.path} against {to.path}: {fault}") from None
        code = DIFFERENT if result.differs else code
        records.append({"run": log.name, "reference": to.name, "differs": result.differs, **_plain(result)})
        if not json_ and (result.differs or not quiet):
            _print(log, to, result)
    if json_:
        print_json({"exit_code": code, "comparisons": records})
    return code


def _plain(result: Comparison) -> dict[str, Any]:
    """A comparison as one flat table of plain values."""
    flat = {**asdict(result.difference), **asdict(result.pairing)}
    return {"outcome": result.outcome.value, **flat, "since": result.since, "stretches": result.stretches}


def _one(reference: Path, settings: Settings) -> AbstractLog:
    from scalewatch.logs import open_logs

    opened = open_logs([reference], columns=settings.columns, form=settings.form)
    if len(opened.logs) != 1:
        reason = opened.unreadable[0].reason if opened.unreadable else f"{reference}: no run there."
        several = ", ".join(log.name for log in opened.logs[:8])
        raise LogError(f"`--against` takes one run, and {reference} holds {several}." if opened.logs else reason)
    return opened.logs[0]


def _print(log: AbstractLog, to: AbstractLog, result: Comparison) -> None:
    from rich.console import Console

    from scalewatch.offline.replayed import notes
    from scalewatch.text import no_control

    console = Console()
    style = "bold red" if result.differs else "green" if result.outcome == "same" else "yellow"
    first, *rest = sentences(result)
    console.print(no_control(f"{log.name} against {to.name}"), style="bold", markup=False, highlight=False)
    print_hanging(console, first, style)
    for line in rest:
        print_hanging(console, f"  {line}", indent=4)
    for each in (log, to):
        for note in notes(each):
            console.print(no_control(f"  log of {each.name}: {note}"), style="yellow", markup=False, highlight=False)


def sentences(result: Comparison) -> list[str]:
    """Return a comparison in sentences, the verdict first."""
    difference, pairing = result.difference, result.pairing
    by = f"{_signed(100 * difference.relative)} % ({difference.nats:+.4f} nats)"
    interval = f"95 % interval {_signed(100 * difference.low)} to {_signed(100 * difference.high)} %"
    allowed = f"{100 * difference.tolerance:g} %"
    if result.outcome == "different":
        side = "above" if difference.relative > 0 else "below"
        head = f"DIFFERENT since about step {result.since:,}: the loss is {side} the reference, {by}, {interval}."
    elif result.differs:
        head = f"DIFFERENT on the way, not in the end: {by} there, {interval}."
    elif result.outcome == "same":
        head = f"SAME within {allowed}: {by}, {interval}."
    else:
        head = f"NOT TO BE TOLD: {by}, {interval}, which is too wide for a tolerance of {allowed}."
    lines = [head]
    for first, last, relative in result.stretches[:8]:
        lines.append(f"Steps {first:,} to {last:,}: {_signed(100 * relative)} %.")
    if len(result.stretches) > 8:
        lines.append(f"And {len(result.stretches) - 8} more stretches.")
    if pairing.nonfinite:
        lines.append(f"{pairing.nonfinite:,} rows have no finite loss where the reference has one.")
    batches = "they saw the same batches" if pairing.same_batches else "they did not see the same batches in one order"
    if "interpolated" in pairing.paired_by:
        batches = "few steps are in common, so the reference is interpolated"
    lines.append(
        f"Judged over the last quarter of steps {pairing.first:,} to {pairing.last:,}: {pairing.rows:,} rows paired by "
        f"{pairing.paired_by}; residuals correlate at {pairing.correlation:.3f}: {batches}. "
        f"Differences within {allowed} count as none (--tolerance)."
    )
    return lines


def _signed(value: float) -> str:
    return f"{value:+.3f}" if abs(value) < 1 else f"{value:+.2f}"
