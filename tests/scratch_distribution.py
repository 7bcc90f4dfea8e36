"""A package of somebody else's, as far as entry points are concerned: a folder on the path of imports."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

import pytest

__all__ = ["install"]


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, group: str, points: Mapping[str, str]) -> None:
    """Put a distribution on the path whose entry points of `group` are `points`, name -> place."""
    info = folder / "somebodys-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys\nVersion: 1\n")
    lines = [f"[{group}]", *(f"{name} = {place}" for name, place in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
