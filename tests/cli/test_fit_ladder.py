"""`scalewatch fit --chart ladder --target RUN --outcome LOSS`: what was predicted of a run, and what came out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scalewatch.cli.goal import goal_of
from scalewatch.errors import ConfigError
from scalewatch.figures.ladder import Goal
from tests.cli.tables import CURVES, Said, curve, joined, runs, write


def head_of(file: Path) -> tuple[str, list[str]]:
    head = json.loads(file.read_text())["title"]
    text = head["text"]
    return (" ".join(text) if isinstance(text, list) else text), head["subtitle"]


@pytest.mark.parametrize(("outcome", "word"), [("2.5", "above"), ("1.5", "below")])
def test_an_outcome_stands_in_the_headline_of_the_ladder_and_in_the_picture(
    scalewatch: Callable[..., Said], table: Path, law_file: Path, outcome: str, word: str
) -> None:
    """With the interval that was predicted, and on which side of it the run came out."""
    file = law_file.with_name("ladder.json")
    options = ["--bootstrap", 100, "--out", file, "--chart", "ladder", "--target", "70B:1.4T", "--outcome", outcome]
    said = scalewatch("fit", table, "-o", law_file, *options)

    assert (0, "") == (said.code, said.err)
    title, sentences = head_of(file)
    assert title.startswith(f"70B came out at {outcome}00 nats/token, {word} the predicted ")
    assert "(80 %)" in title
    assert "The target has 1.4T tokens, as --target says." in " ".join(sentences)
    assert f"{outcome}00 came out" in file.read_text()


def test_more_tokens_for_the_target_lower_its_loss(
    scalewatch: Callable[..., Said], table: Path, law_file: Path
) -> None:
    """The prediction is of the run that is said, and without its tokens of one with as many as the rungs have."""
    told = []
    for target in ("70B:100B", "70B:10T"):
        file = law_file.with_name("ladder.json")
        scalewatch(
            "fit", table, "-o", law_file, "--bootstrap", 0, "--out", file, "--chart", "ladder", "--target", target
        )
        told.append(float(head_of(file)[0].split(" reach ")[1].split()[0]))

    assert told[1] < told[0] - 0.02


def test_a_ladder_of_curves_takes_the_tokens_of_its_target(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path
) -> None:
    """The largest rung's schedule is stretched to them."""
    source = write(tmp_path / "curves.csv", joined(*(curve(n) for n in CURVES)))
    file, told = tmp_path / "chart.json", []
    for tokens in ("1M", "20M"):
        said = scalewatch("fit", source, "-o", law_file, "--out", file, "--target", f"200k:{tokens}", "--outcome", "3")
        assert "" == said.err
        title, sentences = head_of(file)
        told.append(float(title.split("predicted ")[1].split()[0]))
        assert any(f"{tokens} tokens and the schedule of the largest rung" in s for s in sentences)

    assert told[1] < told[0]


@pytest.mark.parametrize(
    ("target", "outcome", "reason"),
    [
        (None, 2.0, "must come with `--target`"),
        ("7B", 0.0, "0.001 to 100 nats/token"),
        ("7B", float("nan"), "0.001 to 100 nats/token"),
        ("7B:", None, "such as 7e9 or 7B"),
        (":7B", None, "such as 7e9 or 7B"),
        ("7B:1T:2T", None, "such as 7e9 or 7B"),
    ],
)
def test_a_target_that_is_none_is_refused(target: str | None, outcome: float | None, reason: str) -> None:
    """With what it must be."""
    with pytest.raises(ConfigError, match=reason):
        goal_of(target, outcome)


def test_a_target_is_parameters_and_tokens() -> None:
    """As people say them."""
    assert goal_of(None, None) is None
    assert Goal(7e9) == goal_of("7B", None)
    assert Goal(7e9, 1.4e11, 2.02) == goal_of("7B:140B", 2.02)


@pytest.mark.parametrize("options", [["--out", "x.pdf"], ["--out", "x.png", "--chart", "collapse"]])
def test_a_chart_that_cannot_be_drawn_is_refused_before_the_fit(
    scalewatch: Callable[..., Said], table: Path, law_file: Path, options: list[str]
) -> None:
    """No law is fitted or written, and nobody waits."""
    said = scalewatch("fit", table, "-o", law_file, *options)

    assert 2 == said.code
    assert "" == said.out
    assert not law_file.exists()


@pytest.mark.parametrize("chart", ["compute", "ladder"])
def test_a_law_without_an_interval_is_drawn_without_one(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path, chart: str
) -> None:
    """Runs that no law describes: the legend says that there is no interval, and no band claims one."""
    source, file = write(tmp_path / "noise.csv", runs(noise=0.15)), tmp_path / "chart.svg"
    said = scalewatch(
        "fit", source, "-o", law_file, "--bootstrap", 0, "--keep-outliers", "--out", file, "--chart", chart
    )

    assert "" == said.err
    drawn = file.read_text()
    assert "its interval is not known" in drawn
    assert "80 %" not in drawn
    assert "-inf" not in drawn
