"""What MkDocs does besides: the reference, the pages that stand in the root, mathematics without a script."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import latex2mathml.converter
from mkdocs.structure.files import File
from mkdocstrings_handlers.python._internal import rendering

from docs._tools import reference
from docs._tools.docstrings import signature

ROOT = Path(__file__).resolve().parents[2]
#: Pages of the site that stand in the root of the repository.
FROM_ROOT = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
_LINK = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)(#[^)]*)?\)")


def on_startup(**_: Any) -> None:
    """Write signatures ourselves: a process for each took most of the time of a build."""
    rendering._get_formatter = lambda: signature


def on_config(config: Any) -> Any:
    """Leave out of the navigation what is not written yet, and add a page for each package."""
    for entry in config.nav:
        if "API" in entry:
            entry["API"] = [*entry["API"], *(f"api/{face}.md" for face in reference.FACES), "api/modules.md"]
    config.nav = [part for entry in config.nav if (part := _there(entry, Path(config.docs_dir))) is not None]
    return config


def _there(entry: Any, folder: Path) -> Any:
    if isinstance(entry, str):
        made = entry.startswith("api/") or entry in FROM_ROOT
        return entry if made or (folder / entry).is_file() else None
    (title, value), *_ = entry.items()
    if isinstance(value, str):
        return entry if _there(value, folder) is not None else None
    kept = [part for each in value if (part := _there(each, folder)) is not None]
    return {title: kept} if kept else None


def on_files(files: Any, config: Any) -> Any:
    """Add the reference, and what stands in the root."""
    made = reference.pages()
    for uri, name in FROM_ROOT.items():
        made[uri] = _from_root((ROOT / name).read_text("utf-8"))
    for uri, content in made.items():
        files.append(File.generated(config, uri, content=content))
    return files


def _from_root(text: str) -> str:
    text = re.sub(r"\]\(docs/([^)]+)\)", r"](\1)", text)
    return re.sub(r"\[([^\]]+)\]\((README\.md|tests/[^)]+|examples/[^)]+)\)", r"\1", text)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Lead links to files of the repository to their page, or name the file where it has none."""
    by_file = {name: uri for uri, name in FROM_ROOT.items()} | {"README.md": "index.md"}

    def lead(found: re.Match[str]) -> str:
        label, path, anchor = found[1], found[2], found[3] or ""
        return f"[{label}]({by_file[path]}{anchor})" if path in by_file else f"`{path}`"

    return markdown if page.file.src_uri.startswith("api/") else _LINK.sub(lead, markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Write formulas as MathML, which browsers draw themselves."""

    def drawn(found: re.Match[str]) -> str:
        display = "block" if found[1] == "div" else "inline"
        return latex2mathml.converter.convert(html.unescape(found[2]).strip(), display=display)

    return _FORMULA.sub(drawn, content)
