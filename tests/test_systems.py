"""Systems that are not this one: what stands for Windows, and where calls of POSIX may be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.house import ROOT, Source, sources
from tests.other_system import NO_MODULES, ONLY_POSIX
from tests.test_house import WHEEL

#: The two files with what differs between systems: one with a fallback for each, one that is for terminals of POSIX.
MAY_DIFFER = ("scalewatch/system.py", "scalewatch/cli/passed_through.py")
#: Signals that Windows has not.
SIGNALS = ("SIGKILL", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCHLD", "SIGCONT")


def calls_of_posix(source: Source) -> list[str]:
    """The lines that use what one system has and another has not."""
    names = {f"os.{name}" for name in ONLY_POSIX} | {f"signal.{name}" for name in SIGNALS}
    names |= {f"os.{name}" for name in ("O_BINARY", "O_NOINHERIT", "startfile")}
    written = source.text.splitlines()
    found = [f"{source.name}:{n}" for n, line in enumerate(written, 1) if any(_uses(line, name) for name in names)]
    imported = [i for i in source.imports if i.name.split(".")[0] in NO_MODULES]
    return found + [f"{source.name}:{taken.line}: {taken.name}" for taken in imported]


def _uses(line: str, name: str) -> bool:
    module, _, attribute = name.partition(".")
    place = line.find(name)
    dotted = place >= 0 and not (line[place + len(name) : place + len(name) + 1].isidentifier())
    return dotted or f'getattr({module}, "{attribute}"' in line or f'hasattr({module}, "{attribute}"' in line


def test_calls_of_one_system_stand_in_one_file() -> None:
    """Each with its fallback there; a terminal is the one thing that has none."""
    found = [line for source in sources(*WHEEL) for line in calls_of_posix(source)]

    assert [] == [line for line in found if not line.startswith(MAY_DIFFER)]


def test_a_call_of_one_system_is_found() -> None:
    """As an attribute, through `getattr`, and as a module."""
    bad = 'import fcntl\nimport os\nos.killpg(1, 9)\nflags = getattr(os, "O_NOFOLLOW", 0)\n'

    assert 3 == len(calls_of_posix(Source("bad", "m", bad)))
    assert [] == calls_of_posix(Source("good", "m", "import os\nos.replace('a', 'b')\nos.open_file = 3\n"))


WITHOUT_POSIX = """
import sys
from tests.other_system import become_windows
become_windows()
from pathlib import Path
from scalewatch import Monitor, Observation, Run
from scalewatch.alert.lock import Lock
from scalewatch.alert.state_file import StateFile
from scalewatch.alert.transport.subprocess import run_program
from scalewatch.journal import JournalWriter, finding_record, observation_record, read_journal
from scalewatch.worker import Worker

folder = Path(sys.argv[1])
worker, monitor = Worker(), Monitor(Run("elsewhere"))
writer = JournalWriter(folder / "run", monitor.run, worker=worker)
worker.start()
for step in range(1, 401):
    row = Observation(step, 3.0 + (step % 7) / 100 if step < 390 else float("nan"))
    writer.append(observation_record(row))
    for finding in monitor.observe(row):
        writer.append_through(finding_record(finding))
assert worker.close()
journal = read_journal(folder / "run")
print("rows", len(journal.observations), "lost", "nonfinite" in [f.kind for f in journal.findings], journal.damage)

segment = next((folder / "run").glob("*.jsonl"))
assert b"\\r" not in segment.read_bytes()
segment.write_bytes(segment.read_bytes().replace(b"\\n", b"\\r\\n"))
print("copied in text mode", len(read_journal(folder / "run").observations))

state = StateFile(folder / "alerts.json")
print("state", state.write({"a": 1}), state.read())
print("lock", Lock(folder / "lock").acquire())
print("command", run_program([sys.executable, "-c", "print(3)"], b"", {}, 60.0))
from typer.testing import CliRunner
from scalewatch.cli import new_app
print("replay", CliRunner().invoke(new_app(), ["replay", str(folder / "run")]).exit_code)
"""


def test_the_core_works_where_there_is_no_posix(tmp_path: Path) -> None:
    """Journal, state, lock, command and replay with the modules, calls and ends of lines of Windows."""
    command = [sys.executable, "-c", WITHOUT_POSIX, str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert [
        "rows 400 lost True []",
        "copied in text mode 400",
        "state True {'a': 1}",
        "lock True",
        "command 0",
        "replay 1",
    ] == ran.stdout.splitlines(), ran.stderr[-3000:]
