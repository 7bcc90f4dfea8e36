"""The README is one screen that leads on: what it shows and links is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
#: Lines of a screen that is scrolled once. By hand.
MOST_LINES = 90
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
#: Pages of the site that are pulled in from the root of the repository.
PULLED_IN = frozenset({"contributing.md", "changelog.md"})
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def test_the_readme_is_one_screen() -> None:
    """What is longer stands in `docs/`."""
    assert len(README.splitlines()) <= MOST_LINES


def test_the_readme_begins_with_the_picture_and_the_two_commands() -> None:
    """Both before the first heading of a job."""
    first = README.split("\n## ")[0]

    assert re.search(r"!\[.*\]\(docs/.*\.png\)", first)
    assert [] == [command for command in ("make demo", "make test") if command not in first]


def test_the_readme_leads_to_every_page_of_docs() -> None:
    """At once, or over one page that it leads to."""
    reached = {(ROOT / link).resolve() for link in LINK.findall(README)}
    over = [page for page in reached if page.suffix == ".md"]
    reached |= {(page.parent / link).resolve() for page in over for link in LINK.findall(page.read_text("utf-8"))}

    assert [] == [page.name for page in (ROOT / "docs").glob("*.md") if page not in reached]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_repository_leads_somewhere(page: Path) -> None:
    """Pages and pictures that were moved take their links along."""
    links = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link and link not in PULLED_IN]

    assert [] == [link for link in links if not (page.parent / link).exists()]


def test_every_benchmark_that_is_named_is_there() -> None:
    """A claim has what shows it beside it."""
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", (ROOT / "docs" / "measured.md").read_text("utf-8") + README))

    assert named
    assert [] == [name for name in named if not (ROOT / name).exists()]
