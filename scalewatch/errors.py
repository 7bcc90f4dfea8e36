"""The exceptions that scalewatch raises, one tree: catch `ScalewatchError` to catch them all.

They are raised while things are being built or read. Nothing raises while a run is being observed.
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "FitError",
    "JournalError",
    "LawFileError",
    "LogError",
    "PlainError",
    "RunError",
    "ScalewatchError",
]


class ScalewatchError(Exception):
    """Anything that scalewatch refuses, with what was wrong, what was expected and what was got."""


class RunError(ScalewatchError, ValueError):
    """A `Run` was described with values that no run can have."""


class ConfigError(ScalewatchError, ValueError):
    """An option of a monitor, callback or command is out of its range."""


class FitError(ScalewatchError, ValueError):
    """A law cannot be fitted to what was given."""


class PlainError(ScalewatchError, ValueError):
    """Plain values, of a file or a message, are not those of what they should be."""


class LawFileError(ScalewatchError, ValueError):
    """A law file cannot be read: the message names the file, the field and the reason."""


class JournalError(ScalewatchError, OSError):
    """A journal cannot be opened, or holds nothing that can be read."""


class LogError(ScalewatchError, OSError):
    """A log of another program cannot be opened, or holds no loss that can be told."""
