"""What is hard to show: two hundred runs, a long run, a hostile name, a cut file, nothing at all."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.scalewatch_tensorboard.browser import Board, Panel, tensorboard
from tests.scalewatch_tensorboard.logs import HOSTILE, long_log, many

Open = Callable[[Board], Panel]

RUNS, STEPS, SPIKE_STEP, SPIKE = 200, 60_000, 32_345, 7.5
#: Largest answer [bytes].
LIMIT = 500_000


@pytest.fixture(scope="module")
def long_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """A TensorBoard over one run of many more steps than a chart has marks; it reads on while other tests run."""
    folder = tmp_path_factory.mktemp("long")
    long_log(folder / "long", STEPS, SPIKE_STEP, SPIKE)
    with tensorboard(folder, tmp_path_factory.mktemp("cache")) as board:
        yield board


def test_no_data_gets_a_sentence_that_helps(long_board: Board, tmp_path: Path, open_panel: Open) -> None:
    """An empty folder is no error: the page says what it looks for, where, and that nothing need be restarted."""
    (tmp_path / "logs").mkdir()
    with tensorboard(tmp_path / "logs", tmp_path / "cache") as board:
        panel = open_panel(board)
        frame = panel.open(panel="overview")
        frame.wait_for_selector("text=No training run was found")
        panel.shot("no_data")
        told = frame.inner_text("main")
        panel.leave()

    assert str(tmp_path / "logs") in told or "logs" in told
    assert "restarted" in told


def test_two_hundred_runs_are_one_table(long_board: Board, tmp_path: Path, open_panel: Open) -> None:
    """All rows are there, the answer stays small, and only one of them is a stop for the Tab key; behind a proxy too,
    where TensorBoard does not lie at the root."""
    many(tmp_path / "logs", RUNS)
    with tensorboard(tmp_path / "logs", tmp_path / "cache", "--path_prefix=/behind/a/proxy") as board:
        panel = open_panel(board)
        frame = panel.open(panel="overview")
        frame.wait_for_function(f"document.querySelectorAll('.runs tbody tr').length === {RUNS}")
        panel.shot("two_hundred_runs")
        stops = frame.eval_on_selector_all(".run-name", "all => all.filter((each) => each.tabIndex === 0).length")
        with urllib.request.urlopen(board.url + "data/plugin/scalewatch/runs") as answer:
            size = len(answer.read())
        frame.click(".run-name >> nth=0")
        panel.drawn()
        address = panel.page.evaluate("window.location.pathname")
        panel.leave()

    assert address == "/behind/a/proxy/"
    assert stops == 1
    assert size < LIMIT


def test_a_name_that_is_markup_is_shown_as_it_is(zoo_board: Board, open_panel: Open) -> None:
    """A run named like a picture with a script is a row, a choice and a headline, and never an element."""
    panel = open_panel(zoo_board)
    frame = panel.open(panel="overview")
    frame.wait_for_selector(f"text={HOSTILE}")
    frame.click(f".run-name:has-text('{HOSTILE}')")
    panel.drawn()
    panel.shot("hostile_name")

    assert frame.input_value("#scalewatch-run") == HOSTILE
    assert frame.query_selector("img") is None
    assert HOSTILE in panel.words()
    for name in ("health", "forecast", "scaling", "advice"):
        frame.click(f".tabs.main [data-value={name}]")
        if name != "advice":
            panel.drawn(or_empty=True)
    assert frame.query_selector("img") is None


def test_a_file_that_is_cut_shows_what_is_whole(zoo_board: Board, open_panel: Open) -> None:
    """An event file that ends in the middle of a record is drawn up to there."""
    panel = open_panel(zoo_board)
    frame = panel.open(panel="run", run="cut")
    panel.drawn()
    panel.shot("cut_file")

    assert "step 899" in frame.inner_text(".answer")
    assert frame.query_selector(".stage canvas") is not None


def test_an_unknown_run_in_a_link_is_told_of(zoo_board: Board, open_panel: Open) -> None:
    """A link to a run that is gone says so and lets somebody choose another."""
    panel = open_panel(zoo_board)
    frame = panel.open(panel="run", run="gone")
    frame.wait_for_selector("text=There is no run named")

    frame.select_option("#scalewatch-run", "old")
    panel.drawn()
    assert frame.query_selector(".stage canvas") is not None


def test_a_long_run_is_drawn_with_its_one_step_spike(long_board: Board, open_panel: Open) -> None:
    """The chart of 60,000 steps shows the one that jumped, in an answer of bounded size; a zoom shows its place."""
    panel = open_panel(long_board)
    frame = panel.open(panel="run", run="long", xscale="linear")
    frame.wait_for_selector(f"text=step {STEPS:,}", timeout=120_000)
    panel.page.wait_for_timeout(300)
    panel.drawn()
    panel.shot("long_run")
    asked = [each for each in panel.asked if each.startswith("chart?")][-1]
    began = time.perf_counter()
    with urllib.request.urlopen(f"{panel.board.url}data/plugin/scalewatch/{asked}") as answer:
        whole = answer.read()
    seconds = time.perf_counter() - began
    window = f"chart=run&run={quote('long')}&from={SPIKE_STEP - 50}&to={SPIKE_STEP + 50}"
    with urllib.request.urlopen(f"{panel.board.url}data/plugin/scalewatch/chart?{window}") as answer:
        near = json.loads(answer.read())

    assert str(SPIKE) in whole.decode()
    assert str(SPIKE_STEP) in json.dumps(near)
    assert len(whole) < LIMIT
    assert seconds < 20.0, "generous: the aim is a tenth of a second, measured in tests/benchmarks/panel_browser.py"
