"""A package's face whose names are imported when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(
    package: str, homes: Mapping[str, str], eager: str = ""
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and `__all__` of a package that takes each name from its module on first use.

    Args:
        package: its `__name__`. homes: module of the package, or a whole dotted name -> the names that it holds,
            with blanks between. No name may be that of a submodule: importing the module would hide it.
        eager: public names that the package has imported already, the same way.

    Source: PEP 562.
    """
    home = {
        name: module if "." in module else f"{package}.{module}"
        for module, names in homes.items()
        for name in names.split()
    }

    def find(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(home[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return find, lambda: sorted({*vars(sys.modules[package]), *home}), sorted({*home, *eager.split()})
