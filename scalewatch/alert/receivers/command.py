"""Runs a command of the user's for each message: the JSON on its standard input, no shell."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

from scalewatch.alert.notification import Notification
from scalewatch.alert.receiver import Receiver, settings_of
from scalewatch.alert.secret import DeliveryError
from scalewatch.alert.transport.subprocess import run_program
from scalewatch.errors import ConfigError
from scalewatch.system import environment_of_others

__all__ = ["Command"]


@final
class Command(Receiver):
    """Runs a command; it has taken the message if it exits with 0.

    Args:
        argv: the program and its arguments, as they are: there is no shell, so nothing in a run's name is run.
            It gets `Notification.to_json()` on standard input, and SCALEWATCH_TITLE, _STATUS and _SEVERITY.

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

    def send(self, notification: Notification, timeout: float) -> None:
        """Run it; what takes longer than `timeout` is killed, with all that it started.

        Raises:
            DeliveryError: if it could not be run or did not exit with 0.
        """
        words = {
            "TITLE": notification.title,
            "STATUS": notification.status.value,
            "SEVERITY": notification.severity.value,
        }
        env = {**environment_of_others(), **{f"SCALEWATCH_{name}": word for name, word in words.items()}}
        data = json.dumps(notification.to_json(), allow_nan=False).encode("ascii")
        ended = run_program(self._argv, data, env, timeout)
        del env  # it holds secrets, and an exception keeps this frame alive
        if ended != 0:
            why = f"exited with {ended}" if isinstance(ended, int) else ended
            raise DeliveryError(f"the command {why}")
