"""The docstrings of the house as Markdown: several arguments may share a line there, and no parser of others knows it.

Args:
    steps, losses: of the rows, shape (n,). frame: around it.

becomes a list with an entry for each group of names.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterator
from typing import Any

import griffe

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields|Source|References):\s*(.*)$")
_NAMES = r"[A-Za-z_*][\w.]*(?:, [A-Za-z_*][\w.]*)*"
_CODE = re.compile(r"(`[^`]*`)")
TITLES = {"Args": "Arguments", "Yields": "Yields", "References": "Source"}


def markdown(docstring: str, names: Collection[str] = ()) -> str:
    """Return a docstring as Markdown; `names` are those that its sections may hold."""
    out: list[str] = []
    for title, lines in _sections(docstring.splitlines()):
        if title is None:
            out += _prose(lines)
        elif title in ("Args", "Attributes", "Raises"):
            out += ["", f"**{TITLES.get(title, title)}**", ""]
            out += [f"- {item}" for item in _items(lines, names, errors=title == "Raises")]
        else:
            said = " ".join(line.strip() for line in lines if line.strip())
            out += ["", f"**{TITLES.get(title, title)}**: {escaped(said)}"]
    return "\n".join(out).strip() + "\n"


def _sections(lines: list[str]) -> Iterator[tuple[str | None, list[str]]]:
    title: str | None = None
    body: list[str] = []
    for line in lines:
        found = _SECTION.match(line)
        if found or (title is not None and line.strip() and not line.startswith(" ")):
            yield title, body
            title, body = (found[1], [f"    {found[2]}"] if found[2] else []) if found else (None, [line])
        else:
            body.append(line)
    yield title, body


def _prose(lines: list[str]) -> Iterator[str]:
    inside = False
    for line in lines:
        if line.startswith(">>> ") and not inside:
            inside = True
            yield from ("", "```pycon")
        elif inside and not line.strip():
            inside = False
            yield "```"
        yield line if inside or line.startswith("    ") else escaped(line)
    if inside:
        yield "```"


def _items(lines: list[str], names: Collection[str], *, errors: bool) -> Iterator[str]:
    whole: list[str] = []
    for line in lines:
        if line.strip() and (not line.startswith("     ") or not whole):
            whole.append(line.strip())
        elif line.strip():
            whole[-1] += f" {line.strip()}"
    for each in whole:
        for item in re.split(rf"(?<=[.;)])\s+(?=({_NAMES}): )", each)[::2] if errors else _split(each, names):
            label, colon, said = item.partition(": ")
            if colon and re.fullmatch(_NAMES, label):
                yield ", ".join(f"`{name}`" for name in label.split(", ")) + f": {escaped(said)}"
            else:
                yield escaped(item)


def _split(text: str, names: Collection[str]) -> list[str]:
    parts, begin = [], 0
    for found in re.finditer(rf"(?<=[.;)])\s+({_NAMES}): ", text):
        if all(name.lstrip("*") in names for name in found[1].split(", ")):
            parts.append(text[begin : found.start()])
            begin = found.start(1)
    return [*parts, text[begin:]]


def escaped(text: str) -> str:
    """Return a text in which nothing but what stands in backticks is taken for code, and nothing for HTML."""
    return "".join(
        part if part.startswith("`") else html.escape(part, quote=False).replace("*", "\\*")
        for part in _CODE.split(text)
    )


def signature(code: str, line_length: int) -> str:
    """Return a signature in one line, or with a line for each parameter.

    ruff would do it better, in a process of its own for each of a thousand signatures.
    """
    flat = " ".join(code.split())
    begin, end = flat.find("("), flat.rfind(")")
    if len(flat.removesuffix(": pass")) <= line_length or begin < 0 or not flat.endswith(": pass"):
        return f"{flat}\n"
    arrow = flat.rfind(") -> ")
    end = arrow if arrow > 0 else end
    parts, depth, last = [], 0, begin + 1
    for place in range(begin + 1, end):
        depth += (flat[place] in "([{") - (flat[place] in ")]}")
        if flat[place] == "," and not depth:
            parts.append(flat[last:place].strip())
            last = place + 1
    parts.append(flat[last:end].strip())
    return "\n".join([flat[: begin + 1], *(f"    {part}," for part in parts if part), f"{flat[end:]}\n"])


def _is_told(member: Any) -> bool:
    return not member.is_alias and member.is_attribute and "property" not in member.labels and not member.docstring


def _value(name: str, value: object) -> str:
    said = " ".join(part.strip("()\"' ") for part in str(value).splitlines())
    return f"- `{name}`: {escaped(said)}\n"


class HouseDocstrings(griffe.Extension):
    """Rewrites each docstring that mkdocstrings is given, which then shows it as it is."""

    def on_object(self, *, obj: Any, loader: Any, **kwargs: Any) -> None:
        """Rewrite the docstring of one object; an attribute that the docstring of its class tells is told once."""
        told = [name for name, member in obj.members.items() if _is_told(member)] if obj.is_class else []
        values = ""
        if told and any("Enum" in str(base) for base in obj.bases):
            values = "\n**Values**\n\n" + "".join(_value(name, obj.members[name].value) for name in told)
        names = set(obj.members) if obj.is_class else {parameter.name for parameter in getattr(obj, "parameters", ())}
        if obj.is_class and "__init__" in obj.members:
            names |= {parameter.name for parameter in obj.members["__init__"].parameters}
        for name in told:
            del obj.members[name]
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value, {name.lstrip("*") for name in names}) + values
