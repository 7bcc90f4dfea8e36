"""What stock TensorBoard shows of a run, asked of a real TensorBoard."""

from __future__ import annotations

import contextlib
import json
import math
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from scalewatch.laws import CurveLaw
from scalewatch.observation import Observation
from scalewatch_lightning import ScaleWatch
from scalewatch_torch.loggers.base import AbstractLogger
from scalewatch_torch.loggers.board import MAX_WAITING, Board
from scalewatch_torch.loggers.markdown import verdict_markdown
from tests.scalewatch_lightning.conftest import TinyText, loader

NewTrainer = Callable[..., pl.Trainer]


def spoiled() -> TinyText:
    return TinyText(learning_rate=0.1, spoil=lambda n, loss: loss + math.nan if n == 150 else loss, scheduler=_cosine)


def _cosine(optimizer: Any) -> Any:
    from torch.optim.lr_scheduler import CosineAnnealingLR

    return CosineAnnealingLR(optimizer, 200)


@pytest.fixture
def logged(new_trainer: NewTrainer, tmp_path: Path, law: CurveLaw) -> Path:
    """The folder of a run of 200 steps that logs nothing by itself."""
    logger = TensorBoardLogger(tmp_path, name="", version="run")
    trainer = new_trainer(
        [ScaleWatch(law=law, quiet=True)], max_steps=200, logger=[CSVLogger(tmp_path / "csv"), logger]
    )
    trainer.fit(spoiled(), loader(), loader(8))
    return tmp_path / "run"


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Every scalar in the event files of a folder: tag, step, value."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag.startswith("scalewatch/")]
    return {tag: {event.step: event.value for event in events.Scalars(tag)} for tag in tags}


def test_the_run_its_law_and_its_forecast_are_drawn(logged: Path) -> None:
    """Bands hold their middle, and the gap is the loss above the law."""
    drawn = scalars(logged)

    # this toy recites its text after 27 steps, and from there on no law is asked where it ends
    for middle, least in (("scalewatch/expected_loss", 100), ("scalewatch/forecast_final_loss", 20)):
        low, high = drawn[f"{middle}_low_80"], drawn[f"{middle}_high_80"]
        assert len(drawn[middle]) > least
        assert all(low[step] < value < high[step] for step, value in drawn[middle].items())
    loss = drawn["scalewatch/loss"]
    assert sorted(loss) == list(range(1, 201))
    assert [step for step, value in loss.items() if math.isnan(value)] == [150]
    assert len(drawn["scalewatch/validation_loss"]) == 12
    assert len(set(drawn["scalewatch/gap_nats"].values())) >= 2
    # a run that is below what its law expects of any number of tokens has no ratio
    assert all(ratio > 0 for ratio in drawn.get("scalewatch/gap_token_ratio", {}).values())


@contextlib.contextmanager
def served(logdir: Path, *options: str) -> Iterator[Callable[[str], Any]]:
    """A TensorBoard process; call what it gives with a route."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        url = next(m[0] for line in process.stderr if (m := re.search(r"http://\S+:\d+", line)))

        def get(route: str) -> Any:
            with urllib.request.urlopen(f"{url}/data/{route}", timeout=20) as answer:
                return json.load(answer)

        yield get
    finally:
        process.terminate()
        process.communicate(timeout=600)


def asked(get: Callable[[str], Any], route: str, wanted: Callable[[Any], bool]) -> Any:
    """The answer once it is what is wanted: TensorBoard loads in the background."""
    give_up = time.monotonic() + 240
    answer = get(route)
    while not wanted(answer) and time.monotonic() < give_up:
        time.sleep(0.2)
        answer = get(route)
    return answer


def test_stock_tensorboard_shows_it(logged: Path) -> None:
    """Scalars, the margin charts with their series, and the verdict as a table."""
    with served(logged.parent) as get:
        tags = asked(get, "plugin/scalars/tags", lambda found: "run" in found)["run"]
        assert {"scalewatch/loss", "scalewatch/forecast_final_loss", "scalewatch/gap_nats"} <= set(tags)

        query = urllib.parse.urlencode({"run": "run", "tag": "scalewatch/expected_loss"})
        points = asked(get, f"plugin/scalars/scalars?{query}", lambda found: len(found) > 100)
        assert all(0.5 < value < 5 for _, _, value in points)

        layout = asked(get, "plugin/custom_scalars/layout", bool)
        [category] = layout["category"]
        margin, final, *lines = category["chart"]
        assert (category["title"], len(lines)) == ("scalewatch", 2)
        assert margin["margin"]["series"][0] == {
            "value": "scalewatch/expected_loss",
            "lower": "scalewatch/expected_loss_low_80",
            "upper": "scalewatch/expected_loss_high_80",
        }
        assert margin["margin"]["series"][1]["value"] == "scalewatch/loss"
        shown = {series[key] for chart in (margin, final) for series in chart["margin"]["series"] for key in series}
        assert shown <= set(tags)
        for chart in lines:
            [pattern] = chart["multiline"]["tag"]
            query = urllib.parse.urlencode({"run": "run", "tag": pattern})
            found = get(f"plugin/custom_scalars/scalars?{query}")
            assert found["regex_valid"]
            assert found["tag_to_events"] or "token_ratio" in pattern

        query = urllib.parse.urlencode({"run": "run", "tag": "scalewatch/verdict/text_summary"})
        verdict = asked(get, f"plugin/text/text?{query}", bool)[-1]["text"]
        assert verdict.count("<table>") == 1
        assert "<strong>health</strong>" in verdict
        assert "non-finite loss" in verdict


class Place(AbstractLogger):
    """Keeps the steps that it was told of."""

    name = "place"

    def __init__(self) -> None:
        self.steps: list[int] = []

    @classmethod
    def of(cls, thing: Any) -> None:
        return None

    def point(self, step: int, values: Any) -> None:
        self.steps.append(step)

    def incident(self, incident: Any) -> None: ...

    def text(self, tag: str, step: int, markdown: str) -> None: ...

    def summary(self, step: int, values: Any) -> None: ...

    def end(self, step: int, incidents: Any) -> None: ...


@pytest.mark.parametrize(("total", "least", "most"), [(500, 500, 500), (1999, 1999, 1999), (10_000_000, 1000, 1002)])
def test_a_long_run_of_known_length_is_drawn_with_a_thousand_points(total: int, least: int, most: int) -> None:
    """Every n-th step, as many as TensorBoard shows."""
    board = Board([Place()], total)

    drawn = sum(board.wants(step) for step in {1, *range(total // 1000 or 1, total + 1, total // 1000 or 1)})

    assert least <= drawn <= most
    assert not (total > 2000 and board.wants(total // 1000 + 1))


def test_a_run_of_unknown_length_is_drawn_ever_more_thinly() -> None:
    """500 points each time that it has doubled."""
    board = Board([Place()], None)

    counts = [sum(board.wants(step) for step in range(start, 2 * start)) for start in (1024, 2048, 65_536)]

    assert all(400 < count <= 1100 for count in counts)


def test_what_the_disk_does_not_take_is_dropped_and_counted() -> None:
    """Memory is bounded."""
    place = Place()
    board = Board([place], None)

    for step in range(1, MAX_WAITING + 101):
        board.point(Observation(step, 1.0), None)
    board.drain()

    assert board.dropped == 100
    assert len(place.steps) == MAX_WAITING


def test_the_verdict_is_a_table_whatever_it_says() -> None:
    """Pipes and newlines are of the text, not of the table."""
    assert verdict_markdown([("ended", "a | b\nc")]).splitlines()[2] == "| **ended** | a \\| b c |"


def test_only_steps_with_findings_are_drawn_in_between(
    new_trainer: NewTrainer, tmp_path: Path, monkeypatch: Any
) -> None:
    """A run that is drawn every tenth step, and a NaN at step 155."""
    monkeypatch.setattr("scalewatch_torch.loggers.board.POINTS", 20)
    logger = TensorBoardLogger(tmp_path, name="", version="run")
    module = TinyText(spoil=lambda n, loss: loss + math.nan if n == 155 else loss)

    new_trainer([ScaleWatch(quiet=True)], max_steps=200, logger=logger).fit(module, loader())

    drawn = set(scalars(tmp_path / "run")["scalewatch/loss"])
    assert {1, *range(10, 201, 10)} <= drawn
    assert drawn - {1, *range(10, 201, 10)} <= {155, 156, 171}
    assert 155 in drawn


def test_a_trainer_without_tensorboard_is_no_matter(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """There is the journal, in the folder of the other logger."""
    new_trainer([ScaleWatch(quiet=True)], logger=CSVLogger(tmp_path, name="csv")).fit(TinyText(), loader())

    assert list(tmp_path.glob("csv/version_0/scalewatch/journal-*.jsonl"))
    assert not list(tmp_path.rglob("events.*"))
