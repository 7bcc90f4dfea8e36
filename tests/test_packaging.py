"""What a person gets who installs scalewatch: wheel, sdist, editable install, each really built."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGE_FOLDERS = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
PACKAGES = [Path(folder).name for folder in PACKAGE_FOLDERS]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(what: str, source: Path, into: Path) -> Path:
    """One file, built with the hatchling that is installed: no download, so it is quick."""
    run(
        *(sys.executable, "-m", "build", "--no-isolation", what, "--outdir", into, source),
        cwd=into.parent,
    )
    (built,) = into.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the working tree."""
    return build("--wheel", ROOT, tmp_path_factory.mktemp("wheel") / "dist")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, built from the working tree."""
    return build("--sdist", ROOT, tmp_path_factory.mktemp("sdist") / "dist")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel was installed into, without what it depends on."""
    target = tmp_path_factory.mktemp("installed") / "site"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(*pip, "--no-deps", "--no-index", "--target", target, wheel, cwd=target.parent)
    return target


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_every_integration_is_in_the_wheel() -> None:
    """An integration that nobody listed would work here and be missing from every install."""
    folders = sorted(p.parent.name for p in (ROOT / "integrations").glob("*/__init__.py"))

    assert ["scalewatch", *folders] == PACKAGES


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    """Each file of the import packages, the metadata, and neither tests nor examples."""
    expected = {
        f"{Path(folder).name}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder in PACKAGE_FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    info = f"scalewatch-{PROJECT['project']['version']}.dist-info"
    for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"):
        expected.add(f"{info}/{name}")

    assert sorted(expected) == sorted(names_in(wheel))


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_says_that_it_is_typed(wheel: Path, package: str) -> None:
    """Without `py.typed`, a type checker treats everything of ours as Any."""
    assert f"{package}/py.typed" in names_in(wheel)


def test_the_metadata_says_what_an_installer_needs(installed: Path) -> None:
    """Licence, Python, the few things the core needs, and an extra for everything else."""
    (info,) = installed.glob("*.dist-info")
    distribution = PathDistribution(info)
    needed = [r for r in distribution.requires or [] if "extra ==" not in r]

    assert "Apache-2.0" == distribution.metadata["License-Expression"]
    assert ">=3.11" == distribution.metadata["Requires-Python"]
    assert ["filelock", "numpy", "rich", "scipy", "typer"] == sorted(r.split(">")[0] for r in needed)
    assert {
        "lightning",
        "torch",
        "transformers",
        "tensorboard",
        "slack",
        "apprise",
        "charts",
        "optuna",
        "notebook",
        "docs",
        "fleet",
        "prometheus",
        "mcp",
        "all",
        "dev",
    } == set(distribution.metadata.get_all("Provides-Extra"))
    assert [("scalewatch", "scalewatch.cli:main")] == [
        (e.name, e.value) for e in distribution.entry_points if e.group == "console_scripts"
    ]


# -I: neither the working folder nor PYTHONPATH counts, so what is imported is what was installed.
IMPORT_ALL = """
import importlib, json, sys
sys.path[:0] = sys.argv[2:]
modules = [importlib.import_module(name) for name in sys.argv[1].split(",")]
print(json.dumps([module.__file__ for module in modules]))
"""


#: Where each would be imported from, without what that takes.
FIND_ALL = """
import importlib.util, json, sys
print(json.dumps([importlib.util.find_spec(name).origin for name in sys.argv[1].split(",")]))
"""


def test_what_the_wheel_installs_can_be_imported(installed: Path) -> None:
    """From the installed folder and not from the checkout: every package."""
    command = (sys.executable, "-I", "-c", IMPORT_ALL, ",".join(PACKAGES), installed)
    files = json.loads(run(*command, cwd=installed.parent))

    assert [str(installed / package / "__init__.py") for package in PACKAGES] == files


@pytest.mark.parametrize("script", sorted(PROJECT["project"]["scripts"].values()))
def test_each_entry_point_leads_to_something(installed: Path, script: str) -> None:
    """The command that pip writes calls a function that exists in the wheel."""
    module, function = script.split(":")
    probe = f"import sys, importlib; sys.path.insert(0, {str(installed)!r}); "
    probe += f"print(callable(importlib.import_module({module!r}).{function}))"

    assert "True\n" == run(sys.executable, "-I", "-c", probe, cwd=installed.parent)


def test_the_sdist_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    """What is published as source gives, file for file, what is published as wheel."""
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    again = build("--wheel", source, tmp_path / "dist")

    assert sorted(names_in(wheel)) == sorted(names_in(again))


def test_the_sdist_can_be_tested(sdist: Path) -> None:
    """A packager finds the tests, the examples and the pins in it, and nothing that tools left."""
    with tarfile.open(sdist) as archive:
        names = ["/".join(name.split("/")[1:]) for name in archive.getnames()]

    wanted = {"LICENSE", "README.md", "CHANGELOG.md", "Makefile", "constraints.txt"}
    assert set() == (wanted | {"tests/conftest.py", "tests/test_packaging.py"}) - set(names)
    assert [] == [name for name in names if "__pycache__" in name or name.startswith(".venv")]


def test_the_editable_install_resolves_every_package(tmp_path: Path) -> None:
    """`pip install -e .` is one plain .pth, which type checkers follow too."""
    command = (sys.executable, "-I", "-c", FIND_ALL, ",".join(PACKAGES))
    files = json.loads(run(*command, cwd=tmp_path))

    assert [str(ROOT / folder / "__init__.py") for folder in PACKAGE_FOLDERS] == files
