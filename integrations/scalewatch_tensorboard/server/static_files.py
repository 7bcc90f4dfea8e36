"""The front end's files, by their exact names: a table made once from the package's own folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scalewatch_tensorboard.server.responses import Handler, Text

__all__ = ["FOLDER", "static_handler", "static_table"]

#: Where they are: beside this file, never named by a request.
FOLDER = Path(__file__).parent.parent / "static"
_MIMETYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def static_table(folder: Path = FOLDER) -> Mapping[str, Path]:
    """Return route -> file for each module, style sheet and picture that lies in `folder` itself.

    A route that is not in the table does not exist, so no name of a request is ever joined to a path. Links are
    passed over.
    """
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {
        f"/{path.name}": path
        for path in files
        if path.suffix in _MIMETYPES and path.is_file() and not path.is_symlink()
    }


def static_handler(path: Path) -> Handler:
    """Return what answers with the file."""
    from scalewatch_tensorboard.server.responses import BadRequestError, Text

    def handler(_: Any) -> Text:
        try:
            return Text(path.read_bytes(), _MIMETYPES[path.suffix])
        except OSError as fault:
            raise BadRequestError(f"{path.name} cannot be read: {fault.strerror}.", 404) from None

    return handler
