"""The site builds without a warning, and asks nobody for anything."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs._tools import reference

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("mkdocs", "material", "mkdocstrings", "latex2mathml")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` builds it."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"needs the extra `docs`: {', '.join(missing)} missing")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},  # what the theme says of its future is no fault of a page
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert (0, "") == (done.returncode, done.stderr.strip())
    return folder


def test_the_site_builds_without_a_warning(site: Path) -> None:
    """Every page is there, those that are made from the code too."""
    made = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    pages = {f"{path.stem}.html" for path in (ROOT / "docs").glob("*.md")}

    assert pages <= made
    assert {f"api/{face}.html" for face in reference.FACES} <= made
    assert {"contributing.html", "changelog.html"} <= made


def test_every_public_name_has_its_place_in_the_site(site: Path) -> None:
    """A name that people import can be linked to."""
    missing = []
    for package, names in reference.faces().items():
        told = reference.first_face()
        for public in names:
            page = (site / "api" / f"{told[public.home]}.html").read_text("utf-8")
            if f'id="{public.home}"' not in page:
                missing.append(f"{package}.{public.name}")

    assert [] == missing


def test_a_page_of_the_site_asks_nobody_for_anything(site: Path) -> None:
    """No font, script or picture comes from elsewhere."""
    asked = set()
    for path in site.rglob("*.html"):
        asked |= set(re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', path.read_text("utf-8")))

    assert set() == asked
