"""Shapes of tables that have no column for each number: a row a number, and what one JSON value may hold.

step,metric,value          long form: a row a number, which a cell of it names
[[wall, step, value]]      TensorBoard's download as JSON
{"loss": [3.1, 2.9]}       a list for each name, as Keras and XGBoost keep a history
{"history": [{...}]}       rows below some name
    {"0": {"loss": 3.1}}       rows, or columns, under their numbers, as pandas writes them
    {"loss": {"x": [], "y": []}}   steps and values below each name
    {"data": [{"name": "loss", "x": [], "y": []}]}   the lines of a chart
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, final

from scalewatch.logs.loss_names import training_loss, validation_loss
from scalewatch.logs.values import number
from scalewatch.objective import words_of

__all__ = ["ColumnRows", "LongForm", "is_unnamed", "json_rows", "long_form", "may_be_a_loss"]

#: What the cells of a long table are called that name the number, and the number itself: words of the names.
_NAMING = ("metric", "metric name", "tag", "key", "name", "variable", "series", "scalar")
_VALUED = ("value", "metric value", "val", "y", "scalar value")
#: What a column of numbers is called that has no name: the file says what they are, if anything does.
_UNNAMED = frozenset({"value", "values", "y", "metric value", "scalar"})
#: Words of a file's name that say that its numbers are no loss.
_NO_LOSS = frozenset(
    {"accuracy", "acc", "lr", "rate", "reward", "return", "grad", "norm", "time", "memory", "f1", "auc", "bleu", "map"}
    | {"precision", "recall", "epoch", "throughput", "tokens", "speed", "iou", "score", "kl", "entropy", "length"}
)
#: Levels at which the rows of a JSON value may lie. By hand.
MOST_LEVELS = 3


@final
class LongForm(NamedTuple):
    """The columns of a long table: that which names the number, and the number."""

    name: str
    value: str

    def widened(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row with its number under its own name.

        >>> LongForm("metric", "value").widened({"step": 3, "metric": "loss", "value": 2.5})
        {'step': 3, 'loss': 2.5}
        """
        rest = {name: cell for name, cell in cells.items() if name not in self}
        named, value = cells.get(self.name), cells.get(self.value)
        if isinstance(named, str) and named.strip():
            rest[named.strip()] = value
        return rest


@final
class ColumnRows:
    """The rows of columns, each made when it is asked for: a dict a row takes ten times the memory of its numbers.

    Args:
        columns: name -> numbers; a row has those that reach so far down.

    >>> list(ColumnRows({"loss": [3.0, 2.0], "lr": [0.1]}))
    [{'loss': 3.0, 'lr': 0.1}, {'loss': 2.0}]
    """

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self._columns = dict(columns)

    def __len__(self) -> int:
        return max(map(len, self._columns.values()))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for i in range(len(self)):
            yield {name: column[i] for name, column in self._columns.items() if i < len(column)}


def long_form(names: Iterable[str]) -> LongForm | None:
    """Return the two columns by which a table is in long form, None if it is not."""
    plain = {" ".join(words_of(name)): name for name in names}
    named = next((plain[each] for each in _NAMING if each in plain), None)
    value = next((plain[each] for each in _VALUED if each in plain), None)
    losses = any(training_loss(name) is not None or validation_loss(name) is not None for name in plain.values())
    return None if named is None or value is None or losses else LongForm(named, value)


def is_unnamed(name: str) -> bool:
    """Return whether a column's name says no more than that it holds numbers."""
    return " ".join(words_of(name)) in _UNNAMED


def may_be_a_loss(stem: str) -> bool:
    """Return whether the numbers of a file of this name may be a loss.

    >>> may_be_a_loss("chart"), may_be_a_loss("val_accuracy"), may_be_a_loss("train_loss_rate3")
    (True, False, True)
    """
    if training_loss(stem) is not None or "loss" in words_of(re.sub(r"\d+", " ", stem)):
        return True
    return not _NO_LOSS & set(words_of(stem))


def json_rows(value: Any) -> list[dict[str, Any]] | ColumnRows | None:
    """Return the rows that a JSON value holds, None if it holds none.

    Args:
        value: as `json.loads` gives it.

    >>> json_rows({"history": [{"step": 1, "loss": 3.0}]}), list(json_rows([[0.5, 10, 3.0]]))
    ([{'step': 1, 'loss': 3.0}], [{'wall_time': 0.5, 'step': 10, 'value': 3.0}])
    >>> list(json_rows({"train": {"logloss": [3.0, 2.0]}}))
    [{'train.logloss': 3.0}, {'train.logloss': 2.0}]
    """
    if isinstance(value, dict) and isinstance(value.get("log_history"), list):
        return _of_list(value["log_history"])
    if isinstance(value, list):
        return _of_list(value)
    if not isinstance(value, dict):
        return None
    keyed = _keyed(value)
    if keyed is not None:
        return keyed
    lists = dict(_lists(value, "", 0))
    names = lists.get("columns")
    if names and all(isinstance(name, str) for name in names) and isinstance(lists.get("data"), list):
        return [dict(zip(names, row, strict=False)) for row in lists["data"] if isinstance(row, list)]
    series = _series(value, "", 0)
    if series:
        return series
    traces = next((table for table in lists.values() if table and all(map(_is_trace, table))), None)
    if traces is not None:
        return _series({str(trace.get("name") or f"trace {i + 1}"): trace for i, trace in enumerate(traces)}, "", 0)
    tables = [(name, table) for name, table in lists.items() if table and isinstance(table[0], dict)]
    if tables:
        return _of_list(max((table for _, table in tables), key=len))
    columns = {name: column for name, column in lists.items() if column and number(column[0]) is not None}
    if not any("loss" in name.lower() or training_loss(name) is not None for name in columns):
        return None
    return ColumnRows(columns)


def _of_list(rows: list[Any]) -> list[dict[str, Any]] | ColumnRows | None:
    dicts = [row for row in rows if isinstance(row, dict)]
    if dicts or not rows:
        form = long_form(dict.fromkeys(name for row in dicts[:100] for name in row))
        return dicts if form is None else [form.widened(row) for row in dicts]
    if all(number(row) is not None for row in rows):
        return ColumnRows({"value": rows})
    names = {2: ("step", "value"), 3: ("wall_time", "step", "value")}
    width = len(rows[0]) if isinstance(rows[0], list) else 0
    if width in names and all(isinstance(row, list) and len(row) == width for row in rows):
        return ColumnRows({name: [row[i] for row in rows] for i, name in enumerate(names[width])})
    return None


def _keyed(value: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Rows under their numbers, `{"0": {"loss": 3.1}}`, and columns so, `{"loss": {"0": 3.1}}`: as of pandas."""
    inner = [each for each in value.values() if isinstance(each, dict)]
    if len(inner) < len(value) or not inner:
        return None
    if len(value) > 1 and all(map(_is_place, value)):
        return [{"step": int(place), **row} for place, row in value.items()]
    if all(len(each) > 1 and all(map(_is_place, each)) for each in inner):
        places = dict.fromkeys(place for each in inner for place in each)
        return [{name: each[place] for name, each in value.items() if place in each} for place in places]
    return None


def _is_place(key: str) -> bool:
    return key.isdigit()


def _series(value: Mapping[str, Any], before: str, level: int) -> list[dict[str, Any]]:
    """Rows of names that each hold a list of steps and one of values."""
    found: list[dict[str, Any]] = []
    for name, inner in value.items():
        if not isinstance(inner, dict):
            continue
        steps = next(
            (inner[key] for key in ("steps", "step", "x", "iterations") if isinstance(inner.get(key), list)), None
        )
        values = next((inner[key] for key in ("values", "value", "y") if isinstance(inner.get(key), list)), None)
        if steps is not None and values is not None:
            found += [{"step": step, f"{before}{name}": each} for step, each in zip(steps, values, strict=False)]
        elif level < MOST_LEVELS:
            found += _series(inner, f"{before}{name}.", level + 1)
    return found


def _is_trace(value: Any) -> bool:
    """Whether a value is one line of a chart: numbers to the right and upward, as plotly keeps them."""
    return isinstance(value, dict) and isinstance(value.get("x"), list) and isinstance(value.get("y"), list)


def _lists(value: Mapping[str, Any], before: str, level: int) -> Iterable[tuple[str, list[Any]]]:
    for name, inner in value.items():
        if isinstance(inner, list):
            yield f"{before}{name}", inner
        elif isinstance(inner, dict) and level < MOST_LEVELS:
            yield from _lists(inner, f"{before}{name}.", level + 1)
