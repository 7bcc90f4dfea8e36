"""What a receiver sends with, and what it says when it could not: neither shows a secret."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NoReturn, final

from scalewatch.errors import ConfigError, ScalewatchError

__all__ = ["DeliveryError", "Secret"]

#: A secret is no longer than this [characters].
MAX_SECRET = 4096


@final
class DeliveryError(ScalewatchError):
    """A message was not taken; the text says why and holds no secret.

    Args:
        why: in words. retry_after: pause that the other side asks for [s]. fatal: no message will ever be taken.
        useless: this one will not be, whatever the number of tries.
    """

    def __init__(
        self, why: str, *, retry_after: float | None = None, fatal: bool = False, useless: bool = False
    ) -> None:
        super().__init__(why)
        self.retry_after, self.fatal, self.useless = retry_after, fatal, useless or fatal


@final
class Secret:
    """A text out of the environment that nothing shows: not its repr, no log, no pickle, no JSON.

    Args:
        source: name of the environment variable.

    Raises:
        ConfigError: if it is not set, or is no text of one line.
    """

    __slots__ = ("_text", "source")

    def __init__(self, source: str, env: Mapping[str, str] | None = None) -> None:
        text = (os.environ if env is None else env).get(source, "").strip()
        if not text:
            raise ConfigError(f"The environment variable `{source}` must hold the secret, and it is not set.")
        if len(text) > MAX_SECRET or not text.isprintable():
            raise ConfigError(f"The environment variable `{source}` must hold one line of text.")
        self.source, self._text = source, text

    def reveal(self) -> str:
        """Return the text, for the one line that sends it."""
        return self._text

    def __repr__(self) -> str:
        return f"<{self.source}: redacted>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"The secret in `{self.source}` is not to be stored.")
