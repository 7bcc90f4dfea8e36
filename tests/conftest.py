"""What every test stands on: strict faults, a quiet terminal, one thread, no skip unseen."""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# Scripts that import their neighbours; none holds a test, and none is a module of this tree.
collect_ignore = ["benchmarks"]

# The tests run beside one another, a process a core. torch reads these when it is imported, so that nothing here has to
# import it.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# A suite that was begun in the background ignores Ctrl-C, and so would each process that a test begins and ends by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Also for fixtures that outlive one test and for doctests, which the fixture below does not reach.
os.environ["SCALEWATCH_STRICT"] = "1"

# Where nobody listens to the root logger, Lightning prints its tips itself.
logging.getLogger().addHandler(logging.NullHandler())

settings.register_profile("scalewatch", deadline=None, derandomize=True)
settings.load_profile("scalewatch")

#: How long a background thread may take to end after the test that started it, seconds.
THREAD_GRACE_SECONDS = 60.0


class SkipsFail:
    """Turns each skipped test into a failed one: in CI, what is skipped is never run by anybody."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Iterator[None]:
        return self._forbid((yield))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self) -> Iterator[None]:
        return self._forbid((yield))

    def _forbid(self, report: Any) -> Any:
        expected_failure = hasattr(report, "wasxfail")
        if report.outcome == "skipped" and not expected_failure:
            why = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
            report.outcome = "failed"
            report.longrepr = f"{why}\n(SCALEWATCH_NO_SKIP=1: a skipped test is a failed one)"
        return report


#: Files that one worker runs one after the other, for they share what takes long to start: a browser and its server, a
#: Python that has imported torch and Lightning. Each by the beginning of its name.
TOGETHER = {
    "panels": ("tests/scalewatch_tensorboard/test_panel_",),
    "forks": (
        *(f"tests/scalewatch_lightning/test_{name}" for name in ("end.py", "forked", "loggers", "ranks")),
        *(f"tests/scalewatch_lightning/test_{name}" for name in ("requeue", "rewind")),
        *(f"tests/scalewatch_torch/test_{name}" for name in ("killed", "supervised", "two_ranks", "watcher.py")),
        *(f"tests/scalewatch_transformers/test_{name}" for name in ("report_to", "two_ranks")),
        *(f"tests/examples/test_{name}" for name in ("fabric", "plain", "tiny_gpt", "transformers")),
        *("tests/alert/test_lightning", "tests/test_faults"),
    ),
}
#: What takes longest stands first: whoever runs it last is waited for by all.
FIRST = ("panels", "forks", "tests/scalewatch_tensorboard/", "tests/alert/test_kill")


def _group_of(name: str) -> str:
    """The tests of a file share fixtures, so that they share a worker; doctests are too small to be sent alone."""
    for group, files in TOGETHER.items():
        if name.startswith(files):
            return group
    return name.partition("::")[0] if name.startswith("tests/") else "doctests"


def _turn_of(group: str) -> int:
    """When a group's turn is: those that take longest first, the others after them as they come."""
    return next((place for place, name in enumerate(FIRST) if group.startswith(name)), len(FIRST))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the groups into the order in which workers get them."""
    items.sort(key=lambda item: _turn_of(_group_of(item.nodeid)))


def pytest_collection_finish() -> None:
    """What was imported stays: who collects garbage, as a Trainer of transformers does, need not look at it."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist nobody asks for it
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One worker runs the tests of a group. Marks would do, but pytest-xdist 3.8 sees none under pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group_of(nodeid)

    return ByGroup(config, log)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("SCALEWATCH_NO_SKIP") == "1":
        config.pluginmanager.register(SkipsFail(), "scalewatch-skips-fail")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults of ours are raised, and text is as wide and as plain on every machine.

    A test that wants the guard to swallow a fault says `monkeypatch.delenv("SCALEWATCH_STRICT")`.
    """
    monkeypatch.setenv("SCALEWATCH_STRICT", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    # `import lightning` binds one to the stderr of that test, which is closed by now.
    logging.getLogger("lightning").handlers.clear()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """A test fails that leaves one of our threads behind."""
    before = set(threading.enumerate())

    yield

    new = [thread for thread in threading.enumerate() if thread not in before]
    ours = [thread for thread in new if thread.name.startswith("scalewatch")]
    for thread in ours:
        thread.join(THREAD_GRACE_SECONDS)
    left = [thread.name for thread in ours if thread.is_alive()]
    assert left == [], "these threads outlived the test that started them: close what it built"


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real public runs: `SCALEWATCH_DATA`, or else `../shared/data`."""
    folder = Path(os.environ.get("SCALEWATCH_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"needs the folder of real runs; SCALEWATCH_DATA leads to {folder}")
    return folder
