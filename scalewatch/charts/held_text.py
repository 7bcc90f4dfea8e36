"""Texts of an SVG that keep the width they were laid out with, in whatever font a reader's machine has.

A chart is laid out with the widths of Helvetica, which Arial and Liberation Sans share. Where neither is there, a
browser takes what there is, often a sixth wider: words of a legend then stand in each other.
"""

from __future__ import annotations

import re
from html import unescape

__all__ = ["with_held_texts"]

_FIRST = " "
#: Widths of the letters from the blank to the tilde, in thousandths of their size (Adobe's core font metrics, 1989).
_PLAIN = (
    *(278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, *[556] * 10, 278, 278, 584, 584),
    *(584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667),
    *(611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222),
    *(222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584),
)
_BOLD = (
    *(278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278, *[556] * 10, 333, 333, 584, 584),
    *(584, 611, 975, 722, 722, 722, 722, 667, 611, 778, 722, 278, 556, 722, 611, 833, 722, 778, 667, 778, 722, 667),
    *(611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584, 556, 333, 556, 611, 556, 611, 556, 333, 611, 611, 278),
    *(278, 556, 278, 889, 611, 611, 611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584),
)
_TEXT = re.compile(r'<text ([^>]*\bfont-size="([\d.]+)px"[^>]*)>([^<]+)</text>')


def with_held_texts(svg: str) -> str:
    """Return an SVG whose texts are as wide in any font as they are in Helvetica; those beyond ASCII stay as they are.

    >>> with_held_texts('<text font-size="10px">page</text>')
    '<text font-size="10px" textLength="22.24" lengthAdjust="spacingAndGlyphs">page</text>'
    """
    return _TEXT.sub(_held, svg)


def _held(found: re.Match[str]) -> str:
    attributes, size, text = found.groups()
    widths = _BOLD if 'font-weight="bold"' in attributes else _PLAIN
    places = [ord(letter) - ord(_FIRST) for letter in unescape(text)]
    if any(not 0 <= place < len(widths) for place in places):
        return found[0]
    width = sum(widths[place] for place in places) * float(size) / 1000.0
    return f'<text {attributes} textLength="{width:.4g}" lengthAdjust="spacingAndGlyphs">{text}</text>'
