"""Python processes that begin with torch and Lightning imported, which takes five seconds of a core each time.

They are forks of one process that has imported them and done nothing else; the first test that asks starts it. In
place of `sys.executable, "-W", "ignore"` a command begins with `*warm.python()`; `-c`, `-m` or a file follows as usual.
What is started is a go-between: it hands its arguments, environment, folder and standard files to a fork, passes
signals on, and ends as the fork ends; if it is killed, the fork is.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import types
from typing import Any

#: What forks begin with.
IMPORTED = ("tests.scalewatch_lightning.conftest", "tests.scalewatch_transformers.conftest", "scalewatch_transformers")
#: Signals that tests send.
PASSED_ON = ("SIGINT", "SIGTERM", "SIGUSR1")
LENGTH_BYTES = 8


@functools.cache
def python() -> tuple[str, ...]:
    """The beginning of a command that runs Python; where there are no pidfds (Linux has them), an ordinary one."""
    if not hasattr(os, "pidfd_open"):
        return (sys.executable, "-W", "ignore")
    folder = tempfile.mkdtemp()
    address = f"{folder}/line"
    command = [sys.executable, "-W", "ignore", "-m", "tests.warm", "serve", address]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin is not None
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"

    def end() -> None:
        server.communicate()
        shutil.rmtree(folder)

    atexit.register(end)
    return (sys.executable, "-I", "-S", __file__, "ask", address)


def ask(address: str, arguments: list[str]) -> None:
    """Stand for a fork: hand over all that it needs, pass signals on, and end as it ends."""
    line = socket.socket(socket.AF_UNIX)
    line.connect(address)
    words = json.dumps([arguments, dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(line, [len(words).to_bytes(LENGTH_BYTES, "little")], [0, 1, 2])
    line.sendall(words)
    fork = int.from_bytes(line.recv(LENGTH_BYTES), "little")
    for name in PASSED_ON:
        signal.signal(getattr(signal, name), lambda number, _: os.kill(fork, number))
    code = os.waitstatus_to_exitcode(int.from_bytes(line.recv(LENGTH_BYTES), "little"))
    if code >= 0:
        os._exit(code)
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)


def serve(address: str) -> None:
    """Fork for each who asks, until standard input ends; a fork runs what it was asked to, and returns."""
    for name in IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else each fork looks through, and so copies, all that was imported whenever it collects
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    os.write(1, b"ready\n")

    chosen = selectors.DefaultSelector()
    chosen.register(0, selectors.EVENT_READ)
    chosen.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in chosen.select():
            if key.fd == 0:
                return
            if key.fileobj is listener:
                line, _ = listener.accept()
                request, files = _heard(line)
                fork = os.fork()
                if fork == 0:
                    for each in (chosen, listener, line):
                        each.close()
                    _become(files, *request)
                    return
                for file in files:
                    os.close(file)
                line.sendall(fork.to_bytes(LENGTH_BYTES, "little"))
                ended = os.pidfd_open(fork)
                chosen.register(ended, selectors.EVENT_READ, (fork, line))
                chosen.register(line, selectors.EVENT_READ, (fork, None))
            elif isinstance(key.fileobj, socket.socket):  # the go-between is gone, or the fork's end is told below
                os.kill(key.data[0], signal.SIGKILL)
                chosen.unregister(key.fileobj)
            else:
                _tell_end(chosen, key)


def _heard(line: socket.socket) -> tuple[Any, list[int]]:
    """What somebody asks for, and the three files that come with it."""
    head, files, _, _ = socket.recv_fds(line, LENGTH_BYTES, 3)
    left, parts = int.from_bytes(head, "little"), []
    while left:
        parts.append(line.recv(left))
        left -= len(parts[-1])
    return json.loads(b"".join(parts)), files


def _tell_end(chosen: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    """Tell the go-between how its fork has ended, if it is still there."""
    fork, line = key.data
    status = os.waitpid(fork, 0)[1]
    chosen.unregister(key.fileobj)
    os.close(key.fd)
    if line in chosen.get_map():
        chosen.unregister(line)
        line.sendall(status.to_bytes(LENGTH_BYTES, "little"))
    line.close()


def _become(files: list[int], arguments: list[str], environment: dict[str, str], folder: str) -> None:
    """Be the process that was asked for."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, "")
    match arguments:
        case ["-c", code, *rest]:
            sys.argv = ["-c", *rest]
            sys.modules["__main__"] = main = types.ModuleType("__main__")
            exec(compile(code, "<string>", "exec"), main.__dict__)
        case ["-m", name, *rest]:
            sys.argv = [name, *rest]
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        case [file, *_]:
            sys.argv = arguments
            sys.path[0] = os.path.dirname(file)
            runpy.run_path(file, run_name="__main__")


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        ask(sys.argv[2], sys.argv[3:])
    else:
        serve(sys.argv[2])
