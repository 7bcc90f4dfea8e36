"""`scalewatch.load` in a notebook: the answers of `replay`, a card, a picture, a table, and what it refuses."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

import scalewatch
from scalewatch.charts.theme import DARK
from scalewatch.errors import ConfigError, LogError
from scalewatch.laws import save_law
from tests.synthetic import TrueLaw, cosine, fitted, noisy

TOTAL, SPIKE = 800, 500


def csv_log(folder: Path, name: str = "run.csv", rise: float = 0.0) -> Path:
    """A run that follows a law to its end; from step 500 on it may be too high."""
    rates = cosine(TOTAL)
    losses = noisy(TrueLaw().losses(rates, 8e6), 0.01, 3)
    losses[SPIKE:] += rise
    rows = [f"{step},{loss:.5f},{rate:.4e}" for step, (loss, rate) in enumerate(zip(losses, rates, strict=True), 1)]
    (folder / name).write_text("\n".join(["step,loss,lr", *rows]) + "\n")
    return folder / name


def test_a_run_that_is_loaded_says_what_replay_says(tmp_path: Path) -> None:
    """The state, the findings as a table, the columns that were taken, and what to do."""
    run = scalewatch.load(csv_log(tmp_path, rise=2.0), total_steps=TOTAL)

    assert run.status.sentence.startswith("LOST: spike since step 50")
    assert ["spike"] == run.findings.kind.unique().tolist()
    assert [finding.message for finding in run.tracker.findings] == run.findings.message.tolist()
    assert {"loss": "loss", "learning_rate": "lr"}.items() <= run.columns.items()
    assert run.advice
    assert TOTAL == len(run.steps) == len(run.losses)


def test_what_would_have_been_said_at_a_part_needs_no_later_row(tmp_path: Path) -> None:
    """At 30 % it is the same whatever the losses are from there on; now, a run that has ended has none."""
    run = scalewatch.load(csv_log(tmp_path), total_steps=TOTAL)
    early = run.forecast(at=0.3)
    lines = (tmp_path / "run.csv").read_text().splitlines()
    later = [line.replace(line.split(",")[1], "9.9") for line in lines[1 + 3 * TOTAL // 10 :]]
    (tmp_path / "other.csv").write_text("\n".join([*lines[: 1 + 3 * TOTAL // 10], *later]) + "\n")

    assert early is not None
    assert run.forecast() is None
    again = scalewatch.load(tmp_path / "other.csv", total_steps=TOTAL).forecast(at=0.3)
    assert again is not None
    assert (early.step, early.final_loss) == (again.step, again.final_loss)


@pytest.mark.parametrize("at", [0.0, 1.5])
def test_a_part_of_a_run_is_within_it(tmp_path: Path, at: float) -> None:
    """The message names the range."""
    run = scalewatch.load(csv_log(tmp_path), total_steps=TOTAL)

    with pytest.raises(ConfigError, match="above 0 and at most 1"):
        run.forecast(at=at)


def test_a_part_that_the_log_does_not_reach_is_refused(tmp_path: Path) -> None:
    """And the message says how far it goes."""
    run = scalewatch.load(csv_log(tmp_path), total_steps=2 * TOTAL)

    with pytest.raises(ConfigError, match="ends at step 800"):
        run.forecast(at=0.9)


def test_a_folder_of_runs_is_loaded_worst_first(tmp_path: Path) -> None:
    """`load` wants one run and says how to get all of them."""
    csv_log(tmp_path, "a.csv")
    csv_log(tmp_path, "b.csv", rise=2.0)

    with pytest.raises(LogError, match=r"holds 2 runs \(a, b\).*load_all"):
        scalewatch.load(tmp_path)
    assert ["b", "a"] == [run.name for run in scalewatch.load_all(tmp_path, total_steps=TOTAL)]


def test_a_run_is_held_against_a_law(tmp_path: Path) -> None:
    """As `scalewatch replay --law` does, by a law in memory or in a file."""
    save_law(fitted(), tmp_path / "ladder.law.json")
    laws = [fitted(), tmp_path / "ladder.law.json"]
    runs = [scalewatch.load(csv_log(tmp_path), total_steps=TOTAL, law=law) for law in laws]

    assert [fitted().to_json()] * 2 == [run.tracker.monitor.law.to_json() for run in runs if run.tracker.monitor.law]


def test_a_picture_follows_the_theme_without_a_script(tmp_path: Path) -> None:
    """One SVG: its elements are the light ones, and a style of its own turns each colour into the dark one."""
    picture = scalewatch.load(csv_log(tmp_path), total_steps=TOTAL).plot(log_x=True)
    svg = picture._repr_html_()

    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "<script" not in svg
    (own,) = set(re.findall(r'<svg id="(\w+)"', svg))
    turned = re.findall(rf'\[data-md-color-scheme="slate"\] #{own}\{{([^}}]*)\}}', svg)
    assert DARK.background in turned[0]
    assert DARK.ink in turned[0]
    assert picture.save(tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


def test_two_pictures_of_one_page_keep_their_clips_apart(tmp_path: Path) -> None:
    """What cuts a line off at the edge of its panel is called by a name; another picture must not take it over."""
    one = scalewatch.load(csv_log(tmp_path, "a.csv"), total_steps=TOTAL).plot()._repr_html_()
    other = scalewatch.load(csv_log(tmp_path, "b.csv", rise=1.0), total_steps=TOTAL).plot()._repr_html_()
    names = [set(re.findall(r'\bid="([\w-]+)"', svg)) for svg in (one, other)]

    assert all(names)
    assert set() == names[0] & names[1]
    assert all(f'id="{name}"' in one for name in re.findall(r"url\(#([\w-]+)\)", one))


HIDDEN = """
import sys
for name in ("pandas", "altair", "vl_convert"):
    sys.modules[name] = None
import scalewatch
run = scalewatch.load(sys.argv[1], total_steps=800)
print(run._repr_html_().count("No picture: Charts need the extra"), "svg" in run._repr_html_())
for ask in (lambda: run.findings, lambda: run.plot()._repr_html_(), lambda: run.plot().altair()):
    try:
        ask()
    except scalewatch.ScalewatchError as fault:
        print(fault)
print(len(run.tracker.findings) > 0)
"""


def test_without_pandas_and_charts_a_sentence_says_what_to_install(tmp_path: Path) -> None:
    """Everything else is there: the numbers need neither."""
    log = csv_log(tmp_path, rise=2.0)
    done = subprocess.run([sys.executable, "-c", HIDDEN, str(log)], capture_output=True, text=True, timeout=300)

    assert "" == done.stderr
    head, table, *pictures, found = done.stdout.splitlines()
    assert ("1 True", "True") == (head, found) or ("1 False", "True") == (head, found)
    assert "pip install 'scalewatch[notebook]'" in table
    assert 2 == sum("pip install 'scalewatch[charts]'" in line for line in pictures)


def test_a_name_with_a_script_in_it_is_text(tmp_path: Path) -> None:
    """A card shows what somebody else's file says, and runs none of it."""
    log = csv_log(tmp_path, "<img src=x onerror=alert(1)>.csv", rise=2.0)
    shown = scalewatch.load(log, total_steps=TOTAL)._repr_html_()

    assert "<img" not in shown
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown


def test_losses_are_those_of_the_log(tmp_path: Path) -> None:
    """In the order of their steps, a row each."""
    run = scalewatch.load(csv_log(tmp_path), total_steps=TOTAL)
    written = np.loadtxt(tmp_path / "run.csv", delimiter=",", skiprows=1)

    assert np.array_equal(written[:, 0], run.steps)
    assert np.allclose(written[:, 1], run.losses)
