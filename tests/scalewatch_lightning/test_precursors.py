"""The callback carries precursors from whoever measures them to the monitor and the journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.overrides import _get_current_function_mode

from scalewatch.errors import ConfigError
from scalewatch.journal import Journal
from scalewatch_lightning import ScaleWatch
from scalewatch_torch import Precursors
from scalewatch_torch.scalars import DeviceReader
from tests.scalewatch_lightning.conftest import TinyText, loader

Watched = Callable[..., Journal]


class Adam(TinyText):
    """Trained by AdamW, with one layer of attention."""

    def loss(self, batch: Any) -> torch.Tensor:
        x = self.embed(batch[0][:, :-1])
        x = x + torch.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)
        return torch.nn.functional.cross_entropy(self.head(x).flatten(0, 1), batch[0][:, 1:].flatten())

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(self.parameters(), 1e-2)


def measured(journal: Journal) -> dict[int, set[str]]:
    rows = [row for row in journal.observations if row.precursors is not None]
    return {row.step: {name.partition("/")[0] for name in row.precursors or {}} for row in rows}


ALL = {"update_rms", "grad_norm", "attention_logit", "log_z"}


def test_they_come_with_the_observation_of_their_step(watched: Watched) -> None:
    """At every fourth step, and in the journal."""
    journal = watched(Adam(), ScaleWatch(quiet=True, precursors=Precursors(every=4)), max_steps=14)

    assert {4: ALL, 8: ALL, 12: ALL} == measured(journal)


def test_without_them_there_is_nothing(watched: Watched) -> None:
    """No name in any row."""
    assert {} == measured(watched(Adam(), max_steps=10))


def test_training_is_the_same_to_the_bit(new_trainer: Callable[..., pl.Trainer]) -> None:
    """With clipping and accumulation, precursors at each step."""
    weights = []
    for callbacks in ([], [ScaleWatch(quiet=True, precursors=Precursors(every=1))]):
        torch.manual_seed(3)
        module = Adam()
        new_trainer(callbacks, max_steps=15, gradient_clip_val=0.1, accumulate_grad_batches=3).fit(module, loader(256))
        weights.append([p.detach().numpy().tobytes() for p in module.parameters()])

    assert weights[0] == weights[1]


def test_norms_are_those_before_clipping(watched: Watched) -> None:
    """As the gradient norm of the callback itself: the groups add up to it."""
    watch = ScaleWatch(quiet=True, grad_norm_every=1, precursors=Precursors(every=1))

    journal = watched(Adam(), watch, gradient_clip_val=1e-3, max_steps=5)

    for row in journal.observations:
        norms = [v for name, v in (row.precursors or {}).items() if name.startswith("grad_norm/")]
        assert 2 == len(norms)
        assert pytest.approx(sum(n**2 for n in norms) ** 0.5, rel=1e-4) == row.grad_norm


def test_accumulated_gradients_have_a_noise_scale(watched: Watched) -> None:
    """After the samples that it takes to know one, where its signal is not hidden by noise."""
    journal = watched(
        Adam(),
        ScaleWatch(quiet=True, precursors=Precursors(every=1)),
        data=loader(256),
        accumulate_grad_batches=2,
        max_steps=40,
    )

    scales = [row.precursors["noise_scale"] for row in journal.observations if "noise_scale" in (row.precursors or {})]
    assert scales
    assert 0 < min(scales)


def test_what_cannot_be_measured_is_told_once(watched: Watched, capsys: pytest.CaptureFixture[str]) -> None:
    """SGD, no attention, no accumulation: one line."""
    watched(TinyText(), ScaleWatch(precursors=Precursors(every=2)), max_steps=8)

    lines = [line for line in capsys.readouterr().out.splitlines() if "precursors" in line]
    assert 1 == len(lines)
    for name in ("update_rms", "attention_logit", "noise_scale"):
        assert name in lines[0]


class Broken(Adam):
    def loss(self, batch: Any) -> torch.Tensor:
        if self.batches_seen == 5:
            raise ValueError("this batch was to fail")
        return super().loss(batch)


def test_a_training_step_that_raises_leaves_nothing_behind(new_trainer: Callable[..., pl.Trainer]) -> None:
    """The exception arrives as it is, and functions are torch's again."""
    watch = ScaleWatch(quiet=True, precursors=Precursors(every=1))

    with pytest.raises(ValueError, match="was to fail"):
        new_trainer([watch]).fit(Broken(), loader())

    assert _get_current_function_mode() is None


def test_a_source_that_fails_costs_itself_only(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning; the run is watched to its end, and the source is taken off."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    source = Precursors(every=1)
    monkeypatch.setattr(source, "before_step", lambda: 1 / 0)

    journal = watched(Adam(), ScaleWatch(quiet=True, precursors=source), max_steps=10)

    assert 10 == len(journal.observations)
    assert {} == measured(journal)
    assert ["part 'precursors' failed"] == [
        word for r in caplog.records for word in ["part 'precursors' failed"] if word in r.getMessage()
    ]
    assert _get_current_function_mode() is None


def test_on_a_slow_device_they_stay_with_their_step(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses that arrive some steps late carry the precursors of their own step."""
    from scalewatch_lightning import start as begin

    class Always:
        def record(self) -> None:
            pass

        def query(self) -> bool:
            return True

    monkeypatch.setattr(begin, "reader_for", lambda device: DeviceReader(device, Always, ring_steps=5))

    journal = watched(Adam(), ScaleWatch(quiet=True, precursors=Precursors(every=4)), max_steps=14)

    assert {4: ALL, 8: ALL, 12: ALL} == measured(journal)


@pytest.mark.parametrize("source", [3, "yes", object(), Precursors, {"every": 8}])
def test_what_cannot_measure_is_refused(source: Any) -> None:
    """When the callback is built, with what it should have been."""
    with pytest.raises(ConfigError, match=r"`precursors` must be an object like `scalewatch_torch.Precursors\(\)`"):
        ScaleWatch(precursors=source)


def test_by_hand_with_two_optimizers_it_is_the_larger_one(watched: Watched) -> None:
    """Manual optimisation: samples are of the optimizer whose steps are counted."""

    class TwoOptimizers(Adam):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            loss = self.loss(batch)
            optimizers: Any = self.optimizers()
            for optimizer in optimizers:
                optimizer.zero_grad()
            self.manual_backward(loss)
            for optimizer in optimizers:
                optimizer.step()
            return loss

        def configure_optimizers(self) -> Any:
            return [
                torch.optim.SGD([self.head.bias], 1e-2),
                torch.optim.AdamW([self.embed.weight, self.head.weight], 1e-2),
            ]

    journal = watched(TwoOptimizers(), ScaleWatch(quiet=True, precursors=Precursors(every=4)), max_steps=24)

    assert {4: ALL, 8: ALL, 12: ALL} == measured(journal)
