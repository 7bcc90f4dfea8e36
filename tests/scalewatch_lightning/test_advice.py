"""A run that nothing is wrong with is advised from its forecast: at each tenth, once for each kind of advice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from scalewatch import Action, Finding, Kind, Monitor, Observation, Severity
from scalewatch.journal import Journal, read_journal
from scalewatch.laws import CurveLaw
from scalewatch_lightning import ScaleWatch
from scalewatch_torch.watching.advice import AdviceFeed
from tests.scalewatch_lightning.conftest import TinyText, loader
from tests.synthetic import TrueLaw, cosine, fitted, noisy, planned, rows, watch

NewTrainer = Callable[..., pl.Trainer]
TOTAL, SIZE = 600, 8e6


class MadeUp(TinyText):
    """A model whose losses follow a law, and whose schedule is cut off at half of its peak."""

    def __init__(self) -> None:
        noise = np.random.default_rng(1).normal(0.0, 0.01, 2 * TOTAL)
        super().__init__(
            scheduler=lambda opt: torch.optim.lr_scheduler.LambdaLR(
                opt, lambda step: min((step + 1) / 20, 1.0 - 0.5 * step / TOTAL)
            ),
            spoil=lambda seen, loss: 0.0 * loss + float(2.0 + 2.0 * (seen + 20) ** -0.4 + noise[seen]),
        )


def advised(journal: Journal) -> list[Action]:
    return [advice.action for advice in journal.advice]


def test_a_healthy_run_is_advised_once(
    new_trainer: NewTrainer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the terminal with gain and what would change it, in the journal, among TensorBoard's texts; not repeated."""
    logger = TensorBoardLogger(tmp_path, "board", "")
    new_trainer([ScaleWatch(directory=tmp_path / "scalewatch")], max_steps=TOTAL, logger=logger).fit(
        MadeUp(), loader(256)
    )
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("scalewatch: ")]
    journal = read_journal(tmp_path / "scalewatch")
    board = EventAccumulator(str(tmp_path / "board"), size_guidance={"tensors": 0}).Reload()
    text = board.Tensors("scalewatch/advice/text_summary")

    (told,) = [place for place, line in enumerate(lines) if "advice" in line]
    assert "advice: change schedule (evidence A, gains 0.0" in lines[told]
    assert ", 80 %: 0.0" in lines[told]
    assert lines[told + 1].startswith("scalewatch: ignore this if ")
    assert [] == [finding for finding in journal.findings if finding.pages]
    assert [Action.CHANGE_SCHEDULE] == advised(journal)
    assert journal.advice[0].step < TOTAL / 2
    assert "- **change schedule** (evidence A, gains" in text[0].tensor_proto.string_val[0].decode()


def test_a_run_that_cannot_beat_the_incumbent_stops_if_it_may(
    new_trainer: NewTrainer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not before a fifth of it; the journal and the verdict say why."""
    stops = ScaleWatch(incumbent_loss=1.0, act=["stop"])
    trainer = new_trainer([stops], max_steps=TOTAL)
    trainer.fit(MadeUp(), loader(256))

    assert TOTAL / 5 <= trainer.global_step < TOTAL
    assert Action.STOP == advised(read_journal(tmp_path / "scalewatch"))[-1]
    assert "gets below the incumbent of 1.000 with a probability of less than 1 %" in capsys.readouterr().out


def test_a_run_that_may_not_stop_is_told_at_its_end(
    new_trainer: NewTrainer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table of a run that was broken off holds what is advised now."""

    class Breaks(MadeUp):
        def on_train_batch_end(self, outputs: object, batch: object, batch_idx: int) -> None:
            if self.batches_seen == TOTAL // 2:
                raise KeyboardInterrupt

    with pytest.raises(SystemExit):
        new_trainer([ScaleWatch(target_loss=1.0)], max_steps=TOTAL).fit(Breaks(), loader(256))
    table = capsys.readouterr().out.rpartition("╭")[2]

    assert "advice" in table
    assert "stop (evidence B)" in table
    assert "Ignore this if" in table


def test_a_resumed_run_does_not_repeat_its_advice(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """What was told is in the checkpoint."""
    saver = ModelCheckpoint(tmp_path / "saved", every_n_train_steps=TOTAL // 2, save_top_k=-1, filename="{step}")
    first = [ScaleWatch(quiet=True), saver]
    new_trainer(first, max_steps=TOTAL, enable_checkpointing=True).fit(MadeUp(), loader(256))
    before = advised(read_journal(tmp_path / "scalewatch"))
    checkpoint = tmp_path / "saved" / f"step={TOTAL // 2}.ckpt"
    resumed = MadeUp()
    resumed.batches_seen = TOTAL // 2
    new_trainer([ScaleWatch(quiet=True)], max_steps=TOTAL).fit(resumed, loader(256), ckpt_path=checkpoint)

    assert [Action.CHANGE_SCHEDULE] == before
    assert before == advised(read_journal(tmp_path / "scalewatch"))


# --- when it looks, and what it then says ---------------------------------------------------------


@pytest.fixture(scope="module")
def fit_law() -> CurveLaw:
    return fitted()


def monitored(law: CurveLaw, until: int, **goals: Any) -> Monitor:
    plan = cosine(2 * TOTAL)[:TOTAL]
    monitor = Monitor(planned(plan, SIZE), law, **goals)
    watch(monitor, rows(noisy(TrueLaw().losses(plan, SIZE), 0.01, 3)[:until], plan[:until]))
    return monitor


def test_it_looks_once_a_tenth(fit_law: CurveLaw) -> None:
    """Not at the start, not at the end, and of steps that are passed over in one leap once."""
    counsel = AdviceFeed(monitored(fit_law, 10), 0)

    steps = [1, 59, 60, 61, 119, 120, 400, 401, 540, 600]
    assert [60, 120, 400, 540] == [step for step in steps if counsel.follow(step)]


def test_the_step_path_only_tells_what_another_thread_has_found(fit_law: CurveLaw) -> None:
    """Nothing is advised until the look was taken; then it is new once, and stands."""
    counsel = AdviceFeed(monitored(fit_law, TOTAL // 2), 0)
    counsel.follow(TOTAL // 2)
    early = counsel.say()
    assert not counsel.has_looked
    counsel.drain()
    assert counsel.has_looked
    first, again = counsel.say(), counsel.say()

    assert ([], []) == (early.standing, early.new)
    assert [Action.CHANGE_SCHEDULE] == [advice.action for advice in first.new]
    assert first.new == first.ahead == first.standing == again.standing
    assert [] == again.new
    assert not counsel.has_looked


def test_trouble_silences_the_forecast_and_comes_each_time(fit_law: CurveLaw) -> None:
    """An incident is advised on at once, and no look is taken; after it the old advice stands and is not repeated."""
    plan = cosine(2 * TOTAL)[:TOTAL]
    losses = noisy(TrueLaw().losses(plan, SIZE), 0.01, 3)
    monitor = monitored(fit_law, 300)
    counsel = AdviceFeed(monitor, 0)
    counsel.say(look=True)

    said = []
    for begin in (301, 400):
        watch(monitor, [Observation(step, float("nan")) for step in (begin, begin + 1, begin + 2)])
        assert not counsel.follow(begin + 2)
        said.append([advice.action for advice in counsel.say().new])
        watch(monitor, rows(losses[begin + 2 : begin + 92], plan[begin + 2 : begin + 92], begin + 3))
        counsel.say()
    assert not [finding for finding in monitor.open_incidents if finding.pages]

    assert said[0] == said[1] != []
    assert Action.CHANGE_SCHEDULE not in said[0]
    assert [Action.CHANGE_SCHEDULE] == [advice.action for advice in counsel.say().standing]


def test_a_look_elsewhere_is_the_look_here(fit_law: CurveLaw) -> None:
    """The copy that another thread gets says the same, also when the run has gone on meanwhile."""
    here, elsewhere = monitored(fit_law, 300, least_gain=0.5), monitored(fit_law, 300, least_gain=0.5)
    look = elsewhere.refresh_in_background()
    assert look is not None
    plan = cosine(2 * TOTAL)[:TOTAL]
    watch(elsewhere, rows(noisy(TrueLaw().losses(plan, SIZE), 0.01, 3)[300:400], plan[300:400], 301))
    look()

    assert here.advice() == elsewhere.forecast_advice != []


def test_no_look_is_taken_while_something_is_wrong(fit_law: CurveLaw) -> None:
    """A forecast of a run in trouble is that of a run that recovers."""
    monitor = monitored(fit_law, 300)
    found: list[Finding] = watch(monitor, [Observation(step, float("nan")) for step in (301, 302, 303)])

    assert (Kind.NONFINITE, Severity.CRITICAL) == (found[-1].kind, found[-1].severity)
    assert monitor.refresh_in_background() is None
