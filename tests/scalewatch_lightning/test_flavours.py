"""One callback for both Lightnings, their trainers and their command lines."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch
import lightning.pytorch.cli
import pytest
import pytorch_lightning as pl
import pytorch_lightning.cli
import torch

from scalewatch.journal import read_journal
from scalewatch_lightning import ScaleWatch
from scalewatch_lightning.base import find_bases
from tests.scalewatch_lightning.conftest import loader

FLAVOURS = {"pytorch_lightning": pl, "lightning": lightning.pytorch}
each_flavour = pytest.mark.parametrize("flavour", FLAVOURS.values(), ids=FLAVOURS)


def model_of(flavour: Any) -> type[Any]:
    """A module of this Lightning; one of the other is refused by its trainer."""

    class Model(flavour.LightningModule):  # type: ignore[misc]
        def __init__(self, width: int = 8) -> None:
            super().__init__()
            self.embed, self.head = torch.nn.Embedding(16, width), torch.nn.Linear(width, 16)

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            letters = batch[0]
            scores = self.head(self.embed(letters[:, :-1]))
            return torch.nn.functional.cross_entropy(scores.flatten(0, 1), letters[:, 1:].flatten())

        def train_dataloader(self) -> Any:
            return loader()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    return Model


@each_flavour
def test_it_is_a_callback_of_each_flavour(flavour: Any) -> None:
    """Each command line asks for a subclass of its own."""
    assert issubclass(ScaleWatch, flavour.Callback)


@each_flavour
def test_it_watches_in_each_trainer(flavour: Any, new_trainer: Callable[..., Any], tmp_path: Path) -> None:
    """And its state is in the checkpoint."""
    watch = ScaleWatch(quiet=True)
    trainer = new_trainer([watch], trainer=flavour.Trainer)

    trainer.fit(model_of(flavour)())
    trainer.save_checkpoint(tmp_path / "end.ckpt")

    assert len(read_journal(tmp_path / "scalewatch").observations) == 20
    assert watch.state_key in torch.load(tmp_path / "end.ckpt", weights_only=True)["callbacks"]


def run_cli(flavour: Any, *arguments: str) -> Any:
    return flavour.cli.LightningCLI(model_of(flavour), args=list(arguments))


QUICK = [
    "--trainer.max_steps=10",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
]


@each_flavour
def test_it_is_configured_from_yaml(flavour: Any, tmp_path: Path) -> None:
    """By its class path, with the options of `__init__`; the saved configuration holds them."""
    config = tmp_path / "config.yaml"
    config.write_text(
        f"""
trainer:
  default_root_dir: {tmp_path}
  callbacks:
    - class_path: scalewatch_lightning.ScaleWatch
      init_args: {{act: [stop], grad_norm_every: 5, tokens_per_step: 1000, name: mine, quiet: true}}
"""
    )

    run_cli(flavour, "fit", f"--config={config}", *QUICK)

    [folder] = tmp_path.glob("lightning_logs/version_0/scalewatch/mine")
    rows = read_journal(folder).observations
    assert [row.tokens for row in rows] == [1000.0 * n for n in range(1, 11)]
    assert [row.step for row in rows if row.grad_norm is not None] == [5, 10]
    assert "grad_norm_every: 5" in (tmp_path / "lightning_logs/version_0/config.yaml").read_text()


@each_flavour
def test_it_is_configured_on_the_command_line(flavour: Any, tmp_path: Path) -> None:
    """By its name alone, since it is imported."""
    run_cli(
        flavour,
        "fit",
        f"--trainer.default_root_dir={tmp_path}",
        "--trainer.callbacks=ScaleWatch",
        "--trainer.callbacks.quiet=true",
        *QUICK,
    )

    assert list(tmp_path.glob("lightning_logs/version_0/scalewatch/journal-*.jsonl"))


@each_flavour
@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--trainer.callbacks.law=missing.law.json", "missing.law.json"),
        ("--trainer.callbacks.tokens_per_step=-5", "must be an integer of at least 1"),
        ("--trainer.callbacks.act=[explode]", "explode"),
    ],
)
def test_a_wrong_option_on_the_command_line_is_told(flavour: Any, option: str, says: str) -> None:
    """Before anything is trained: by the parser, or by us through the parser."""
    err = io.StringIO()

    with contextlib.redirect_stderr(err), pytest.raises((SystemExit, ValueError)) as refusal:
        run_cli(flavour, "fit", "--trainer.callbacks=scalewatch_lightning.ScaleWatch", option, *QUICK)

    assert says in err.getvalue() + str(refusal.value)


@each_flavour
def test_the_help_is_that_of_the_docstring(flavour: Any) -> None:
    """With every option."""
    out = io.StringIO()

    with contextlib.redirect_stdout(out), pytest.raises(SystemExit):
        run_cli(flavour, "fit", "--trainer.callbacks.help=scalewatch_lightning.ScaleWatch")

    help_text = " ".join(out.getvalue().split())
    assert "`stop` ends a run that is lost, or that the forecast advises to stop" in help_text
    assert "--trainer.callbacks.target_loss" in help_text
    for option in ("law", "act", "directory", "tokens_per_step", "grad_norm_every", "name", "quiet"):
        assert f"--trainer.callbacks.{option} " in help_text


def test_either_lightning_will_do() -> None:
    """The one that is there."""
    assert find_bases(("pytorch_lightning", "no_such_lightning")) == (pl.Callback,)
    assert find_bases(("no_such_lightning", "lightning.pytorch")) == (lightning.pytorch.Callback,)


def test_without_lightning_the_error_says_what_to_install() -> None:
    """In one line."""
    with pytest.raises(ImportError, match=r"pip install 'scalewatch\[lightning\]'") as refusal:
        find_bases(("no_such_lightning", "no_such.lightning"))

    assert "\n" not in str(refusal.value)
