"""`scalewatch reproduce`: published numbers, recomputed from the data behind them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalewatch.cli.options import AsJson
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from scalewatch.reproduce import Check, RowResult

__all__ = ["reproduce"]

#: Exit code when a row fails; rows without data are not failures.
FAILED = 1
#: Columns of the name of a number, as published, ours, and of how far apart they may be [letters].
_WIDTHS = (38, 12, 13, 15)


def reproduce(
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="SCALEWATCH_DATA", metavar="FOLDER", help="Folder with the public runs.", show_default=False
        ),
    ] = None,
    row: Annotated[
        list[int] | None, typer.Option(metavar="N", help="Only this row. Repeat.", show_default=False)
    ] = None,
    json_: AsJson = False,
) -> None:
    """Recompute the published numbers: exit code 0 if what can be computed agrees, 1 if a row does not.

    A row whose data are not there is no failure: it is said which table it needs, and where that is public.
    """
    from rich.console import Console

    from scalewatch.cli.outputs import print_hanging, print_json
    from scalewatch.reproduce import DataFolder, Outcome
    from scalewatch.reproduce import reproduce as recompute

    if data is not None and not data.is_dir():
        raise ConfigError(f"--data must be a folder (got {str(data)!r:.200}).")
    results = []
    with Console(stderr=True).status("Recomputing") as status:
        for result in recompute(DataFolder(data), row or ()):
            results.append(result)
            status.update(f"Row {result.row.number} took {result.seconds:.1f} s")
    wrong = [result for result in results if result.outcome is Outcome.FAIL and not result.row.timed]
    code = FAILED if wrong else 0
    if json_:
        print_json({"exit_code": code, "rows": [_record(result) for result in results]})
    else:
        console = Console()
        for part in _page(results):
            console.print(part, soft_wrap=True, highlight=False)
        console.print()
        for line in _last_words(results):
            print_hanging(console, line, indent=4 if line.startswith("  ") else 2)
    raise typer.Exit(code)


def _page(results: list[RowResult]) -> Iterator[Text]:
    from rich.text import Text

    names = (f"{name:>{width}}" for name, width in zip(("published", "ours", "tolerance"), _WIDTHS[1:], strict=True))
    yield Text(f"{'row':<{_WIDTHS[0]}}" + "".join(names), style="dim")
    styles = {"pass": "green", "fail": "bold red", "missing": "yellow"}
    for result in results:
        row, outcome = result.row, result.outcome
        verdict = f"needs {result.file}" if result.file else f"{outcome}  {result.seconds:.2f} s"
        title = f"{row.number:>2}  {row.title}"
        room = sum(_WIDTHS) - len(title)
        yield Text.assemble((title, "bold"), (f"{verdict:>{room}}", styles[outcome]))
        if result.file:
            continue
        yield Text(f"    {row.source}", style="dim")
        for check in result.checks:
            cells = "".join(f"{cell:>{width}}" for cell, width in zip(_cells(check), _WIDTHS[1:], strict=True))
            yield Text(f"    {check.quantity:<{_WIDTHS[0] - 4}}{cells}", style="" if check.passed else "bold red")
        if result.missing is not None:
            yield Text(f"    {result.missing}", style="yellow")
        elif row.timed and not all(check.passed for check in result.checks):
            yield Text("    a busy machine is slower: this row does not count as wrong", style="yellow")


def _cells(check: Check) -> tuple[str, str, str]:
    if check.how == "at least":
        return f"{check.published:.4g}", f"{check.ours:.4g}", f"at least {check.published - check.tolerance:.4g}"
    if check.how == "at most":
        return f"{check.published:.4g}", f"{check.ours:.4g}", f"at most {check.published + check.tolerance:.4g}"
    published, ours = f"{check.published:.7g}", f"{check.ours:.7g}"
    if check.tolerance == 0:
        return published, ours, "exact"
    return published, ours, f"{100 * check.tolerance:g} %" if check.how == "rel" else f"{check.tolerance:g}"


def _last_words(results: list[RowResult]) -> list[str]:
    from scalewatch.reproduce import ORIGINS, Outcome

    counts = {outcome: sum(result.outcome is outcome for result in results) for outcome in Outcome}
    seconds = sum(result.seconds for result in results)
    left_out: dict[str, list[str]] = {}
    for result in results:
        if result.row.left_out:
            left_out.setdefault(result.row.left_out, []).append(str(result.row.number))
    lines = [f"row{'s' if len(rows) > 1 else ''} {', '.join(rows)}: {why}" for why, rows in left_out.items()]
    words = [
        f"{counts[Outcome.PASS]} of {len(results)} rows agree, {counts[Outcome.FAIL]} do not, "
        f"{counts[Outcome.MISSING]} lack their data; {seconds:.1f} s."
    ]
    needed = dict.fromkeys(result.file for result in results if result.file)
    if needed:
        words.append(
            "What a row needs is public, and not in this package. Put it into a folder as tables of these names, and "
            "name the folder by --data:"
        )
        words += [f"  {name}: {ORIGINS[name]}." for name in needed]
    return [*words, *(f"Not covered: {line}" for line in lines)]


def _record(result: RowResult) -> dict[str, object]:
    checks = [
        {"quantity": c.quantity, "published": c.published, "ours": c.ours, "tolerance": c.tolerance, "how": c.how}
        | {"passed": c.passed}
        for c in result.checks
    ]
    row = result.row
    return {
        "row": row.number,
        "title": row.title,
        "source": row.source,
        "outcome": str(result.outcome),
        "seconds": result.seconds,
        "missing": result.missing,
        "left_out": row.left_out,
        "checks": checks,
    }
