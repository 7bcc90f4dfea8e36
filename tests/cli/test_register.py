"""`scalewatch register` and `scalewatch scores`: a prediction is made, kept, held against its run and scored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scalewatch import Monitor, Observation, Run
from scalewatch.errors import LawFileError
from scalewatch.forecast.pinball_loss import pinball
from scalewatch.forecast.prediction_file import read_prediction
from scalewatch.guard import Guard
from scalewatch.journal import JournalWriter, observation_record
from scalewatch.laws import save_law
from scalewatch.offline.registering import PlannedRun
from tests.synthetic import TOKENS_PER_STEP, TrueLaw, fitted, noisy

STEPS, SIZE = 2_000, 16_000_000
Command = Callable[..., Any]


@pytest.fixture
def law(tmp_path: Path) -> Path:
    save_law(fitted(), tmp_path / "ladder.law.json")
    return tmp_path / "ladder.law.json"


@pytest.fixture
def registered(law: Path, tmp_path: Path, scalewatch: Command) -> Path:
    """A prediction of one run."""
    path = tmp_path / "runs" / "prediction.json"
    path.parent.mkdir()
    said = scalewatch("register", *asked(law, path))
    assert 0 == said.code, said.err
    return path


def asked(law: Path, output: Path, *more: object) -> list[object]:
    options = ["--law", law, "--steps", "2k", "--parameters", "16M", "--non-embedding", "16M", "--name", "big"]
    return [*options, "--batch-tokens", TOKENS_PER_STEP, "--warmup-steps", 20, "-o", output, *more]


def trained(prediction: Path, folder: Path, above: float = 0.0, upto: int = STEPS) -> None:
    """A run with a journal, held against the prediction as the callback does it."""
    kept = read_prediction(prediction)
    planned = PlannedRun(**dict(kept.run)).run()
    monitor = Monitor(planned, kept.law, Guard(), registered=kept.baseline)
    assert planned.learning_rates is not None
    losses = noisy(TrueLaw().losses(planned.learning_rates, SIZE), 0.01, 1) + above
    writer = JournalWriter(folder, planned)
    assert monitor.registered is not None
    writer.append(monitor.registered.record())
    for step, loss in enumerate(losses.tolist()[:upto], 1):
        row = Observation(step, loss, float(planned.learning_rates[step - 1]))
        monitor.observe(row)
        writer.append(observation_record(row))
    writer.close()


def test_it_says_what_it_expects_and_what_each_assumption_is_worth(
    law: Path, tmp_path: Path, scalewatch: Command
) -> None:
    """The interval, the other choices in nats, the fingerprint; the file holds the same."""
    said = scalewatch("register", *asked(law, tmp_path / "p.json"))
    kept = read_prediction(tmp_path / "p.json")

    assert 0 == said.code, said.err
    assert f"big ends at {kept.baseline.final_loss:.4f}" in said.out
    assert kept.fingerprint[:16] in said.out
    moves = {each.instead if each.name == "schedule" else each.name: each.moves for each in kept.assumptions}
    assert moves["steps"] < 0 < moves["constant"]
    assert moves["parameters"] < 0
    assert kept.baseline.low < kept.baseline.final_loss < kept.baseline.high


def test_what_was_registered_cannot_be_changed(registered: Path) -> None:
    """One digit of the prediction, the time or an assumption."""
    record = json.loads(registered.read_text())
    record["made_unix_s"] -= 86_400
    registered.write_text(json.dumps(record))

    with pytest.raises(LawFileError, match="changed after it was made"):
        read_prediction(registered)


def test_a_prediction_is_not_written_over(registered: Path, law: Path, scalewatch: Command) -> None:
    """Made twice, the better one would be kept."""
    said = scalewatch("register", *asked(law, registered))

    assert 2 == said.code
    assert "not made twice" in said.err


def test_it_is_open_until_its_run_has_ended_and_then_scored(registered: Path, scalewatch: Command) -> None:
    """Inside or not, by how much it was off, and the pinball loss."""
    folder = registered.parent
    none = json.loads(scalewatch("scores", folder, "--json").out)
    trained(registered, folder / "early", upto=600)
    early = scalewatch("scores", folder)
    trained(registered, folder / "whole")
    whole = json.loads(scalewatch("scores", folder, "--json").out)
    (row,) = whole["predictions"]

    assert [None] == [each["outcome"] for each in none["predictions"]]
    assert "none has come to its end yet" in early.out
    assert row["inside"]
    assert abs(row["error_percent"]) < 2
    assert row["pinball"] == pytest.approx(
        pinball(row["outcome"], {0.1: row["low"], 0.5: row["said"], 0.9: row["high"]})
    )
    assert {"registered": 1, "ended": 1, "inside_80": 1.0}.items() <= whole["summary"].items()
    assert "1 of 1 registered predictions have ended: 1 inside" in scalewatch("scores", folder).out.replace("\n", " ")


def test_a_run_that_ends_elsewhere_is_outside(registered: Path, scalewatch: Command) -> None:
    """Half a nat above."""
    trained(registered, registered.parent / "run", above=0.5)
    said = scalewatch("scores", registered.parent)

    assert 0 == said.code
    assert "OUTSIDE" in said.out
    assert "0 inside" in said.out.replace("\n", " ")


def test_a_prediction_that_was_changed_is_named_and_not_scored(registered: Path, scalewatch: Command) -> None:
    """Exit code 1."""
    record = json.loads(registered.read_text())
    record["baseline"]["final_loss"][0] += 0.1
    registered.write_text(json.dumps(record))
    said = scalewatch("scores", registered.parent)

    assert 1 == said.code
    assert "changed after it was made" in said.out.replace("\n", " ")
    assert "There is no registered prediction here" in said.out


def test_what_was_registered_as_the_run_began_is_scored_too(law: Path, tmp_path: Path, scalewatch: Command) -> None:
    """A run that was held against a law alone."""
    planned = PlannedRun("small", STEPS, "cosine", 3e-4, 20, TOKENS_PER_STEP, SIZE, SIZE).run()
    monitor = Monitor(planned, fitted())
    writer = JournalWriter(tmp_path / "runs" / "small", planned)
    assert monitor.registered is not None
    writer.append(monitor.registered.record())
    writer.append(observation_record(Observation(1, 9.0)))
    writer.close()
    (row,) = json.loads(scalewatch("scores", tmp_path / "runs", "--json").out)["predictions"]

    assert ("small", None, None) == (row["run"], row["fingerprint"], row["outcome"])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--schedule", "sine"], "`--schedule` must be one of cosine"),
        (["--warmup-steps", "3000"], "`--warmup-steps` must be at least 1"),
        (["--peak-rate", "0"], "`--peak-rate`"),
        (["--name", "../x"], "`--name`"),
        (["--batch-tokens", "many"], "--batch-tokens must be a number"),
    ],
)
def test_what_no_run_has_is_refused_in_a_sentence(
    law: Path, tmp_path: Path, more: list[str], words: str, scalewatch: Command
) -> None:
    """With the option's name; no file is written."""
    said = scalewatch("register", *asked(law, tmp_path / "p.json", *more))

    assert 2 == said.code
    assert words in said.err
    assert not (tmp_path / "p.json").exists()


def test_a_size_that_the_law_needs_is_asked_for(law: Path, tmp_path: Path, scalewatch: Command) -> None:
    """A law of sizes says nothing of a run without one."""
    said = scalewatch("register", "--law", law, "--steps", "2000", "-o", tmp_path / "p.json")

    assert 2 == said.code
    assert "say its size" in said.err


def test_scores_of_a_folder_that_is_none(tmp_path: Path, scalewatch: Command) -> None:
    """One sentence, exit code 2."""
    said = scalewatch("scores", tmp_path / "nowhere")

    assert 2 == said.code
    assert "is no folder" in said.err


def test_run_is_a_run(registered: Path) -> None:
    """What the file says of the run is enough to plan it again."""
    assert isinstance(PlannedRun(**dict(read_prediction(registered).run)).run(), Run)
