"""What is printed fits the terminal: columns go in a fixed order, rows become records, and no number is cut."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from scalewatch.cli import new_app
from scalewatch.cli.fitting_table import Column, fitting_table
from scalewatch.cli.replay import finding_text
from scalewatch.finding import Finding, Kind, Severity
from tests.cli.conftest import loss_of
from tests.cli.tables import write

COLUMNS = (Column("run", "name"), Column("verdict", "text"), Column("pages", goes=1), Column("loss"))
LONG = "a-very-long-name-of-a-run-that-was-made-by-a-script-lr"
ROWS = [
    (f"{LONG}-1e-3-seed-0", "LOST: spike since step 1,152", "2", "10.291"),
    (f"{LONG}-3e-3-seed-0", "healthy", "", "2.305"),
]
WIDTHS = (60, 72, 80, 100, 120)
TYPED = ("replay {0} {1}", "replay {1}", "forecast {0}", "whatif {0} --at 50%", "sweep {0} {1} --at 50%")


def printed(table: Any, width: int) -> list[str]:
    """The lines of a table in a terminal of some width."""
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().splitlines() if line.strip()]


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(width: int) -> None:
    """Nor do two names become one."""
    lines = printed(fitting_table(COLUMNS, ROWS, width), width)
    text = " ".join(lines)

    assert max(map(len, lines)) <= width
    assert "10.291" in text
    assert "2.305" in text
    assert len({line.split()[0] for line in lines if line.lstrip().startswith(("a-", "…"))}) == 2


def test_columns_go_before_the_last_ones_are_cut() -> None:
    """That of the greatest number first, and never one of nought."""
    wide = (Column("n"), *(Column(f"number {place}", goes=place) for place in range(6)))
    rows = [("1", *["123,456.789"] * 6)]

    heads = {width: re.findall(r"number (\d)", " ".join(printed(fitting_table(wide, rows, width), width)))
             for width in (100, 60, 40)}  # fmt: skip

    assert ["0", "1", "2", "3", "4", "5"] == heads[100]
    assert ["0", "1", "2", "3"] == heads[60]
    assert ["0", "1"] == heads[40]


def test_a_narrow_terminal_gets_a_record_a_row_with_everything_in_it() -> None:
    """Also what a table would have left out."""
    lines = printed(fitting_table(COLUMNS, ROWS, 50), 50)

    assert "  LOST: spike since step 1,152" in lines
    assert "  pages\N{NO-BREAK SPACE}2, loss\N{NO-BREAK SPACE}10.291" in lines


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("typed", TYPED)
def test_a_command_keeps_to_the_width_of_its_terminal(typed: str, width: int, tmp_path: Path) -> None:
    """And says nothing with an ellipsis but the name of a run."""
    names = []
    for seed, high in enumerate((0.0, 3.0)):
        rates, losses = loss_of(2e5, seed)
        losses[400:] += high
        path = tmp_path / f"a-long-name-of-a-run-from-a-sweep-over-rates-{seed}.csv"
        names.append(write(path, {"step": [*range(1, 601)], "loss": losses.tolist(), "lr": rates.tolist()}))

    said = CliRunner().invoke(new_app(), typed.format(*names).split(), env={"COLUMNS": str(width)})
    lines = said.stdout.splitlines()

    assert lines
    assert [] == [line for line in lines if len(line.rstrip()) > width]
    assert [] == [line for line in lines if re.search(r"\d…|…\d", line.replace("rates-0", "").replace("rates-1", ""))]


def test_a_finding_goes_on_below_its_sentence() -> None:
    """Where there is room for that, else a little further in than its step."""
    finding = Finding(Kind.SPIKE, Severity.WARNING, 2670, 2668, "loss rose from 0.541 to 0.666 " * 4)
    wide, narrow = (finding_text(finding, width).splitlines() for width in (100, 60))

    assert wide[0].index("loss rose") == len(wide[1]) - len(wide[1].lstrip())
    assert narrow[0].startswith("step 2,670  warning, opened: loss rose")
    assert all(line.startswith("    ") and len(line) <= 60 for line in narrow[1:])


def test_files_that_are_passed_over_are_summed_up_in_one_line(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """`--json` has each."""
    rates, losses = loss_of(2e5, 0)
    for step in (200, 400, 600):
        history = [
            {"step": n, "loss": float(losses[n - 1]), "learning_rate": float(rates[n - 1])} for n in range(1, step + 1)
        ]
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "trainer_state.json").write_text(json.dumps({"log_history": history, "global_step": step}))

    said = scalewatch("replay", tmp_path)

    assert 1 == said.err.count("passed over")
    assert "and 1 more: a later checkpoint holds its rows too" in said.err
