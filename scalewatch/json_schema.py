"""JSON Schema of what is answered, from the types that it is written with: dataclasses, typed dicts, enums.

What `scalewatch.plain.to_plain` makes of a thing of a type is what the type's schema allows. What a field means stands
where the field is declared: behind the type in `Annotated`, or under `Attributes:` in the docstring of a dataclass.
Source: JSON Schema, draft 2020-12.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Union,
    final,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from scalewatch.finding import Finding
from scalewatch.plain import NONFINITE

__all__ = ["DIALECT", "described", "fields_of", "schema_of", "schemas_of"]

#: Which JSON Schema this is. By definition.
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN: dict[Any, dict[str, Any]] = {
    int: {"type": "integer"},
    str: {"type": "string"},
    Path: {"type": "string"},
    bool: {"type": "boolean"},
    NoneType: {"type": "null"},
    float: {"$ref": "#/$defs/number"},
    Any: {},
    object: {},
}
#: A number that JSON does not know is a word.
_NUMBER: dict[str, Any] = {
    "description": 'A number; one that is not finite is the word "nan", "inf" or "-inf".',
    "anyOf": [{"type": "number"}, {"enum": list(NONFINITE)}],
}
#: What `to_plain` adds to the fields of a finding.
_OF_A_FINDING: dict[str, dict[str, Any]] = {
    "name": {"type": "string", "description": "What people call its kind."},
    "nonfinite": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Names in its evidence of numbers that are not finite, and so are words; left out without any.",
    },
}


@final
@dataclasses.dataclass(slots=True)
class _Known:
    """Types that were met, by name, and their schemas."""

    kinds: dict[str, Any] = dataclasses.field(default_factory=dict)
    schemas: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)


def schema_of(kind: Any) -> dict[str, Any]:
    """Return the schema of a type, with the definitions that it needs beside it.

    Raises:
        TypeError: if something in it is no type that JSON can hold, or two types in it have one name.

    >>> from scalewatch.advice import EvidenceGrade
    >>> schema_of(tuple[EvidenceGrade, ...])["items"], schema_of(EvidenceGrade)["$ref"]
    ({'$ref': '#/$defs/EvidenceGrade'}, '#/$defs/EvidenceGrade')
    """
    known = _Known()
    own = _of(kind, known)
    return {"$schema": DIALECT, **own, "$defs": known.schemas}


def schemas_of(answers: Mapping[str, Any], title: str) -> dict[str, Any]:
    """Return one schema for several answers, each by its name below `$defs`, and what they have in common once.

    Raises:
        TypeError: if something in them is no type that JSON can hold, or two types have one name.
    """
    known = _Known()
    named = {name: _of(kind, known) for name, kind in answers.items()}
    return {"$schema": DIALECT, "title": title, "$defs": {**named, **known.schemas}}


def fields_of(kind: Any) -> dict[str, tuple[Any, str]]:
    """Return the fields of a dataclass or typed dict: name -> (type, what it is); one that may be left out too."""
    hints = get_type_hints(kind, include_extras=True)
    words = {} if is_typeddict(kind) else described(kind)
    found = {}
    for name in hints if is_typeddict(kind) else [each.name for each in dataclasses.fields(kind)]:
        hint, text = hints[name], words.get(name, "")
        if get_origin(hint) is NotRequired:
            hint = get_args(hint)[0]
        if get_origin(hint) is Annotated:
            hint, text = get_args(hint)[:2]
        found[name] = (hint, text)
    return found


def described(kind: type) -> dict[str, str]:
    """Return what the docstring of a dataclass says of its fields, below `Attributes:`.

    >>> described(Finding)["severity"]
    'how much it matters; a closing finding is always info.'
    """
    block = re.search(r"Attributes:\n(.*?)(?:\n\s*\n|\Z)", kind.__doc__ or "", re.DOTALL)
    if block is None:
        return {}
    text = " ".join(block[1].split())
    names = "|".join(each.name for each in dataclasses.fields(kind))
    heads = list(re.finditer(rf"(?:^|(?<=[.;] ))((?:{names})(?:, (?:{names}))*): ", text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return {
        name: text[head.end() : end].strip()
        for head, end in zip(heads, ends, strict=True)
        for name in head[1].split(", ")
    }


def _of(kind: Any, known: _Known) -> dict[str, Any]:
    origin, parts = get_origin(kind), get_args(kind)
    if kind in _PLAIN:
        if kind is float:
            known.schemas["number"] = _NUMBER
        return dict(_PLAIN[kind])
    if origin is Annotated:
        return {**_of(parts[0], known), "description": parts[1]}
    if origin is Literal:
        return {"enum": list(parts)}
    if origin in (Union, UnionType):
        return {"anyOf": [_of(part, known) for part in parts]}
    if origin is tuple and Ellipsis not in parts:
        return {"type": "array", "prefixItems": [_of(part, known) for part in parts], "minItems": len(parts)}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _of(parts[1], known)}
    if isinstance(origin, type) and hasattr(origin, "__iter__"):
        return {"type": "array", "items": _of(parts[0], known)}
    if isinstance(kind, type) and (issubclass(kind, Enum) or is_typeddict(kind) or dataclasses.is_dataclass(kind)):
        if known.kinds.setdefault(kind.__name__, kind) is not kind:
            raise TypeError(f"{kind.__qualname__} is the name of two types")
        if kind.__name__ not in known.schemas:
            known.schemas[kind.__name__] = {}  # a type may hold itself
            known.schemas[kind.__name__] = _named(kind, known)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    raise TypeError(f"{kind!r:.80} is nothing that JSON can hold")


def _named(kind: Any, known: _Known) -> dict[str, Any]:
    head = {"description": " ".join((kind.__doc__ or "").split("\n\n")[0].split())}
    if issubclass(kind, Enum):
        return {**head, "enum": [member.value for member in kind]}
    made = {}
    for name, (hint, text) in fields_of(kind).items():
        made[name] = {**_of(hint, known), **({"description": text} if text else {})}
    # not `__optional_keys__`: where annotations are kept as text, it does not know `NotRequired`
    hints = {} if dataclasses.is_dataclass(kind) else get_type_hints(kind, include_extras=True)
    optional = {name for name, hint in hints.items() if get_origin(hint) is NotRequired}
    needed = [name for name in made if name not in optional]
    if kind is Finding:
        made |= _OF_A_FINDING
    return {**head, "type": "object", "properties": made, "required": needed}
