"""Charts as files: PNG without a browser, SVG, or one self-contained HTML page."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scalewatch.charts.captions import plain
from scalewatch.charts.held_text import with_held_texts
from scalewatch.errors import ConfigError

__all__ = ["check_suffix", "need_vl_convert", "save_chart", "svg_text"]

#: Pixels per unit of the chart, so that it is sharp on a dense screen.
PNG_SCALE = 2.0
ENDINGS = (".png", ".svg", ".html", ".json")
#: Stands for "<" until the page is written: vl_convert puts the chart into a script element as it is, where a
#: title with "</script>" would end it and begin one of its own.
_LESS_THAN = "scalewatch-less-than-5f0c"
#: Of the menu beside a chart only "Save as": its editor would send the chart to another site.
_MENU = {"embedOptions": {"actions": {"export": True, "source": False, "compiled": False, "editor": False}}}
#: A browser that opens the page asks nobody for anything. Vega compiles its expressions, hence eval.
_ASKS_NOBODY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"
)


def check_suffix(path: str | os.PathLike[str]) -> str:
    """Return how a chart at `path` would be written: ".png", ".svg", ".html" or ".json".

    A command calls it before it fits anything, so that nobody waits for a fit that cannot be drawn.

    Raises:
        ConfigError: if the ending is none of these.
    """
    target = Path(path)
    ending = target.suffix.lower()
    if ending not in ENDINGS:
        raise ConfigError(f"A chart's file must end in .png, .svg, .html or .json (got '{plain(target.name):.60}').")
    return ending


def save_chart(chart: Any, path: str | os.PathLike[str]) -> Path:
    """Write an Altair chart to `path`, as its ending says: .png, .svg, .html or .json.

    Raises:
        ConfigError: if the ending is none of these, or the extra `charts` is not installed.
    """
    target = Path(path)
    ending = check_suffix(target)
    vl_convert = need_vl_convert()
    spec = _each_text(chart.to_dict(validate=False), plain)
    target.parent.mkdir(parents=True, exist_ok=True)
    if ending == ".png":
        target.write_bytes(vl_convert.vegalite_to_png(spec, scale=PNG_SCALE))
    elif ending == ".svg":
        target.write_text(with_held_texts(vl_convert.vegalite_to_svg(spec)), encoding="utf-8")
    elif ending == ".html":
        escaped = _each_text(spec | {"usermeta": _MENU}, lambda text: text.replace("<", _LESS_THAN))
        page = vl_convert.vegalite_to_html(escaped, bundle=True).replace(_LESS_THAN, "\\u003c")
        target.write_text(page.replace("<title>Chart</title>", _head(spec), 1), encoding="utf-8")
    else:
        target.write_text(json.dumps(spec, indent=1), encoding="utf-8")
    return target


def svg_text(chart: Any) -> str:
    """Return an Altair chart as the text of an SVG.

    Raises:
        ConfigError: if the extra `charts` is not installed.
    """
    return with_held_texts(need_vl_convert().vegalite_to_svg(_each_text(chart.to_dict(validate=False), plain)))


def need_vl_convert() -> Any:
    """Return the package that turns charts into pictures.

    Raises:
        ConfigError: if the extra `charts` is not installed.
    """
    try:
        import vl_convert
    except ImportError:
        raise ConfigError("Charts need the extra `charts`: pip install 'scalewatch[charts]'.") from None
    return vl_convert


def _head(spec: dict[str, Any]) -> str:
    """What the head of a page says: its title, that it loads nothing, and the colour around the chart."""
    title, colour = spec.get("title", {}).get("text", "Chart"), spec.get("config", {}).get("background", "#ffffff")
    words = " ".join(title) if isinstance(title, list) else str(title)
    return (
        f'<meta http-equiv="Content-Security-Policy" content="{_ASKS_NOBODY}">\n    '
        f"<title>{html.escape(words)}</title>\n    <style>body {{ background: {colour}; }}</style>"
    )


def _each_text(part: Any, change: Callable[[str], str]) -> Any:
    if isinstance(part, str):
        return change(part)
    if isinstance(part, dict):
        return {_each_text(key, change): _each_text(value, change) for key, value in part.items()}
    return [_each_text(value, change) for value in part] if isinstance(part, list) else part
