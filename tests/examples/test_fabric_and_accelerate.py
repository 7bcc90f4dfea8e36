"""The examples of a loop in Fabric and of one under accelerate, as a person runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scalewatch.journal import read_journal
from tests.examples.conftest import printed

STEPS, SAVE_AT = 300, 150


@pytest.mark.parametrize("name", ["fabric", "accelerate_loop"])
def test_a_loop_is_watched_and_goes_on_from_its_checkpoint(name: str, tmp_path: Path) -> None:
    """All steps with their losses and rates; the run that goes on is the same run, and tells the same end."""
    journal = tmp_path / f"{name.removesuffix('_loop')}_run" / "scalewatch"
    first = printed(f"{name}.py", cwd=tmp_path)
    whole = read_journal(journal)

    again = printed(f"{name}.py", "--resume", cwd=tmp_path)
    resumed = read_journal(journal)

    assert "over: healthy to its end" in first
    assert "over: healthy to its end" in again
    assert 1 == len({segment.run_id for segment in resumed.segments})
    assert list(range(1, STEPS + 1)) == [each.step for each in resumed.observations]
    assert [each.learning_rate for each in whole.observations] == [each.learning_rate for each in resumed.observations]
    assert [each.loss for each in whole.observations] == pytest.approx([each.loss for each in resumed.observations])
