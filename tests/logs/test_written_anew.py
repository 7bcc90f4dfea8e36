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
