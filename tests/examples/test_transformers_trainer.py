"""The example of the Trainer of transformers, as a person runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scalewatch.journal import read_journal
from tests.examples.conftest import printed

STEPS = 120


def test_a_trainer_is_watched_and_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """All steps, with the same losses where it is resumed in the middle; one loss that the Trainer hides is told."""
    journal = tmp_path / "transformers_run" / "scalewatch"
    first = printed("transformers_trainer.py", "--nan", cwd=tmp_path)
    whole = read_journal(journal)

    again = printed("transformers_trainer.py", "--nan", "--resume", cwd=tmp_path)
    resumed = read_journal(journal)

    for text in (first, again):
        assert "over: healthy to its end" in text
        assert "loss is nan at step 80" in text
        assert 1 == text.count("`logging_nan_inf_filter=True` puts the mean of other steps")
        assert "'loss': 'nan'" not in text
    assert 1 == len({segment.run_id for segment in resumed.segments})
    assert list(range(1, STEPS + 1)) == [each.step for each in resumed.observations]
    assert [each.learning_rate for each in whole.observations] == [each.learning_rate for each in resumed.observations]
    losses = [each.loss for each in resumed.observations]
    assert [each.loss for each in whole.observations] == pytest.approx(losses, nan_ok=True)
