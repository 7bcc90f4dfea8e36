"""What a person sees in the terminal: one line a finding, and a table at the end.

A progress bar owns the last line of the terminal, so each kind of bar has its own way of letting a line
through: `tqdm.write` for TQDM (the bar's own `print` says nothing while no bar is open), and `sys.stdout`,
which Rich has taken over while its bar is drawn. Nothing here opens a live display: two on one console
break each other.

Whatever comes from outside (names, messages of exceptions) has its control characters escaped, so that it
is one line and cannot drive the terminal.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any, final

from scalewatch.advice import Advice
from scalewatch.finding import Finding, Phase, Severity
from scalewatch.kinds import kind_name

__all__ = ["Terminal", "advice_line", "escape", "finding_line", "verdict_table"]

#: Lines of one run at most: what flaps for days is told once, and then is in the journal.
MAX_LINES = 500
#: A line is cut here: nobody reads a message of a megabyte, and a terminal need not draw it.
MAX_LINE_CHARACTERS = 1_000

_COLOURS = {Severity.INFO: "2", Severity.WARNING: "33;1", Severity.CRITICAL: "31;1"}


def escape(text: object) -> str:
    """Return `text` as one line without control, format and bidirectional characters.

    >>> escape("bad\\x1b[31m name\\n")
    'bad\\\\x1b[31m name\\\\n'
    """
    string = str(text)[:MAX_LINE_CHARACTERS]
    if string.isascii() and string.isprintable():
        return string
    return "".join(_escape_character(c) for c in string)


def _escape_character(character: str) -> str:
    # Cc control, Cf format (bidi overrides), Cs lone surrogates, Zl and Zp line separators
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
        return character.encode("unicode_escape").decode("ascii")
    return character


def finding_line(finding: Finding) -> str:
    """Return the line for a finding: when, how bad, what."""
    word = "over" if finding.phase is Phase.CLOSED else finding.severity.value
    return f"scalewatch: step {finding.step:,}: {word}: {kind_name(finding.kind)}: {escape(finding.message)}"


def advice_line(advice: Advice) -> str:
    """Return the line for an advice: what to do, how good the evidence is, what it gains, why."""
    return f"scalewatch: advice: {escape(f'{advice.headline}: {advice.reason}')}"


@final
class Terminal:
    """Prints lines past a progress bar.

    Args:
        bar: the progress bar of the loop, None if it has none.
        quiet: print nothing.
        label: what each line is about, where several are watched in one terminal: their tables are told as one.
    """

    def __init__(self, bar: Any | None, *, quiet: bool = False, label: str = "") -> None:
        self._bar = bar
        self._quiet = quiet
        self._label = label
        self._lines = 0

    def finding(self, finding: Finding) -> None:
        """Print a finding."""
        self.say(finding_line(finding), _COLOURS[finding.severity])

    def advice(self, advice: Advice) -> None:
        """Print an advice, and what would change it."""
        self.say(advice_line(advice), "1")
        if advice.would_change:
            self.say(f"scalewatch: ignore this if {escape(advice.would_change)}")

    def say(self, line: str, colour: str = "") -> None:
        """Print one line, up to `MAX_LINES` of them in a run."""
        self._lines += 1
        if self._lines > MAX_LINES:
            return
        if self._lines == MAX_LINES:
            line, colour = "scalewatch: that is enough lines; all further findings are in the journal.", ""
        if self._label:
            line = line.replace("scalewatch: ", f"scalewatch: {escape(self._label)}: ", 1)
        self._write(f"\x1b[{colour}m{line}\x1b[0m" if colour and in_colour() else line)

    def verdict(self, rows: Sequence[tuple[str, str]]) -> None:
        """Print the table of the end."""
        if self._label:
            return
        self._write(verdict_table(rows, colour=in_colour()))

    def _write(self, text: str) -> None:
        if self._quiet:
            return
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        text = text.encode(encoding, "replace").decode(encoding)
        kinds = {kind.__name__ for kind in type(self._bar).__mro__}
        # a bar that is the user's own is known to tqdm alone, which is imported then
        tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
        is_drawn = self._bar is None and bool(getattr(tqdm, "_instances", None))
        if tqdm is not None and ("TQDMProgressBar" in kinds or is_drawn):
            tqdm.write(text)
        elif self._bar is None or "RichProgressBar" in kinds:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        else:  # somebody's own bar: only it knows how
            self._bar.print(text)


def in_colour() -> bool:
    """Whether the terminal shows colours, and nobody asked for none (no-color.org)."""
    return not os.environ.get("NO_COLOR") and sys.stdout is not None and sys.stdout.isatty()


def verdict_table(rows: Sequence[tuple[str, str]], *, colour: bool = False) -> str:
    """Return rows of label and text as a table that fits the terminal."""
    from rich import box  # at the end of a run, not while it trains
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    style = box.ROUNDED if encoding.startswith("utf") else box.ASCII2
    table = Table(title="scalewatch", box=style, show_header=False, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(Text(escape(label)), Text(escape(text)))
    width = min(120, max(60, shutil.get_terminal_size((100, 24)).columns))
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=colour, no_color=not colour).print(table)
    return out.getvalue().rstrip("\n")
