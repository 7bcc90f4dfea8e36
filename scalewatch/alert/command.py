"""Runs a command of the user's for each message: the JSON on its standard input, no shell."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

from scalewatch.alert.notice import Notice
from scalewatch.alert.receiver import DeliveryError, Receiver, settings_of
from scalewatch.errors import ConfigError

__all__ = ["Command"]


@final
class Command(Receiver):
    """Runs a command; it has taken the message if it exits with 0.

    Args:
        argv: the program and its arguments, as they are: there is no shell, so nothing in a run's name is run.
            It gets `Notice.to_json()` on standard input, and SCALEWATCH_TITLE, _STATUS and _SEVERITY.

    Raises:
        ConfigError: if `argv` is no list of words or the program is not found.
    """

    name: ClassVar[str] = "command"

    def __init__(self, argv: Sequence[str]) -> None:
        super().__init__()
        if isinstance(argv, str) or not argv or not all(isinstance(word, str) and "\0" not in word for word in argv):
            raise ConfigError(
                f'`argv` must be a list of words, such as ["notify-send", "scalewatch"] (got {argv!r:.80}).'
            )
        program = shutil.which(argv[0])
        if program is None:
            raise ConfigError(f"`argv` must begin with a program that is there (got {argv[0]!r:.80}).")
        self._argv = [program, *argv[1:]]

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Command:
        """Make one; setting `argv`.

        Raises:
            ConfigError: if it is no command.
        """
        return cls(settings_of(settings, argv=[])["argv"])

    def send(self, notice: Notice, timeout: float) -> None:
        """Run it; what takes longer than `timeout` is killed, with all that it started.

        Raises:
            DeliveryError: if it could not be run or did not exit with 0.
        """
        why = self._run(notice, timeout)
        if why:
            raise DeliveryError(why)

    def _run(self, notice: Notice, timeout: float) -> str:
        """Why it failed, empty if it did not: no exception may keep this frame, with its environment, alive."""
        words = {"TITLE": notice.title, "STATUS": notice.status.value, "SEVERITY": notice.severity.value}
        try:
            process = subprocess.Popen(
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **{f"SCALEWATCH_{name}": word for name, word in words.items()}},
                start_new_session=True,
            )
        except (OSError, ValueError) as fault:
            return f"the command cannot be run ({type(fault).__name__})"
        try:
            process.communicate(json.dumps(notice.to_json(), allow_nan=False).encode("ascii"), timeout=timeout)
        except subprocess.TimeoutExpired:
            return "the command did not end in time"
        finally:
            _end(process)
        return f"the command exited with {process.returncode}" if process.returncode else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
