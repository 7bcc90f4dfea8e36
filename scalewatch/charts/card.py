"""A card: what something says in a sentence, its picture and its numbers, as HTML that holds no script.

It stands in a notebook or on a page, in the colours of the charts, light and dark.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, Literal

from scalewatch.charts.captions import plain
from scalewatch.charts.inline import HASH_LETTERS, both_themes, themed_svg
from scalewatch.charts.theme import DARK, LIGHT, Theme, readable
from scalewatch.errors import ConfigError
from scalewatch.status import State, Status

__all__ = ["Tone", "card", "tone_of"]

Tone = Literal["plain", "good", "bad", "lost"]
_TONES: Mapping[State, Tone] = {
    State.LOST: "lost",
    State.IN_TROUBLE: "bad",
    State.HEALTHY: "good",
    State.OVER: "good",
}
#: Sentences under the head of a card, and rows of its table, at most. By hand.
MOST_SENTENCES, MOST_ROWS = 6, 40

_STYLE = """
{own}{{box-sizing:border-box;max-width:860px;padding:14px 18px;margin:4px 0;border:1px solid var(--grid);
border-radius:8px;background:var(--page);color:var(--ink);font:14px/1.5 Inter,system-ui,Helvetica,sans-serif}}
{own} .head{{font-size:16px;font-weight:600;margin:0 0 4px;overflow-wrap:anywhere}}
{own} .said{{margin:2px 0;color:var(--text);max-width:80ch;overflow-wrap:anywhere}}
{own} .tone{{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin-right:.5em;background:var(--tone)}}
{own} svg{{display:block;margin:8px 0}}
{own} table{{border-collapse:collapse;margin:8px 0 0;font-variant-numeric:tabular-nums;color:var(--ink);width:auto}}
{own} th,{own} td{{text-align:left;vertical-align:top;padding:3px 16px 3px 0;border:0;border-top:1px solid var(--grid);
background:none;color:var(--ink);font-weight:400;max-width:64ch;white-space:normal;overflow-wrap:anywhere}}
{own} th{{color:var(--text);white-space:nowrap}}
"""


def tone_of(status: Status) -> Tone:
    """Return the tone in which a state is told."""
    return _TONES.get(status.state, "plain")


def card(
    head: str,
    sentences: Sequence[str] = (),
    *,
    draw: Callable[[bool], Any] | None = None,
    rows: Sequence[tuple[str, str]] = (),
    tone: Tone = "plain",
) -> str:
    """Return a card.

    Args:
        head: the one sentence. sentences: what is to be said besides.
        draw: makes the picture, `draw(True)` for a dark page; where it cannot be drawn, the card says why.
        rows: (label, text) of its table. tone: of the dot before the head; "plain" has none.
    """
    said, picture = [plain(sentence) for sentence in sentences[:MOST_SENTENCES]], ""
    if draw is not None:
        try:
            picture = themed_svg(draw, head)
        except ConfigError as fault:
            said.append(f"No picture: {fault}")
    own = f"sw{hashlib.sha256('|'.join([head, *said, picture]).encode()).hexdigest()[:HASH_LETTERS]}c"
    dot = "" if tone == "plain" else '<span class="tone"></span>'
    body = [f'<p class="head">{dot}{escape(plain(head))}</p>']
    body += [f'<p class="said">{escape(sentence)}</p>' for sentence in said]
    body.append(picture)
    cells = [
        f"<tr><th>{escape(plain(k))}</th><td>{escape(_with_commas(plain(v)))}</td></tr>" for k, v in rows[:MOST_ROWS]
    ]
    body.append(f"<table>{''.join(cells)}</table>" if cells else "")
    style = both_themes(f"#{own}", _colours(LIGHT, tone), _colours(DARK, tone)) + _STYLE.format(own=f"#{own}").strip()
    return f'<div id="{own}"><style>{style}</style>{"".join(body)}</div>'


def _with_commas(text: str) -> str:
    # where a terminal has wide gaps, a page has commas
    return ", ".join(part.strip() for part in text.split("   "))


def _colours(theme: Theme, tone: Tone) -> dict[str, str]:
    tones = {"good": theme.stops[3], "bad": theme.alarm, "lost": theme.lost}
    return {
        "page": theme.background,
        "ink": theme.ink,
        "text": readable(theme.text, theme),
        "grid": theme.grid,
        "tone": tones.get(tone, theme.grey),
    }
