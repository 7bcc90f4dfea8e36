"""The files of the project, each read and parsed once, and who of them imports whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Import:
    """A name that a file takes from elsewhere.

    Args:
        line: of the file. name: whole dotted name. inside: whether it stands in a function.
        module: the part of the name that the file itself calls a module; None where it says only the whole.
    """

    line: int
    name: str
    inside: bool
    module: str | None = None


@dataclass(frozen=True)
class Source:
    """A Python file, or a text that stands for one.

    Args:
        name: what a person calls it. module: its dotted name. text: what stands in it. is_package: `__init__.py`.
    """

    name: str
    module: str
    text: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def imports(self) -> list[Import]:
        """All that it imports, at whatever depth it does so."""
        inside = {id(node) for function in self.nodes if isinstance(function, FUNCTIONS) for node in ast.walk(function)}
        return [found for node in self.nodes for found in self._imports(node, id(node) in inside)]

    def _imports(self, node: ast.AST, inside: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = self.module.split(".") if self.is_package else self.module.split(".")[:-1]
            above = package[: len(package) - (node.level - 1)] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (Import(node.lineno, f"{base}.{alias.name}", inside, base) for alias in node.names)
        elif isinstance(node, ast.Call) and called(node) in {"import_module", "__import__"}:
            name = node.args[0] if node.args else None
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield Import(node.lineno, name.value, inside)


def called(call: ast.Call) -> str:
    """The last part of the name of what is called."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


@cache
def read(path: Path) -> Source:
    """A file of the project."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] == "integrations" else parts
    is_package = parts[-1] == "__init__"
    module = ".".join(parts[:-1] if is_package else parts)
    return Source(path.relative_to(ROOT).as_posix(), module, path.read_text("utf-8"), is_package)


def sources(*folders: str) -> list[Source]:
    """Every Python file of the folders."""
    return [read(path) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


class ImportGraph:
    """Which module needs which; a name that a package's face only hands on counts as taken from where it is made."""

    def __init__(self, files: list[Source]) -> None:
        self._files: Mapping[str, Source] = {file.module: file for file in files}
        self._handed_on = {
            file.module: {found.name.rpartition(".")[2]: found.name for found in file.imports if not found.inside}
            for file in files
            if file.is_package
        }

    def home(self, name: str) -> str | None:
        """The module in which a dotted name is made; None where it is none of these files'."""
        if name in self._files:
            return name
        module, _, last = name.rpartition(".")
        handed_on = self._handed_on.get(module, {}).get(last)
        if handed_on is not None and handed_on != name:
            return self.home(handed_on)
        while module and module not in self._files:
            module = module.rpartition(".")[0]
        return module or None

    def needs(self, *, at_import: bool = False) -> dict[str, set[str]]:
        """Module -> those of these files that it imports; with `at_import` only those that it imports at once."""
        return {
            file.module: {
                home
                for found in file.imports
                if not (at_import and found.inside)
                if (home := self.home(found.name)) is not None and home != file.module
            }
            for file in self._files.values()
        }

    def circles(self) -> list[list[str]]:
        """The modules that need one another, each circle as one sorted list (Tarjan, 1972)."""
        needs = self.needs()
        index: dict[str, int] = {}
        lowest: dict[str, int] = {}
        stack: list[str] = []
        circles: list[list[str]] = []

        def visit(module: str) -> None:
            index[module] = lowest[module] = len(index)
            stack.append(module)
            for other in needs[module]:
                if other not in index:
                    visit(other)
                    lowest[module] = min(lowest[module], lowest[other])
                elif other in stack:
                    lowest[module] = min(lowest[module], index[other])
            if lowest[module] == index[module]:
                at = stack.index(module)
                if len(stack) - at > 1:
                    circles.append(sorted(stack[at:]))
                del stack[at:]

        for module in sorted(needs):
            if module not in index:
                visit(module)
        return sorted(circles)

    def reaching(self, wanted: set[str]) -> set[str]:
        """The modules whose import brings in one of the outside packages `wanted`, itself or by what it imports."""
        reaching = {
            file.module
            for file in self._files.values()
            if any(not found.inside and found.name.split(".")[0] in wanted for found in file.imports)
        }
        needs = self.needs(at_import=True)
        while more := {module for module, others in needs.items() if module not in reaching and others & reaching}:
            reaching |= more
        return reaching
