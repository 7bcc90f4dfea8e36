"""Paths -> runs: which format a file is of, and which files are one run.

A file goes to the first format that claims it, those of other packages last; they are looked for when no format here
claims a file, or the user names one that is none of these.

A folder is searched with all below it. A file that holds a table is a run of its own; where a folder holds a run's
journal, event files or `metrics.csv`, it is that run, told by the best record that it has.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, final

from scalewatch.errors import ConfigError, LogError
from scalewatch.logs.documents import as_text, is_document, not_opened
from scalewatch.logs.known_formats import FORMATS
from scalewatch.logs.log import AbstractFormat, AbstractLog, NoLogError
from scalewatch.logs.naming import META, METRICS
from scalewatch.logs.outside import outside_formats
from scalewatch.logs.packed import is_packed, unpacked
from scalewatch.logs.remote import fetched, remote_address
from scalewatch.logs.same_run import one_of_each

__all__ = ["CONSOLE_COPY", "FORMATS", "Opened", "Unreadable", "format_named", "open_files", "open_logs"]

_TRAINER_STATE = next(form for form in FORMATS if form.name == "trainer-state")
_TEXT = next(form for form in FORMATS if form.name == "text")
#: Formats of which a folder holds one run, the best record first: the others in it tell the same.
_ONE_RUN = ("journal", "tensorboard", "lightning-csv", "trainer-state")
#: Where the callback puts a run's journal, below the folder of the run.
_JOURNAL_FOLDER = "scalewatch"
#: The copy of what a program printed, beside the journal that was made of it.
CONSOLE_COPY = "console.log"
#: Where Aim keeps its runs.
AIM_FOLDER = ".aim"
_AIM = (
    "a repository of Aim, whose database only its own package reads: write the values of a metric, which Aim's "
    "`Repo.query_metrics` gives, into a CSV."
)
#: Files of one search at most, so that a wrong path ends.
MOST_FILES = 200_000


@final
class Unreadable(NamedTuple):
    """A file that holds no run that can be read.

    Attributes:
        path: the file.
        reason: why, and what to do.
        named: whether the user named it, and not only a folder above it.
    """

    path: Path
    reason: str
    named: bool


@final
class Opened(NamedTuple):
    """What there is at some paths.

    Attributes:
        logs: the runs, in the order of their paths.
        unreadable: what looked like a log and is none.
        passed_over: a line for each file that tells of a run that is read from another file.
    """

    logs: list[AbstractLog]
    unreadable: list[Unreadable]
    passed_over: list[str]


def format_named(name: str) -> AbstractFormat:
    """Return a format by its name.

    Raises:
        ConfigError: if there is none of that name.
    """
    found = next((form for form in FORMATS if form.name == name), None)
    if found is not None:
        return found
    others, notes = outside_formats()
    for form in others:
        if form.name == name:
            return form
    known = ", ".join(form.name for form in (*FORMATS, *others))
    raise ConfigError(" ".join([f"`--format` must be one of {known} (got {name!r:.40}).", *_sentences(notes)]))


def _sentences(notes: Sequence[str]) -> list[str]:
    return [f"{note[:1].upper()}{note[1:]}." for note in notes]


@final
class _Formats:
    """Which format a file is of; those of other packages are loaded once, when they are needed."""

    def __init__(self, form: AbstractFormat | None) -> None:
        self._first: Sequence[AbstractFormat] = FORMATS if form is None else (form,)
        self._others: list[AbstractFormat] | None = [] if form is not None else None
        self.notes: list[str] = []

    def of(self, path: Path) -> AbstractFormat | None:
        """Return the first format that claims a file, None if none does."""
        return next((form for form in self._first if form.claims(path)), None) or next(
            (form for form in self._outside() if form.claims(path)), None
        )

    def by_content(self, path: Path) -> AbstractFormat | None:
        """Return the first format that a file is of whatever it is called, None if it is of none."""
        return next((form for form in self._first if form.holds(path)), None)

    @property
    def names(self) -> list[str]:
        """What `--format` takes."""
        return [form.name for form in (*self._first, *self._outside())]

    def _outside(self) -> list[AbstractFormat]:
        if self._others is None:
            self._others, self.notes = outside_formats()
        return self._others


def open_logs(
    paths: Sequence[Path], *, columns: Mapping[str, str] | None = None, form: AbstractFormat | None = None
) -> Opened:
    """Open every run at or below `paths`.

    Args:
        paths: files and folders. columns: field -> column, as the user says. form: of all files; None to tell each.

    Raises:
        LogError: if a path does not exist.
    """
    asked = dict(columns or {})
    opened, formats = Opened([], [], []), _Formats(form)
    for path in paths:
        address = remote_address(path)
        if address is not None:
            path = fetched(address)
        if not path.exists():
            raise LogError(f"{str(path)!a} does not exist.")
        said = path
        if path.is_file() and (is_packed(path) or is_document(path)) and formats.of(path) is None:
            try:
                path = unpacked(path) if is_packed(path) else as_text(path)
            except LogError as fault:
                opened.unreadable.append(Unreadable(path, str(fault), named=True))
                continue
        if path.is_file():
            kind = form or formats.of(path) or (_TEXT if "loss" in asked and _TEXT.whole.is_text(path) else None)
            kind = kind or formats.by_content(path)
            if kind is None:
                why = " ".join([f"{said}: {_unknown(path, formats.names)}", *_sentences(formats.notes)])
                opened.unreadable.append(Unreadable(said, why, named=True))
            else:
                _open(kind, [path], asked, opened, named=True)
            continue
        before = len(opened.logs)
        for folder in _found(_files_below(path), formats, opened):
            _open_folder(folder, asked, opened)
        opened.logs[before:], passed_over = one_of_each(opened.logs[before:], lambda log: _again(log, asked))
        opened.passed_over.extend(passed_over)
        if len(opened.logs) == before and not any(path in u.path.parents for u in opened.unreadable):
            why = f"{path}: {_AIM if _is_of_aim(path) else 'holds no log of a run that is known here.'}"
            why = " ".join([why, *_sentences(formats.notes)])
            opened.unreadable.append(Unreadable(path, why, named=True))
    _distinct(opened.logs)
    return opened


def _is_of_aim(path: Path) -> bool:
    return path.name == AIM_FOLDER or (path / AIM_FOLDER).is_dir()


def open_files(
    files: Sequence[Path], *, columns: Mapping[str, str] | None = None, form: AbstractFormat | None = None
) -> Opened:
    """Open the runs that some files hold, as a search that came upon just these would: what is no log is passed over.

    Args:
        files: of one folder and those below it. columns: field -> column, as the user says. form: of all files.
    """
    opened, formats = Opened([], [], []), _Formats(form)
    runs_of_mlflow = {file.parent for file in files if file.name == META and (file.parent / METRICS).is_dir()}
    told = [file for file in files if file.parent in runs_of_mlflow or runs_of_mlflow.isdisjoint(file.parents)]
    for folder in _found(told, formats, opened):
        _open_folder(folder, dict(columns or {}), opened)
    _distinct(opened.logs)
    return opened


def _unknown(path: Path, names: Sequence[str]) -> str:
    if path.stat().st_size == 0:
        return "is empty."
    if why := not_opened(path):
        return why
    if _TEXT.whole.is_text(path):
        return str(_TEXT.whole.why_not(path))
    return f"is none of the logs known here; --format takes one of {', '.join(names)}."


def _open(
    kind: AbstractFormat, files: Sequence[Path], columns: Mapping[str, str], opened: Opened, *, named: bool
) -> None:
    if kind.name in ("journal", "tensorboard"):
        groups: list[Sequence[Path]] = [files]
    else:
        groups = [[file] for file in files]  # one that cannot be read leaves the others
    for group in groups:
        try:
            logs = kind.open(group, columns)
            for log in logs:
                log.form = kind.name
            opened.logs.extend(logs)
        except LogError as fault:
            if named and not columns and kind.name == "jsonl" and _TEXT.whole.holds(group[0]):
                _open(_TEXT, group, columns, opened, named=named)  # what a program printed is in a field of each line
            elif named or not isinstance(fault, NoLogError):
                opened.unreadable.append(Unreadable(group[0], str(fault), named))
            else:
                opened.passed_over.append(f"{group[0]}: holds no numbers of a run")


def _again(log: AbstractLog, columns: Mapping[str, str]) -> Iterator[AbstractLog]:
    """Open the file of a log anew."""
    yield from format_named(log.form).open([log.path], columns)


def _open_folder(folder: _Folder, columns: Mapping[str, str], opened: Opened) -> None:
    """Open the logs of a folder; what another of them tells better only where that one can be read."""
    before = len(opened.logs)
    for kind, files in folder.groups:
        _open(kind, files, columns, opened, named=False)
    if folder.elsewhere or any(folder.best in (None, log.form) for log in opened.logs[before:]):
        opened.passed_over.extend([f"{path}: {why}" for _, path, why in folder.told])
        return
    for kind, path, _ in folder.told:
        _open(kind, [path], columns, opened, named=False)


def _files_below(top: Path) -> Iterator[Path]:
    """Every file below a folder but hidden ones, folder by folder.

    Raises:
        LogError: if they are too many.
    """
    seen = 0
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        if META in files and METRICS in folders:
            folders.clear()  # a run of MLflow: its metrics are no logs by themselves
        for name in sorted(files):
            seen += 1
            if seen > MOST_FILES:
                raise LogError(f"{top}: holds more than {MOST_FILES:,} files; name the folders of the runs.")
            if not name.startswith("."):
                yield Path(folder, name)


@final
class _Folder(NamedTuple):
    """The logs of one folder.

    Attributes:
        groups: its files by format. told: files that tell of a run of which another file tells more, and why.
        best: the format of that one, None for any. elsewhere: whether it lies in another folder.
    """

    groups: list[tuple[AbstractFormat, list[Path]]]
    told: list[tuple[AbstractFormat, Path, str]]
    best: str | None
    elsewhere: bool


def _found(files: Iterable[Path], formats: _Formats, opened: Opened) -> Iterator[_Folder]:
    """The logs among files: of each folder its files by format."""
    by_folder: dict[Path, dict[str, list[Path]]] = {}
    known: dict[str, AbstractFormat] = {}
    for path in files:
        kind = formats.of(path) if path.is_file() else None
        if kind is not None:
            known[kind.name] = kind
            by_folder.setdefault(path.parent, {}).setdefault(kind.name, []).append(path)
    _one_state_a_run(by_folder, opened)
    for at, kinds in by_folder.items():
        has_journal = "journal" in by_folder.get(at / _JOURNAL_FOLDER, {})
        best = "journal" if has_journal else next((name for name in _ONE_RUN if name in kinds), None)
        folder = _Folder([], [], best, has_journal)
        for name, paths in kinds.items():
            if best is not None and name in _ONE_RUN and name != best:
                why = f"the same run is read from its {best} (--format {name})"
                folder.told.extend([(known[name], path, why) for path in paths])
                continue
            told = [path for path in paths if name == _TEXT.name and _told_better(path, kinds, best, has_journal)]
            why = "what was printed of a run that is read already (--format text)"
            folder.told.extend([(known[name], path, why) for path in told])
            if len(told) < len(paths):
                folder.groups.append((known[name], [path for path in paths if path not in told]))
        yield folder


def _told_better(path: Path, kinds: Mapping[str, Sequence[Path]], best: str | None, has_journal: bool) -> bool:
    """Whether the run of which a text was printed has a record of numbers beside it."""
    if has_journal:
        return path.name == CONSOLE_COPY
    beside = {other.name for other in kinds.get("jsonl", ())}
    # mmcv writes x.log and x.log.json, detectron2 log.txt and metrics.json
    return best is not None or f"{path.name}.json" in beside or (path.name == "log.txt" and "metrics.json" in beside)


def _one_state_a_run(by_folder: dict[Path, dict[str, list[Path]]], opened: Opened) -> None:
    states = [path for kinds in by_folder.values() for path in kinds.get(_TRAINER_STATE.name, ())]
    kept = set(_TRAINER_STATE.whole.newest(states)) if states else set()
    for kinds in by_folder.values():
        mine = kinds.get(_TRAINER_STATE.name, [])
        left = [path for path in mine if path in kept]
        opened.passed_over.extend([f"{p}: a later checkpoint holds its rows too" for p in mine if p not in kept])
        kinds.pop(_TRAINER_STATE.name, None)
        if left:
            kinds[_TRAINER_STATE.name] = left


def _distinct(logs: Sequence[AbstractLog]) -> None:
    """Give runs of one name more of their path, so that each can be told from the others."""
    for levels in range(1, 6):
        counts: dict[str, int] = {}
        for log in logs:
            counts[log.name] = counts.get(log.name, 0) + 1
        if max(counts.values(), default=1) == 1:
            return
        for log in logs:
            if counts[log.name] > 1:
                parents = [p.name for p in log.path.absolute().parents if p.name]
                log.name = "/".join([*reversed(parents[:levels]), log.path.name])
