"""A reader as plain values, so that another process goes on where it stood.

What a reader knows is spread over some dozen small objects that know each other: each is written with all its
attributes, once, and named by its number where it turns up again. Not a pickle, which would run what it holds: only
classes of the readers are made, and none of their code is run.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from importlib import import_module
from pathlib import Path
from types import MethodType
from typing import Any, Protocol, final, runtime_checkable

import numpy as np

from scalewatch.errors import PlainError
from scalewatch.logs.log import AbstractLog
from scalewatch.run import Run

__all__ = ["AbstractKeptLog", "Bare", "from_kept", "to_kept"]

#: Where the classes stand that are kept.
_ROOMS = ("scalewatch.logs.", "scalewatch.run:", "scalewatch.observation:")
#: Kinds of arrays that are kept: of numbers.
_NUMBERS = "fib"
_SCALARS = (bool, int, float, str, type(None))


@runtime_checkable
class Bare(Protocol):
    """What remembers how lines look, which costs less to find again than to keep."""

    def bare(self) -> Bare:
        """Return one that remembers nothing."""


class AbstractKeptLog(AbstractLog):
    """A log that another process can go on with.

    Attributes:
        before_end: is called when all that is whole was given out and nothing was made yet of where the log ends.
        differs: whether who opens the log now would decide otherwise than was decided when it was opened.
    """

    def __init__(self, name: str, path: Path, run: Run | None = None) -> None:
        super().__init__(name, path, run)
        self.before_end: Callable[[], None] | None = None
        self.differs = False

    @property
    @abstractmethod
    def file(self) -> Path:
        """The file that it is read from."""

    @property
    @abstractmethod
    def settled(self) -> bool:
        """Whether what was decided when it was opened stays, whatever is added, but for what `differs` says."""

    @abstractmethod
    def goes_on(self) -> bool:
        """Whether its files begin with what was read; what follows is read as that of a log that grew."""


def to_kept(thing: Any, path: Path) -> Any:
    """Return a reader as values that JSON can hold; `path` of its file, or of the folder of its files, is left open.

    Raises:
        PlainError: if something in it cannot be kept.
    """
    return _Writer(path).plain(thing)


def from_kept(plain: Any, path: Path) -> Any:
    """Return the reader that was kept, of the file or the folder at `path`.

    Raises:
        PlainError: if it is none.
    """
    try:
        return _Reader(path).thing(plain)
    except (LookupError, TypeError, ValueError, AttributeError, ImportError, RecursionError) as fault:
        raise PlainError(f"what was kept of a reader is damaged: {type(fault).__name__} at {fault!s:.60}") from None


@final
class _Writer:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._numbers: dict[int, int] = {}
        self._alive: list[Any] = []  # so that no other object gets the address of one of them

    def plain(self, thing: Any) -> Any:
        kind = type(thing)
        if kind in _SCALARS:
            return thing
        if kind is list:
            return [self.plain(each) for each in thing]
        if kind is dict:
            return {"dict": [[self.plain(key), self.plain(value)] for key, value in thing.items()]}
        if kind is bytes:
            return {"bytes": thing.hex()}
        if kind is np.ndarray and thing.ndim == 1 and thing.dtype.kind in _NUMBERS:
            return {"array": [thing.dtype.str, thing.tolist()]}
        if kind in (tuple, set, frozenset):
            return {kind.__name__: [self.plain(each) for each in thing]}
        if kind is deque:
            return {"deque": [thing.maxlen, [self.plain(each) for each in thing]]}
        if kind is MethodType:
            return {"method": [self.plain(thing.__self__), thing.__name__]}
        if isinstance(thing, Path):
            return self._of_path(thing)
        if isinstance(thing, Enum):
            return {"enum": [_name(kind), thing.value]}
        if isinstance(thing, tuple):
            return {"named": [_name(kind), [self.plain(each) for each in thing]]}
        return self._object(thing)

    def _of_path(self, path: Path) -> dict[str, Any]:
        if path != self._path and self._path not in path.parents:
            raise PlainError(f"{path}: is another file than the one that is read.")
        return {"path": path.relative_to(self._path).as_posix()}

    def _object(self, thing: Any) -> dict[str, Any]:
        number = self._numbers.get(id(thing))
        if number is not None:
            return {"again": number}
        self._numbers[id(thing)] = len(self._numbers)
        self._alive.append(thing)
        name = _name(type(thing))
        bare = thing.bare() if isinstance(thing, Bare) else thing
        self._alive.append(bare)
        return {"object": [name, {each: self.plain(value) for each, value in _attributes(bare)}]}


@final
class _Reader:
    def __init__(self, path: Path) -> None:
        self._made: list[Any] = []
        self._kinds: Mapping[str, Callable[[Any], Any]] = {
            "dict": lambda pairs: {self.thing(key): self.thing(value) for key, value in pairs},
            "bytes": bytes.fromhex,
            "tuple": lambda each: tuple(map(self.thing, each)),
            "set": lambda each: set(map(self.thing, each)),
            "frozenset": lambda each: frozenset(map(self.thing, each)),
            "deque": lambda said: deque(map(self.thing, said[1]), said[0]),
            "method": self._method,
            "path": lambda below: path if below == "." else _below(path, below),
            "array": lambda said: _array(*said),
            "enum": lambda said: _class(said[0], Enum)(said[1]),
            "named": lambda said: _class(said[0], tuple)._make(map(self.thing, said[1])),
            "again": lambda number: self._made[number],
            "object": self._object,
        }

    def thing(self, plain: Any) -> Any:
        if isinstance(plain, _SCALARS):
            return plain
        if isinstance(plain, list):
            return [self.thing(each) for each in plain]
        ((kind, said),) = plain.items()
        return self._kinds[kind](said)

    def _method(self, said: Any) -> Any:
        owner, name = self.thing(said[0]), said[1]
        _name(type(owner))  # a method of a path would write to it
        if not isinstance(type(owner).__dict__.get(name) or getattr(type(owner), name), type(_name)):
            raise TypeError(f"{name!r:.40} is no method")
        return getattr(owner, name)

    def _object(self, said: Any) -> Any:
        kind = _class(said[0], object)
        made = object.__new__(kind)
        self._made.append(made)
        for name, value in said[1].items():
            object.__setattr__(made, name, self.thing(value))
        return made


def _array(kind: str, values: list[Any]) -> Any:
    if np.dtype(kind).kind not in _NUMBERS:  # a text of a wide kind takes more memory than what is kept has letters
        raise ValueError(f"{kind!r:.40} is no kind of number")
    return np.array(values, kind)


def _below(path: Path, name: str) -> Path:
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise ValueError(f"{name!r:.60} leads elsewhere")
    return path / name


def _attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    if dataclasses.is_dataclass(thing):
        yield from ((each.name, getattr(thing, each.name)) for each in dataclasses.fields(thing))
        return
    yield from vars(thing).items() if hasattr(thing, "__dict__") else ()
    slots = (name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ()))
    yield from ((name, getattr(thing, name)) for name in slots if hasattr(thing, name))


def _name(kind: type) -> str:
    name = f"{kind.__module__}:{kind.__qualname__}"
    if not name.startswith(_ROOMS):
        raise PlainError(f"{name:.80} cannot be kept.")
    return name


def _class(name: str, of: type) -> Any:
    module, _, kind = name.partition(":")
    if not name.startswith(_ROOMS):
        raise ValueError(f"{name!r:.60} is no class of a reader")
    found = getattr(import_module(module), kind)
    if not (isinstance(found, type) and issubclass(found, of) and found.__module__ == module):
        raise TypeError(f"{name!r:.60} is no class of a reader")
    return found
