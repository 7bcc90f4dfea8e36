"""A wrong option is an error when the callback is built, and says what would be right."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

from scalewatch.errors import ConfigError, LawFileError
from scalewatch_lightning import ScaleWatch


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"act": "stop"}, "`act` must be a list"),
        ({"act": ["explode"]}, "of which there are ['stop'"),
        ({"act": None}, "`act` must be a list"),
        ({"tokens_per_step": -5}, "`tokens_per_step` must be an integer of at least 1 (got -5, int)"),
        ({"tokens_per_step": 0}, "at least 1"),
        ({"tokens_per_step": float("nan")}, "got nan, float"),
        ({"tokens_per_step": "many"}, "got 'many', str"),
        ({"tokens_per_step": True}, "got True, bool"),
        ({"grad_norm_every": -1}, "`grad_norm_every` must be an integer of at least 0"),
        ({"grad_norm_every": 2.5}, "got 2.5"),
        ({"name": "../../etc"}, "`name` becomes a folder"),
        ({"name": ""}, "`name` becomes a folder"),
        ({"name": ".hidden"}, "`name` becomes a folder"),
        ({"name": "a" * 101}, "`name` becomes a folder"),
        ({"name": "line\nline"}, "`name` becomes a folder"),
        ({"name": 7}, "got 7"),
        ({"directory": ""}, "`directory` must be the path of a folder"),
        ({"directory": 7}, "got 7, int"),
        ({"detectors": "spike"}, "`detectors` must be a list of detectors (got 'spike', str)"),
        ({"detectors": [7]}, "7 is none"),
        ({"law": 7}, "`law` must be the path of a law file"),
        ({"target_loss": -2.0}, "`target_loss` must be positive and finite [nats/token], or None (got -2.0)"),
        ({"incumbent_loss": float("nan")}, "`incumbent_loss` must be positive and finite"),
        ({"least_gain": "much"}, "`least_gain` must be positive and finite [nats/token], or None (got 'much')"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], says: str) -> None:
    """The message names the option, what it may be and what it was, in one line."""
    with pytest.raises(ConfigError) as refusal:
        ScaleWatch(**options)

    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """While there is somebody to tell."""
    (tmp_path / "taken").write_text("")

    with pytest.raises(ConfigError, match="there is a file of that name"):
        ScaleWatch(directory=tmp_path / "taken")


@pytest.mark.parametrize("content", [None, "", "not json", "{}", "[1, 2]", '{"version": 99}'])
def test_a_law_file_that_is_none_is_refused(tmp_path: Path, content: str | None) -> None:
    """Missing, empty, of another kind, of another version: when the callback is built."""
    path = tmp_path / "some.law.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(LawFileError, match=r"some\.law\.json"):
        ScaleWatch(law=str(path))


def test_a_count_from_yaml_may_be_written_as_a_float() -> None:
    """5e5 is a float in YAML."""
    assert ScaleWatch(tokens_per_step=5e5)._options.tokens_per_step == 500_000  # type: ignore[arg-type]


def test_a_callback_can_be_copied_and_pickled() -> None:
    """Launchers that spawn processes pickle it."""
    watch = ScaleWatch(name="a", act=["stop"], tokens_per_step=10)

    for twin in (copy.deepcopy(watch), pickle.loads(pickle.dumps(watch))):
        assert twin.state_key == watch.state_key
        assert twin._options == watch._options


def test_there_is_one_state_key_for_each_name() -> None:
    """So that the checkpoint tells two of them apart."""
    assert len({ScaleWatch(name=name).state_key for name in (None, "a", "b")}) == 3
