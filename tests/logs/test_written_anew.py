"""A log that is written anew while it is followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from scalewatch.logs import open_logs


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_file_that_is_cut_and_one_that_takes_its_place_are_read_from_their_start(tmp_path: Path, name: str) -> None:
    """Whether the new one is shorter than what was read or longer."""
    path = tmp_path / name

    def write(first: int, end: int, loss: float) -> None:
        heading = "step,loss\n" if name.endswith("csv") else ""
        line = "{},{}\n" if heading else '{{"step": {}, "loss": {}}}\n'
        path.write_text(heading + "".join(line.format(step, loss) for step in range(first, end)))

    write(1, 51, 3.0)
    (log,) = open_logs([path]).logs
    assert 50 == len(list(log.rows()))

    write(1, 11, 2.0)
    assert [(step, 2.0) for step in range(1, 11)] == [(row.step, row.loss) for row in log.rows()]

    path.rename(tmp_path / "rotated")
    write(11, 131, 1.0)
    assert [(step, 1.0) for step in range(11, 131)] == [(row.step, row.loss) for row in log.rows()]


def printed(name: str, first: int, end: int) -> str:
    """Rows of a run as lines of text, of a table or of JSON."""
    forms = {"log": "step {} | loss {:.4f}\n", "csv": "{},{:.4f}\n", "jsonl": '{{"step": {}, "loss": {:.4f}}}\n'}
    line = forms[name.rpartition(".")[2]]
    return "".join(line.format(step, 2 + 3 / step) for step in range(first, end))


def begun(name: str, first: int, end: int) -> str:
    """A file of such rows: a table has its heading."""
    return ("step,loss\n" if name.endswith("csv") else "") + printed(name, first, end)


@pytest.mark.parametrize("name", ["a.log", "a.jsonl", "a.csv"])
@pytest.mark.parametrize("copied", [False, True])
def test_of_a_file_that_is_rotated_every_row_is_read(tmp_path: Path, name: str, *, copied: bool) -> None:
    """Also those that were written after the last look; whether the old one is renamed, or copied and cut."""
    path, old = tmp_path / name, tmp_path / f"{name}.1"
    path.write_text(begun(name, 1, 51))
    (log,) = open_logs([path]).logs
    steps = [row.step for row in log.rows()]

    text = path.read_text() + printed(name, 51, 71)
    if copied:
        old.write_text(text)
    else:
        path.write_text(text)
        path.rename(old)
    path.write_text(begun(name, 71, 91))
    steps += [row.step for row in log.rows()]

    assert list(range(1, 91)) == steps
    assert any("rotated" in note and old.name in note for note in log.notes)


@pytest.mark.parametrize("name", ["a.log", "a.jsonl", "a.csv"])
def test_a_longer_copy_of_a_file_in_its_place_is_read_on(tmp_path: Path, name: str) -> None:
    """As rsync puts one there: no row comes twice."""
    path, copy = tmp_path / name, tmp_path / "copy"
    path.write_text(begun(name, 1, 51))
    (log,) = open_logs([path]).logs
    steps = [row.step for row in log.rows()]

    copy.write_text(begun(name, 1, 81))
    copy.rename(path)
    steps += [row.step for row in log.rows()]

    assert list(range(1, 81)) == steps


@pytest.mark.parametrize("name", ["a.log", "a.jsonl", "a.csv"])
def test_a_file_that_was_cut_and_has_grown_beyond_what_was_read_is_read_from_its_start(
    tmp_path: Path, name: str
) -> None:
    """Though it was never seen shorter."""
    path = tmp_path / name
    path.write_text(begun(name, 1, 51))
    (log,) = open_logs([path]).logs
    list(log.rows())

    path.write_text(begun(name, 51, 201))

    assert list(range(51, 201)) == [row.step for row in log.rows()]
