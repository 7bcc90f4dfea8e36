"""Numbers as people write them in the cells of a table: 410M, "2.1 B tokens", "~8e9", "**1.3B**", "3 x 10^18"."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from scalewatch.logs.values import is_blank, number

__all__ = ["NO_NUMBER", "number_in", "without_points"]

#: Words that stand where a number would, had the run ended.
NO_NUMBER = frozenset(
    {"diverged", "failed", "crashed", "unfinished", "running", "pending", "killed", "oom", "tbd", "todo", "?", "x"}
    | {"average", "mean", "avg", "median", "sum", "total", "n.a.", "n.a", "—", "–", "ongoing", "in progress", "nan"}
)
#: Words of a cell without digits of a run that has no number.
_CUT_OFF = frozenset(
    {
        "diverged",
        "failed",
        "crashed",
        "unfinished",
        "running",
        "pending",
        "killed",
        "oom",
        "preempted",
        "exploded",
        "nan",
    }
)
#: What a letter or a word behind a number multiplies it by.
_TIMES = {
    **{"k": 1e3, "thousand": 1e3, "m": 1e6, "mn": 1e6, "mio": 1e6, "million": 1e6, "b": 1e9, "bn": 1e9, "g": 1e9},
    **{"billion": 1e9, "t": 1e12, "tn": 1e12, "trillion": 1e12},
}
#: Words behind it that say what is counted.
_COUNTED = r"x|×|tokens?|toks?|params?|parameters?|flops?|steps?|iters?|iterations?|nats|bits|epochs?|seqs?|sequences?"
#: Marks of a page about a number: bold, code, mathematics, "about".
_MARKS = re.compile(r"\*\*|__|[*`$\\↑↓]|^\s*(?:~|≈|\\sim|ca\.?|about|approx\.?)\s*|\\(?:textbf|mathbf|text)\b|[{}]")
_NUMBER = r"[-+]?(?:\d[\d,_' \u00a0\u202f]*(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
#: Digits of a power. Without them 10-20 is no 1e-20, and says from where to where.
_UP = "[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]"
_WHOLE = re.compile(
    rf"((?:{_NUMBER})?)(?:\s*(?:(?:x|×|·|\*|times)\s*10\^?|10\^|10(?={_UP}))\(?([-+]?\d+|{_UP}+)\)?)?\s*"
    rf"({'|'.join(sorted(_TIMES, key=len, reverse=True))})?(?:[-\s]*(?:{_COUNTED}))?",
    re.IGNORECASE,
)
#: What stands between a mean and its spread over seeds.
_SPREAD = re.compile(r"(?<=\d)\s*(?:±|\+/?-|\\pm|\()|(?<=\w)\s+\([^()]*\)$")
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
#: Digits in threes, as people part them where a comma is the decimal sign: `1.300.000`.
_IN_THREES = re.compile(r"[-+]?\d{1,3}(?:\.\d{3})+(?:,\d+)?")
#: A number with a decimal comma, and what it counts: behind `80,20` words of a recipe are no unit.
_DECIMAL_COMMA = re.compile(
    rf"[-+]?\d[\d.]*,\d+(?:[eE][-+]?\d+)?\s*(?:{'|'.join(_TIMES)}|%)?(?:[-\s]*(?:{_COUNTED}))?", re.IGNORECASE
)
_PARTED = re.compile(r"[-+]?\d{1,3}(?:[,_' \u00a0\u202f]\d{3})+(?:\.\d*)?")


def number_in(cell: Any) -> float | None:
    """Return the number in a cell, NaN where it is empty or says that there is none, None if it holds words.

    >>> number_in("410M"), number_in("~2.1 B tokens"), number_in("**1.3B**"), number_in("3 x 10^18 FLOPs")
    (410000000.0, 2100000000.0, 1300000000.0, 3e+18)
    >>> number_in("20x"), number_in("3.14 ↓")
    (20.0, 3.14)
    >>> number_in("3.21 ± 0.01"), number_in("1,234"), number_in("25%"), number_in("gpt-2"), number_in("still running")
    (3.21, 1234.0, 0.25, None, nan)
    >>> number_in("10^9"), number_in("3*10⁻⁴"), number_in("2 x 10-4"), number_in("10-20")
    (1000000000.0, 0.0003, 0.0002, None)
    """
    if is_blank(cell):
        return math.nan
    plain = number(cell)
    if plain is not None or not isinstance(cell, str):
        return plain
    words = set(re.findall(r"[a-z]+", cell.lower()))
    if cell.strip().lower() in NO_NUMBER or (words & _CUT_OFF and not any(sign.isdigit() for sign in cell)):
        return math.nan
    text = " ".join(_MARKS.sub("", _SPREAD.split(cell.strip(), 1)[0]).split())
    if text.endswith("%"):
        part = number(text[:-1])
        return None if part is None else part / 100.0
    plain = number(text)
    return _written(text) if plain is None else plain


def _written(text: str) -> float | None:
    found = _WHOLE.fullmatch(text)
    if found is None or not (found[1] or found[2]):
        return None
    digits = found[1].strip()
    if re.search(r"[,_' \u00a0\u202f]", digits):
        if not _PARTED.fullmatch(digits):
            return None
        digits = re.sub(r"[,_' \u00a0\u202f]", "", digits)
    power = f"e{found[2].translate(_RAISED)}" if found[2] else ""
    value = number((digits or "1") + power)
    return None if value is None else value * _TIMES.get((found[3] or "").lower(), 1.0)


def without_points(columns: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the cells of a file whose decimal sign may be a comma with a point in its place, and threes unparted.

    >>> without_points([["1.300.000", "410.000"], ["3,412", "3,5"]])
    [['1300000', '410000'], ['3.412', '3.5']]
    """
    commas = any(_DECIMAL_COMMA.fullmatch(cell.strip()) for column in columns for cell in column)
    made = []
    for column in columns:
        threes = commas or any(cell.count(".") > 1 for cell in column)
        made.append([_plain(cell, threes=threes, commas=commas) for cell in column])
    return made


def _plain(cell: str, *, threes: bool, commas: bool) -> str:
    text = cell.strip()
    if threes and _IN_THREES.fullmatch(text):
        return text.replace(".", "").replace(",", ".")
    return text.replace(",", ".") if commas and text.count(",") == 1 and "." not in text else cell
