"""How long a run is to be, from the settings that were written beside its log."""

from __future__ import annotations

from pathlib import Path

import pytest

from scalewatch.logs.planned_length import length_beside


@pytest.mark.parametrize(
    ("name", "text", "steps"),
    [
        ("config.json", '{"lr": 0.001, "max_steps": 3000}', 3_000),
        ("config.json", '{"trainer": {"total_steps": "3000"}}', None),
        ("hparams.yaml", "lr: 0.001\nmax_steps: 1200\n", 1_200),
        ("config.yaml", "max_steps:\n  desc: null\n  value: 500\nlr:\n  value: 0.1\n", 500),
        ("hparams.yaml", "max_steps: -1\n", None),
        ("config.json", '{"max_steps": 1e5}', None),
        ("config.json", '{"max_steps": 100, "eval": {"max_steps": 10}}', None),
        ("notes.json", '{"max_steps": 100}', None),
        (".hydra/config.yaml", "trainer:\n  max_steps: 700\n", 700),
        ("../hparams.yaml", "max_steps: 800\n", 800),
        ("metrics.csv", "Overriding: max_iters = 900\niter 10: loss 3.2\n", 900),
    ],
)
def test_a_length_is_read_where_one_is_said(name: str, text: str, steps: int | None, tmp_path: Path) -> None:
    """Of JSON, YAML, and what Weights & Biases writes; not of two lengths, no length, or another file.

    Also where a folder beside or above holds the settings, and at the head of the log itself.
    """
    path = tmp_path / "csv" / name
    (tmp_path / "csv").mkdir()
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)

    found = length_beside(tmp_path / "csv" / "metrics.csv")
    assert (None if steps is None else (steps, path.name)) == found


def test_a_length_behind_very_much_room_is_read_as_fast_as_any(tmp_path: Path) -> None:
    """A search that begins anew at each blank takes hours here."""
    (tmp_path / "config.yaml").write_text("max_steps: " + " " * 200_000 + "\nmax_iters: 300\n")

    assert (300, "config.yaml") == length_beside(tmp_path / "log.csv")
