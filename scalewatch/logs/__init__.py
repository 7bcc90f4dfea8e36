"""Other programs' logs -> observations: one format a file."""

from scalewatch.logs.kept import AbstractKeptLog
from scalewatch.logs.log import AbstractFormat, AbstractLog
from scalewatch.logs.open import FORMATS, Opened, Unreadable, format_named, open_files, open_logs

__all__ = [
    "FORMATS",
    "AbstractFormat",
    "AbstractKeptLog",
    "AbstractLog",
    "Opened",
    "Unreadable",
    "format_named",
    "open_files",
    "open_logs",
]
