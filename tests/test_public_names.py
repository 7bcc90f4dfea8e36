"""Every public name is what it says it is, whatever was imported before it.

Why fresh processes: a package whose names are imported on first use can be right in a test run that has imported
everything, and wrong for the person who imports one name: the import of a submodule hides a name that it shares.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("scalewatch", "integrations")

#: Imports a face, and then names from it in forks, so that each fork has used none of its names before; tells what each
#: of them was, one JSON object a line.
FORKS = """
import dataclasses, importlib, inspect, json, logging, os, sys, types, uuid
import numpy  # as the others, so that not each fork does it: they know no name of ours
package, orders = sys.argv[1], json.loads(sys.argv[2])
importlib.import_module(package)
for names in orders:
    if os.fork():
        os.wait()
        continue
    found = {}
    for name in names:
        scope = {}
        exec(f"from {package} import {name}", scope)
        value = scope[name]
        if isinstance(value, types.ModuleType):
            found[name] = f"the module {value.__name__}"
        else:
            own = isinstance(value, (type, types.FunctionType))
            found[name] = f"{value.__module__}.{value.__qualname__}" if own else f"a {type(value).__name__}"
    print(json.dumps(found), flush=True)
    os._exit(0)
"""


def packages() -> list[str]:
    """Every package of the wheel."""
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("__init__.py")]
    return [".".join(file.parent.parts[file.parent.parts.index(file_root(file)) :]) for file in files]


def file_root(file: Path) -> str:
    """The first of a file's folders below the root that is a package."""
    first, *rest = file.relative_to(ROOT).parts
    return rest[0] if first == "integrations" else first


def public(package: str) -> list[str]:
    """Names that a package says are public."""
    return list(getattr(importlib.import_module(package), "__all__", ()))


def lazy() -> list[str]:
    """Packages that import names when they are first used."""
    return [name for name in packages() if "lazy_names(" in source(name)]


def source(package: str) -> str:
    """Source of a package's face."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text("utf-8")


def in_fresh_processes(package: str, orders: list[list[str]]) -> list[dict[str, str]]:
    """What the names of a package were, in a process of its own for each order of importing them."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "integrations"), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        [sys.executable, "-c", FORKS, package, json.dumps(orders)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "" == ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are what makes a fresh process a name affordable")
@pytest.mark.parametrize("package", lazy())
def test_a_name_imported_alone_or_after_any_other_is_what_it_says(package: str) -> None:
    """Each name alone, and all in both orders, so that each comes before and after each other, give one object."""
    names = public(package)
    *alone, forward, backward = in_fresh_processes(package, [*([name] for name in names), names, names[::-1]])

    found = {name: what for one in alone for name, what in one.items()}
    assert [] == [f"{name} is {what}" for name, what in found.items() if what.startswith("the module")]
    assert [] == [n for n, what in found.items() if not what.startswith("a ") and what.rpartition(".")[2] != n]
    assert forward == found
    assert backward == found


@pytest.mark.parametrize("package", packages())
def test_no_public_name_of_a_package_is_that_of_a_submodule(package: str) -> None:
    """Importing the submodule would hide the name; and none is a module."""
    face, names = importlib.import_module(package), public(package)
    inside = {module.name for module in pkgutil.iter_modules(face.__path__)}

    assert set() == inside & set(names)
    assert [] == [name for name in names if isinstance(getattr(face, name), ModuleType)]


def test_a_package_that_imports_on_first_use_says_which_names_it_has() -> None:
    """Its `dir` holds them all before any is used."""
    every = in_fresh_processes("scalewatch.laws", [["Chinchilla", "fit_chinchilla"]])[0]

    assert set(public("scalewatch.laws")) <= set(dir(importlib.import_module("scalewatch.laws")))
    assert {
        "Chinchilla": "scalewatch.laws.chinchilla.Chinchilla",
        "fit_chinchilla": "scalewatch.fitting.chinchilla.fit_chinchilla",
    } == every
