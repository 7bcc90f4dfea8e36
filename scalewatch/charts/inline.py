"""A chart as SVG that follows the theme of the page it stands in, without a script.

It is drawn light and dark, and told apart by its colours: the elements are the light ones, a style turns each colour.
In a page of its own the style asks the browser; inside somebody's page it asks JupyterLab, VS Code and Material first.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, final

from scalewatch.charts.save import need_vl_convert, save_chart, svg_text

__all__ = ["Picture", "both_themes", "themed_svg"]

#: What a page says of its theme, light and dark: JupyterLab, VS Code, Material for MkDocs.
_SAID_LIGHT = ('[data-jp-theme-light="true"]', ".vscode-light", '[data-md-color-scheme="default"]')
_SAID_DARK = ('[data-jp-theme-light="false"]', ".vscode-dark", '[data-md-color-scheme="slate"]')
_COLOUR = re.compile(r'\b(fill|stroke)="(#[0-9a-fA-F]{3,6}|rgb\([^)"]*\))"')
_ID = re.compile(r'\bid="([\w-]+)"')
_SIZE = re.compile(r'<svg([^>]*?) width="([\d.]+)" height="([\d.]+)"')
#: Letters of a hash that keep the names of one picture apart from those of the next. By hand.
HASH_LETTERS = 8


def both_themes(selector: str, light: Mapping[str, str], dark: Mapping[str, str]) -> str:
    """Return the rules that give `selector` its CSS variables in both themes: what a page says, else the browser."""
    day, night = (";".join(f"--{name}:{value}" for name, value in theme.items()) for theme in (light, dark))

    def where(said: tuple[str, ...]) -> str:
        return ",".join(f"{page} {selector}" for page in said)

    return (
        f"{selector}{{{day}}}@media(prefers-color-scheme:dark){{{selector}{{{night}}}}}"
        f"{where(_SAID_LIGHT)}{{{day}}}{where(_SAID_DARK)}{{{night}}}"
    )


def themed_svg(draw: Callable[[bool], Any], label: str = "") -> str:
    """Return a chart as one SVG for both themes, to stand in a page or in a file.

    Args:
        draw: makes the chart, `draw(True)` for a dark page. label: what it shows, for those who do not see it.

    Raises:
        ConfigError: if the extra `charts` is not installed, or there is nothing to draw.
    """
    need_vl_convert()  # before anything of altair is imported, so that one sentence says what is missing
    light, dark = svg_text(draw(False)), svg_text(draw(True))
    own = f"sw{hashlib.sha256(light.encode()).hexdigest()[:HASH_LETTERS]}"
    for name in set(_ID.findall(light)):  # clip paths are called alike in every picture of a page
        light = light.replace(f'id="{name}"', f'id="{own}-{name}"').replace(f"url(#{name})", f"url(#{own}-{name})")
    turned = _turned(light, dark)
    rules = "".join(
        f'#{own} [{part}="{colour}"]{{{part}:var(--c{place})}}'
        for place, colour in enumerate(turned)
        for part in ("fill", "stroke")
        if f'{part}="{colour}"' in light
    )
    names = {f"c{place}": colour for place, colour in enumerate(turned)}
    night = {f"c{place}": colour for place, colour in enumerate(turned.values())}
    style = f"<style>{both_themes(f'#{own}', names, night)}{rules}</style>"
    said = f' id="{own}" role="img" aria-label="{html.escape(label, quote=True)}" style="max-width:100%;height:auto"'
    return _SIZE.sub(rf'<svg{said}\1 width="\2" height="\3"', light, count=1).replace(">", f">{style}", 1)


def _turned(light: str, dark: str) -> dict[str, str]:
    """Each colour of the light picture, and what stands in its place in the dark one."""
    places, others = _COLOUR.findall(light), _COLOUR.findall(dark)
    found: dict[str, Counter[str]] = defaultdict(Counter)
    if len(places) == len(others):
        for (_, colour), (_, other) in zip(places, others, strict=True):
            found[colour][other] += 1
    return {colour: seen.most_common(1)[0][0] for colour, seen in found.items()}


@final
class Picture:
    """A chart for a notebook, which follows its theme.

    Args:
        draw: makes the chart, `draw(True)` for a dark page. sentence: what it shows, in words.
    """

    def __init__(self, draw: Callable[[bool], Any], sentence: str = "") -> None:
        self._draw, self.sentence = draw, sentence

    def altair(self, *, dark: bool = False) -> Any:
        """Return the altair chart, to change or to combine.

        Raises:
            ConfigError: if the extra `charts` is not installed, or there is nothing to draw.
        """
        need_vl_convert()
        return self._draw(dark)

    def save(self, path: str | Path, *, dark: bool = False) -> Path:
        """Write it as the ending of `path` says: .png, .svg, .html or .json.

        Raises:
            ConfigError: if the ending is none of these, or the extra `charts` is not installed.
        """
        return save_chart(self.altair(dark=dark), path)

    def _repr_html_(self) -> str:
        return themed_svg(self._draw, self.sentence)

    def __repr__(self) -> str:
        return f"<Picture: {self.sentence}>"
