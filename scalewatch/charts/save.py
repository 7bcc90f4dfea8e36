"""Charts as files: PNG without a browser, SVG, or one self-contained HTML page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from scalewatch.errors import ConfigError

__all__ = ["save_chart"]

#: Pixels per unit of the chart, so that it is sharp on a dense screen.
PNG_SCALE = 2.0


def save_chart(chart: Any, path: str | os.PathLike[str]) -> Path:
    """Write an Altair chart to `path`, as its ending says: .png, .svg, .html or .json.

    Raises:
        ConfigError: if the ending is none of these, or the extra `charts` is not installed.
    """
    target = Path(path)
    try:
        import vl_convert
    except ImportError:
        raise ConfigError("Charts need the extra `charts`: pip install 'scalewatch[charts]'.") from None
    spec = chart.to_dict()
    ending = target.suffix.lower()
    target.parent.mkdir(parents=True, exist_ok=True)
    if ending == ".png":
        target.write_bytes(vl_convert.vegalite_to_png(spec, scale=PNG_SCALE))
    elif ending == ".svg":
        target.write_text(vl_convert.vegalite_to_svg(spec), encoding="utf-8")
    elif ending == ".html":
        target.write_text(vl_convert.vegalite_to_html(spec, bundle=True), encoding="utf-8")
    elif ending == ".json":
        target.write_text(chart.to_json(), encoding="utf-8")
    else:
        raise ConfigError(f"A chart can be written as .png, .svg, .html or .json (got '{target.name}').")
    return target
