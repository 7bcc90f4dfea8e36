"""What a person reads is one line a message, and the progress bar survives it."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar, TQDMProgressBar

from scalewatch.advice import Action, Advice, EvidenceGrade
from scalewatch.finding import Finding, Kind, Phase, Severity
from scalewatch_lightning import ScaleWatch
from scalewatch_torch.watching import terminal
from scalewatch_torch.watching.terminal import Terminal, advice_line, escape, finding_line, verdict_table
from tests.scalewatch_lightning.conftest import TinyText, loader


def test_a_finding_is_one_line() -> None:
    """When, how bad, what."""
    spike = Finding(Kind.SPIKE, Severity.WARNING, 1240, 1235, "loss 3.91 is 0.52 above its recent level")

    assert finding_line(spike) == "scalewatch: step 1,240: warning: spike: loss 3.91 is 0.52 above its recent level"


def test_the_end_of_an_incident_reads_as_its_end() -> None:
    """Its severity says nothing then."""
    over = Finding(Kind.BAD_BATCH, Severity.INFO, 9, 7, "back to normal", {}, Phase.CLOSED)

    assert finding_line(over) == "scalewatch: step 9: over: bad batch: back to normal"


def test_an_advice_is_one_line() -> None:
    """What to do, how sure that is, what it gains with its interval, why."""
    advice = Advice(Action.DECAY_NOW, "The plateau is reached.", EvidenceGrade.B, 0.0213, 7, (0.015, 0.03))

    assert advice_line(advice) == (
        "scalewatch: advice: decay now (evidence B, gains 0.021 of loss, 80 %: 0.015 to 0.030): The plateau is reached."
    )


def test_what_would_change_an_advice_stands_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    """So that nobody has to believe it."""
    Terminal(None).advice(Advice(Action.STOP, "Lost.", EvidenceGrade.C, would_change="A loss\nthat falls."))

    assert capsys.readouterr().out.splitlines() == [
        "scalewatch: advice: stop (evidence C): Lost.",
        "scalewatch: ignore this if A loss\\nthat falls.",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("größer × σ", "größer × σ"),
        ("two\nlines\r", "two\\nlines\\r"),
        ("\x1b[2J\x07\x00", "\\x1b[2J\\x07\\x00"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb\u2028c\ufeff", "a\\u202eb\\u2028c\\ufeff"),
        ("\ud800", "\\ud800"),
        (ValueError("x"), "x"),
    ],
)
def test_nothing_from_outside_drives_the_terminal(text: object, expected: str) -> None:
    """Control, direction and line characters are shown as what they are."""
    assert escape(text) == expected


def test_a_message_of_a_megabyte_is_cut() -> None:
    """Nobody reads it."""
    assert len(escape("x" * 2**20)) == terminal.MAX_LINE_CHARACTERS


def test_lines_of_a_run_have_an_end(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one says where the others are."""
    monkeypatch.setattr(terminal, "MAX_LINES", 3)
    shown = Terminal(None)

    for n in range(10):
        shown.say(f"line {n}")

    assert capsys.readouterr().out.splitlines() == [
        "line 0",
        "line 1",
        "scalewatch: that is enough lines; all further findings are in the journal.",
    ]


def test_a_terminal_without_unicode_gets_question_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    """And an ASCII table, not an exception."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))

    shown = Terminal(None)
    shown.say("σ")
    shown.verdict([("health", "healthy")])

    lines = raw.getvalue().decode("ascii").splitlines()
    assert lines[0] == "?"
    assert lines[2:] == ["+--------+---------+", "| health | healthy |", "+--------+---------+"]


def test_the_table_fits_and_keeps_every_word() -> None:
    """A long text goes on in the next line; markup is no markup."""
    table = verdict_table([("health", "[red]healthy[/red] " + "word " * 40), ("ended", "a\nb")])

    assert max(map(len, table.splitlines())) <= 100
    assert table.count("word") == 40
    assert "[red]healthy[/red]" in table
    assert "a\\nb" in table


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str], new_trainer: Callable[..., pl.Trainer]) -> None:
    """Not a word, also not at the end."""
    spoiled = TinyText(spoil=lambda n, loss: loss * float("nan"))

    new_trainer([ScaleWatch(quiet=True)]).fit(spoiled, loader())

    assert capsys.readouterr().out == ""


class Tty(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def screen(output: str) -> list[str]:
    """The lines that stay on a terminal that was sent `output`."""
    lines, row, column = [""], 0, 0
    for part in re.split(r"(\n|\r|\x1b\[[0-9;?]*[A-Za-z])", output):
        if part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            column = 0
        elif part.endswith("A") and part.startswith("\x1b"):
            row = max(0, row - int(part[2:-1] or 1))
        elif part.endswith("K") and part.startswith("\x1b"):
            lines[row] = "" if part[2:-1] == "2" else lines[row][:column]
        elif not part.startswith("\x1b"):
            line = lines[row].ljust(column)
            lines[row] = line[:column] + part + line[column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in lines]


@pytest.mark.parametrize("bar", [TQDMProgressBar, RichProgressBar, None], ids=["tqdm", "rich", "none"])
def test_a_finding_does_not_break_the_progress_bar(
    bar: Any, new_trainer: Callable[..., pl.Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line stands by itself, the bar goes on below it, and the verdict stands whole at the end."""
    out = Tty()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", "xterm")
    import rich

    monkeypatch.setattr(rich, "_console", None)
    module = TinyText(spoil=lambda n, loss: loss * float("nan") if n == 10 else loss)
    callbacks = [ScaleWatch()] + ([bar()] if bar else [])

    new_trainer(callbacks, enable_progress_bar=bar is not None).fit(module, loader())

    lines = screen(out.getvalue())
    found = [line for line in lines if "critical: non-finite" in line]
    assert len(found) == 1
    assert found[0].startswith("scalewatch: step 12: critical: non-finite loss: loss is nan")
    start = next(n for n, line in enumerate(lines) if line.startswith("╭"))
    end = next(n for n, line in enumerate(lines) if line.startswith("╰"))
    assert all(line.startswith("│") and line.endswith("│") for line in lines[start + 1 : end])
    assert any("LOST" in line or "IN TROUBLE" in line for line in lines[start:end])


def test_a_bar_of_somebodys_own_prints_for_itself() -> None:
    """Only it knows how."""
    printed: list[str] = []

    Terminal(SimpleNamespace(print=printed.append)).say("hello")

    assert printed == ["hello"]
