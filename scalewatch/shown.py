"""How an object is shown where people look rather than read: one line gives its class a card in every notebook.

    _repr_html_ = card_of

IPython asks an object for `_repr_html_`. The card is drawn in `scalewatch.figures.cards`, which knows every such class
and is imported when the first of them is shown, so that whoever trains pays nothing for it.
"""

from __future__ import annotations

from scalewatch.lazy import lazy_names

__all__ = ["card_of"]

_home = lazy_names(__name__, {"scalewatch.figures.cards": "html_of"})[0]


def card_of(thing: object) -> str:
    """Return what `thing` says as HTML: its sentence, its picture and its numbers; no script, light and dark."""
    html: str = _home("html_of")(thing)
    return html
