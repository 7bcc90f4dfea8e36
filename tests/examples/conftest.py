"""Runs an example as a person does: in a process of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests import warm

EXAMPLES = Path(__file__).parents[2] / "examples"


def printed(name: str, *options: str, cwd: Path) -> str:
    """What the example prints; its standard error where it fails."""
    done = subprocess.run(
        [*warm.python(), str(EXAMPLES / name), *options],
        cwd=cwd,
        capture_output=True,
        encoding="utf-8",
        timeout=280,
    )
    assert 0 == done.returncode, done.stderr[-3000:]
    return done.stdout
