"""What the pages show is true: Python runs, commands print what stands there, pictures are small.

A block of `python` is run in a scratch folder, those of a page in one namespace; one with `title="Sketch"` needs a
trainer or a service and is only parsed. In a block of `console` each line that begins with `$ ` is run; of what it
prints the lines below have to be there, in their order, `...` standing for whatever is left out. Anything else has a
word of its own, such as `text`.
"""

from __future__ import annotations

import ast
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from docs._tools import reference
from docs._tools.pictures import FOLDER, PICTURES
from scalewatch.charts import themed_svg
from scalewatch.cli import main
from tests.site.lay import lay

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
#: Pages whose blocks have no words yet, or that hold no block that is ours to run.
BARE = {"acts.md", "fleet.md", "measured.md", "messages.md", "planning.md", "json.md"}
WORDS = {"python", "console", "text", "toml", "json", "yaml", "pycon"}
#: Letters of a picture at most, and the pictures of TensorBoard's tab, which are photographs.
MOST_BYTES = 60_000
PHOTOGRAPHS = {"healthy_against_law.png", "tensorboard_forecast.png", "tensorboard_run.png"}
_FENCE = re.compile(r"^( *)```(\S*)([^\n]*)\n(.*?)^\1```\s*$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: its word, what stands behind the word, its text, and its line."""

    word: str
    more: str
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    written = (DOCS / page).read_text("utf-8")
    for found in _FENCE.finditer(written):
        text = re.sub(rf"^{found[1]}", "", found[4], flags=re.MULTILINE)
        yield Block(found[2], found[3].strip(), text, written.count("\n", 0, found.start()) + 2)


@pytest.fixture(scope="session")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the pages speak of, made once."""
    folder = tmp_path_factory.mktemp("pages")
    lay(folder)
    return folder


@pytest.fixture
def scratch(laid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with these files, in which the blocks of one page are run."""
    for path in laid.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if page not in BARE])
def test_each_block_says_what_it_is(page: str) -> None:
    """Nobody has to guess whether a block can be run, and every sketch can be parsed."""
    found = list(blocks(page))

    assert [] == [(block.line, block.word) for block in found if block.word not in WORDS]
    assert (DOCS / page).read_text("utf-8").count("```") == 2 * len(found)
    for block in found:
        if block.word == "python":
            ast.parse(block.text)


def is_run(block: Block) -> bool:
    return block.word == "console" or (block.word == "python" and "Sketch" not in block.more)


@pytest.mark.parametrize("page", [page for page in PAGES if page not in BARE and any(map(is_run, blocks(page)))])
def test_what_a_page_shows_runs(page: str, scratch: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    """In the order of the page: Python in one namespace, commands with what they print."""
    namespace: dict[str, Any] = {"__name__": "page"}
    for block in filter(is_run, blocks(page)):
        if block.word == "python":
            exec(compile("\n" * (block.line - 1) + block.text, str(DOCS / page), "exec"), namespace)  # the page's own
            capsys.readouterr()
            continue
        for command, expected in commands(block.text):
            said = run(command, capsys, monkeypatch)
            assert in_order(expected, said) is None, f"{page}:{block.line}: {command}\n{said}"


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a block, and the lines below it."""
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert not parts[0].strip(), f"a console block begins with a command: {parts[0]!r}"
    for part in parts[1:]:
        command, _, below = part.replace("\\\n", " ").partition("\n")
        yield command, [line for line in below.splitlines() if line.strip()]


def run(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    words = shlex.split(command, comments=True)
    assert words[0] == "scalewatch", f"only our own commands are run: {command}"
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert ended.value.code in (0, 1, None), printed.err
    return printed.out + printed.err


def in_order(expected: list[str], said: str) -> str | None:
    """The first expected line that is not there in its place, None if all are; blanks count as one."""
    at, lines = 0, [" ".join(line.split()) for line in said.splitlines()]
    for line in expected:
        if line.strip() == "...":
            continue
        wanted = re.compile(".*".join(re.escape(" ".join(part.split())) for part in line.split("...")))
        place = next((n for n in range(at, len(lines)) if wanted.search(lines[n])), None)
        if place is None:
            return line
        at = place + 1
    return None


def test_a_line_that_is_not_printed_is_found() -> None:
    """The check compares with what is printed, in its order."""
    said = "one  two\nthree\n"

    assert in_order(["one two", "three"], said) is None
    assert in_order(["one ... two"], "one and two") is None
    assert "one two" == in_order(["three", "one two"], said)


def test_pictures_are_small_and_each_is_shown_by_a_page() -> None:
    """A page opens at once: no picture weighs more than 60 kB but the photographs of the tab."""
    shown = {
        name for page in PAGES for name in re.findall(r"\]\(pictures/(\w+)\.svg\)", (DOCS / page).read_text("utf-8"))
    }
    heavy = [p.name for p in DOCS.rglob("*") if p.suffix in (".png", ".svg") and p.stat().st_size > MOST_BYTES]

    assert set(PICTURES) == {path.stem for path in FOLDER.glob("*.svg")}
    assert shown == set(PICTURES)
    assert set(heavy) <= PHOTOGRAPHS


@pytest.mark.parametrize("name", ["chinchilla", "zipf"])
def test_a_picture_is_drawn_by_its_script(name: str) -> None:
    """For both themes, without a script in it."""
    svg = themed_svg(PICTURES[name])

    assert "prefers-color-scheme:dark" in svg
    assert "<script" not in svg


def test_every_public_name_is_in_the_reference() -> None:
    """Each name of each `__all__` stands on a page: those that people import with their documentation."""
    pages = reference.pages()
    constants = {home for page in pages.values() for home in re.findall(r"^## \w+ \{ #(\S+) \}$", page, re.MULTILINE)}
    told = constants | {
        line.removeprefix("::: ") for page in pages.values() for line in page.splitlines() if line.startswith(":::")
    }
    for package, names in reference.faces().items():
        assert {public.name for public in names} == set(reference.public_names(package))
        assert [] == [public.home for public in names if public.home not in told]

    listed = pages["api/modules.md"]
    for module in reference.modules():
        tree = ast.parse(reference.file_of(module).read_text("utf-8"))
        missing = [name for name in reference.exported(tree) if f"- `{name}`" not in listed]
        assert f"**`{module}`**" in listed
        assert [] == missing


def test_every_package_that_hands_out_names_has_a_page() -> None:
    """A package with an `__all__` is on the list of those that people import from."""
    packages = [name for name in reference.modules() if reference.file_of(name).name == "__init__.py"]
    with_names = [name for name in packages if "__all__" in reference.file_of(name).read_text("utf-8")]

    assert [] == [name for name in with_names if name not in reference.FACES]


def test_the_docstrings_of_the_house_become_lists() -> None:
    """Several arguments of a line are told apart by their names, an example is code, and an angle is no tag."""
    from docs._tools.docstrings import markdown

    said = """Return what it is.

    >>> f(1)
    2

Args:
    x, y: where <the mark> stands. colour: of it, such as
        `red`.

Raises:
    ConfigError: if there is none. FitError: if there is one.
"""
    expected = [
        "- `x`, `y`: where &lt;the mark&gt; stands.",
        "- `colour`: of it, such as `red`.",
        "- `ConfigError`: if there is none.",
    ]
    made = markdown(said, {"x", "y", "colour"}).splitlines()

    assert expected == [line for line in expected if line in made]
