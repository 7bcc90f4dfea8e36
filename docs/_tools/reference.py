"""The pages of the API reference: one for each package that people import from, and one with every module of the house.

A public name is in `__all__` of its package; where a package has none, it is what the package imports by name. Each is
told once, on the page of the first package that has it.
"""

from __future__ import annotations

import ast
import importlib
import itertools
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from docs._tools.docstrings import escaped

ROOT = Path(__file__).resolve().parents[2]
BASES = ("scalewatch", "scalewatch_lightning", "scalewatch_torch", "scalewatch_transformers", "scalewatch_slack")
BASES += ("scalewatch_tensorboard",)
#: Packages with a page, in the order in which people need them. What two have is told by the first.
FACES = (
    *("scalewatch", "scalewatch_lightning", "scalewatch_torch", "scalewatch_transformers"),
    *("scalewatch.fitting", "scalewatch.laws", "scalewatch.plan", "scalewatch.forecast", "scalewatch.detect"),
    *("scalewatch.alert", "scalewatch_slack"),
    *("scalewatch.logs", "scalewatch.journal", "scalewatch.offline", "scalewatch.charts", "scalewatch.cli"),
    *("scalewatch_tensorboard", "scalewatch_tensorboard.server", "scalewatch_tensorboard.views.figures"),
)


#: Lines of a constant that are shown.
MOST_LINES = 12


class Public(NamedTuple):
    """A public name: what it is called on a face, and the dotted name of where it is made."""

    name: str
    home: str


def public_names(package: str) -> list[str]:
    """Return what a package hands to people; it is imported only if that is not written out."""
    named = exported(_tree(package)) or getattr(importlib.import_module(package), "__all__", None)
    if named:
        return sorted(named)
    return sorted(
        name
        for name, value in vars(importlib.import_module(package)).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and getattr(value, "__module__", package).split(".")[0] in BASES
    )


def modules() -> Iterator[str]:
    """Every module of the wheel, by its dotted name."""
    for base in BASES:
        root = file_of(base).parent
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root.parent).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def file_of(module: str) -> Path:
    """Return the file of a module, which is not imported for it."""
    folder = ROOT if module.split(".")[0] == "scalewatch" else ROOT / "integrations"
    path = folder.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(file_of(module).read_text("utf-8"))


@cache
def made_by(module: str) -> frozenset[str]:
    """Return the names that a module defines itself."""
    found: set[str] = set()
    for node in _tree(module).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            found |= made_by_node(node)
    return frozenset(found)


def made_by_node(node: ast.Assign | ast.AnnAssign) -> set[str]:
    """Return the names that an assignment makes."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}


@cache
def _takes(module: str) -> dict[str, str]:
    """The names that a module imports from ours -> the module that each is taken from; "*" for all of one."""
    found = {}
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in BASES:
            found |= {alias.asname or alias.name: node.module for alias in node.names}
    return found


def home_of(package: str, name: str) -> str:
    """Return the dotted name under which a public name is made; nothing is imported for it."""
    if name in made_by(package):
        return f"{package}.{name}"
    taken = _takes(package)
    if name in taken or "*" in taken:
        return home_of(taken.get(name, taken.get("*", "")), name)
    raise LookupError(f"{package}.{name} is made nowhere")


@cache
def faces() -> dict[str, list[Public]]:
    """Return each face with its public names."""
    return {package: [Public(name, home_of(package, name)) for name in public_names(package)] for package in FACES}


def first_face() -> dict[str, str]:
    """Return where each public object is told: its home -> the face."""
    told: dict[str, str] = {}
    for package, names in faces().items():
        for public in names:
            told.setdefault(public.home, package)
    return told


def pages() -> dict[str, str]:
    """Return the pages of the reference: path below docs/ -> Markdown."""
    told = first_face()
    made = {f"api/{package}.md": _face(package, told) for package in faces()}
    made["api/index.md"] = _index()
    made["api/modules.md"] = _modules()
    return made


def _said(module: str) -> str:
    """The first sentence of a module's docstring."""
    return first_sentence(ast.get_docstring(_tree(module)) or "")


def first_sentence(docstring: str) -> str:
    """Return what a docstring says in its first line."""
    return escaped(" ".join(docstring.split("\n\n")[0].split()))


def _face(package: str, told: dict[str, str]) -> str:
    lines = [f"# `{package}`", "", _said(package), ""]
    here = [public for public in faces()[package] if told[public.home] == package]
    elsewhere = [public for public in faces()[package] if told[public.home] != package]
    if elsewhere:
        lines += ["Also here, and told on the page of their own:", ""]
        links = (_link(public, told[public.home]) for public in elsewhere)
        lines += [", ".join(links) + ".", ""]
    for public in here:
        lines += _constant(public) or [f"::: {public.home}", ""]
    return "\n".join(lines)


def _link(public: Public, face: str) -> str:
    # the index of autorefs knows what mkdocstrings tells, and no constant
    return f"[`{public.name}`]" + (f"({face}.md#{public.home})" if _constant(public) else f"[{public.home}]")


def _constant(public: Public) -> list[str]:
    """What is told of a constant: the comment above it, and the line; empty for anything else."""
    module, _, name = public.home.rpartition(".")
    source = file_of(module).read_text("utf-8").splitlines()
    for node in _tree(module).body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and name in made_by_node(node):
            above = itertools.takewhile(lambda line: line.startswith("#:"), reversed(source[: node.lineno - 1]))
            comment = " ".join(line.removeprefix("#:").strip() for line in reversed(list(above)))
            written = source[node.lineno - 1 : node.end_lineno]
            shown = written if len(written) <= MOST_LINES else [*written[:MOST_LINES], "    ..."]
            return [f"## {name} {{ #{public.home} }}", "", escaped(comment), "", "```python", *shown, "```", ""]
    return []


def _index() -> str:
    lines = [
        "# API reference",
        "",
        "What people import, package by package. Every public name stands on one of these",
        "",
    ]
    lines[-2] += " pages; [every module of the house](modules.md) is listed with what it hands to the others."
    lines += ["| package | what it is | names |", "|---|---|---|"]
    for package, names in faces().items():
        lines.append(f"| [`{package}`]({package}.md) | {_said(package)} | {len(names)} |")
    return "\n".join([*lines, ""])


def _modules() -> str:
    """Every module with its first sentence and what `__all__` holds, with the first sentence of each."""
    lines = [
        "# Every module",
        "",
        "For whoever changes the house: each module, and the names that it hands to others.",
        "",
    ]
    room = ""
    for module in modules():
        tree = _tree(module)
        names = exported(tree)
        base = ".".join(module.split(".")[:2])
        if base != room:
            room = base
            lines += [f"## `{room}`", ""]
        lines += [f"**`{module}`**: {first_sentence(ast.get_docstring(tree) or '')}", ""]
        said = {node.name: first_sentence(ast.get_docstring(node) or "") for node in tree.body if _has_docstring(node)}
        lines += [f"- `{name}`" + (f": {said[name]}" if said.get(name) else "") for name in names]
        lines += [""] if names else []
    return "\n".join(lines)


def _has_docstring(node: Any) -> bool:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))


def exported(tree: ast.Module) -> list[str]:
    """Return what `__all__` of a module holds, where it is written out."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return re.findall(r"'([^']+)'", ast.unparse(node.value))
    return []
