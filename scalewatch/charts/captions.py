"""The words over a chart: a headline and sentences, in lines that fit."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from scalewatch.text import shortened

__all__ = ["WIDTH", "apart", "headline", "named", "plain", "sentences"]

#: Width of a chart that stands alone [pixels].
WIDTH = 760
#: Letters of a headline's line, and its lines: a run is called what it is called.
TITLE_LETTERS, TITLE_LINES = 84, 2
#: Letters of a subtitle's line at the full width.
LINE_LETTERS = 118
#: Sentences under a headline, and lines of each: what is cut off stands in the command's own output.
MOST_SENTENCES, SENTENCE_LINES = 10, 3

#: Control characters, and those that turn the direction of a text: a number would be read backwards.
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
#: Letters of a name that is drawn.
NAME_LETTERS = 40


def plain(text: str) -> str:
    """Return a text that can be drawn: what XML 1.0 cannot hold is replaced.

    Over such a letter vl_convert ends the whole process, and with it somebody's training.
    """
    return _NO_TEXT.sub("\ufffd", text)


def named(name: object) -> str:
    """Return a name short enough for a legend or a label."""
    return shortened(" ".join(str(name).split()), NAME_LETTERS)


def apart(names: Sequence[str]) -> list[str]:
    """Return names of runs without the folders that all of them share: a legend tells them apart by the rest.

    >>> apart(["sweep/a/1", "sweep/b/1"]), apart(["sweep/a"]), apart(["a/x", "b"])
    (['a/1', 'b/1'], ['sweep/a'], ['a/x', 'b'])
    """
    parts = [name.split("/") for name in names]
    if len(set(names)) < 2:
        return list(names)
    shared = 0
    while all(len(each) > shared + 1 for each in parts) and len({each[shared] for each in parts}) == 1:
        shared += 1
    return ["/".join(each[shared:]) for each in parts]


def sentences(texts: Sequence[str], width: int) -> list[str]:
    """Return sentences in lines that a chart of `width` pixels holds."""
    letters = LINE_LETTERS * width // WIDTH
    lines = []
    for sentence in texts[:MOST_SENTENCES]:
        wrapped = textwrap.wrap(" ".join(sentence.split()), letters, max_lines=SENTENCE_LINES, placeholder=" …")
        lines += wrapped or [""]
    return lines


def headline(title: str, width: int) -> str | list[str]:
    """Return a headline in as many lines as it takes, at most two."""
    letters = TITLE_LETTERS * width // WIDTH
    if len(title) <= letters:
        return title
    lines = textwrap.wrap(" ".join(title.split()), letters)
    if len(lines) <= TITLE_LINES:
        return lines
    # a sentence is cut at its end, a name that is one word in its middle: names differ at their ends
    if " " in title.strip():
        return textwrap.wrap(" ".join(title.split()), letters, max_lines=TITLE_LINES, placeholder=" …")
    return textwrap.wrap(shortened(title.strip(), TITLE_LINES * letters), letters)
