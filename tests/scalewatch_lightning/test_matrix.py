"""What of a trainer the watch works with: each row a real run, and the same rows as a table in docs/lightning.md."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch
import pytest
import pytorch_lightning as pl
import torch
from torch.optim import lr_scheduler as lrs
from torch.utils.data import DataLoader, IterableDataset

from scalewatch.journal import read_journal
from scalewatch_lightning import ScaleWatch
from tests.scalewatch_lightning.conftest import loader, text

ROOT = Path(__file__).resolve().parents[2]
WORKS = "works"
#: Steps of each run.
STEPS = 20


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        group: what kind of feature. name: of it. says: "works", or "without forecast, because ..." or what else it has.
        options: of the trainer. module: what is different in the module. data: what is read.
        changes: what is done to the module.
    """

    group: str
    name: str
    says: str = WORKS
    options: Callable[[Any, Path], dict[str, Any]] = lambda flavour, folder: {}
    module: dict[str, Any] = {}  # noqa: RUF012
    data: Callable[[], Any] = loader
    changes: Callable[[Any], None] = lambda module: None


class Endless(IterableDataset[Any]):
    """Text without a length."""

    def __iter__(self) -> Any:
        for row in itertools.cycle(text()):
            yield (row,)


def by_hand(self: Any, batch: Any, batch_idx: int) -> Any:
    optimizer = self.optimizers()
    loss = self.loss(batch)
    optimizer.zero_grad()
    self.manual_backward(loss)
    optimizer.step()
    return loss


def compiled(module: Any) -> None:
    """What it computes with, as most people do it; a compiled `training_step` that logs is refused by torch."""
    for part in (module.embed, module.head):
        part.compile(backend="aot_eager")


def scheduled(make: Callable[[Any], Any], **config: Any) -> dict[str, Any]:
    return {"scheduler": make, "config": config}


NOT_YET_KNOWN = "without forecast of its rates, because ReduceLROnPlateau decides by a metric that is not known yet"
ROWS = (
    Row("strategy", "one device"),
    Row("precision", "bf16-mixed", options=lambda flavour, folder: {"precision": "bf16-mixed"}),
    Row("precision", "bf16-true", options=lambda flavour, folder: {"precision": "bf16-true"}),
    Row(
        "precision",
        "fp16-mixed, with the scaler of torch for the CPU",
        options=lambda flavour, folder: {"plugins": [_fp16(flavour)]},
    ),
    Row("precision", "64-true", options=lambda flavour, folder: {"precision": "64-true"}),
    Row("optimization", "accumulated gradients", options=lambda flavour, folder: {"accumulate_grad_batches": 3}),
    Row("optimization", "clipped gradients", options=lambda flavour, folder: {"gradient_clip_val": 0.5}),
    Row("optimization", "by hand (`automatic_optimization = False`)", module={"by_hand": True}),
    Row("optimization", "LBFGS", module={"optimizer": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=2)}),
    Row("optimization", "`torch.compile`", changes=compiled),
    Row("optimization", "AdamW", module={"optimizer": lambda p: torch.optim.AdamW(p, lr=1e-2)}),
    Row(
        "optimization",
        "stochastic weight averaging",
        options=lambda flavour, folder: {
            "max_steps": -1,
            "max_epochs": 2,
            "callbacks": [flavour.callbacks.StochasticWeightAveraging(swa_lrs=1e-2, swa_epoch_start=1)],
        },
    ),
    Row(
        "optimization",
        "`GradientAccumulationScheduler`",
        "without forecast, because the batches of a step change by a schedule",
        options=lambda flavour, folder: {"callbacks": [flavour.callbacks.GradientAccumulationScheduler({0: 2})]},
    ),
    Row("scheduler", "LambdaLR, as all of transformers", module=scheduled(lambda o: lrs.LambdaLR(o, lambda s: 0.9**s))),
    Row("scheduler", "CosineAnnealingLR", module=scheduled(lambda o: lrs.CosineAnnealingLR(o, STEPS))),
    Row("scheduler", "OneCycleLR", module=scheduled(lambda o: lrs.OneCycleLR(o, 0.1, total_steps=STEPS))),
    Row("scheduler", "of epochs", module=scheduled(lambda o: lrs.StepLR(o, 1), interval="epoch")),
    Row(
        "scheduler",
        "ReduceLROnPlateau",
        NOT_YET_KNOWN,
        module=scheduled(lrs.ReduceLROnPlateau, monitor="train_loss", interval="step"),
    ),
    Row("length", "`max_epochs`", options=lambda flavour, folder: {"max_steps": -1, "max_epochs": 2}),
    Row(
        "length",
        "`max_time` with an epoch number out of reach",
        "forecast from an eighth of its time on, of an end that the speed tells, because it is `max_time` that ends it",
        options=lambda flavour, folder: {"max_steps": -1, "max_epochs": 200_000, "max_time": {"seconds": 1}},
    ),
    Row(
        "length",
        "data without a length, `max_epochs` alone",
        "without forecast, because the data have no length",
        options=lambda flavour, folder: {"max_steps": -1, "max_epochs": 1, "limit_train_batches": None},
        data=lambda: DataLoader(Endless(), batch_size=4),
    ),
    Row("length", "data without a length, `max_steps`", data=lambda: DataLoader(Endless(), batch_size=4)),
    Row("logger", "none"),
    Row("logger", "CSVLogger", options=lambda flavour, folder: {"logger": flavour.loggers.CSVLogger(folder)}),
    Row(
        "logger",
        "TensorBoardLogger",
        options=lambda flavour, folder: {"logger": flavour.loggers.TensorBoardLogger(folder)},
    ),
)
#: What is tried elsewhere, or cannot be here.
ELSEWHERE = (
    ("strategy", "`ddp`, two processes over gloo", "works (test_ranks.py)"),
    ("strategy", "`ModelParallelStrategy` (FSDP2), two processes over gloo", "works (test_ranks.py)"),
    ("strategy", "`ddp_fork`, `ddp_spawn`, `ddp_notebook`", "works (test_forked.py)"),
    ("strategy", "FSDP1, DeepSpeed, TPU", "nobody tried: they need a GPU, or a TPU"),
    ("logger", "WandbLogger (offline), MLFlowLogger (a folder)", "works (test_loggers.py)"),
    ("ending", "SLURM takes the job back and requeues it", "works (test_requeue.py)"),
    ("ending", "crash, Ctrl-C, SIGTERM, kill", "works (test_end.py, test_forked.py)"),
    ("ending", "a rank that dies", "works (test_ranks.py)"),
    ("losses", "several losses, several validation sets", "works (test_objectives.py)"),
)
EACH = [
    pytest.param(row, flavour, id=f"{row.group}: {row.name} [{name}]")
    for row in ROWS
    for name, flavour in (("pytorch_lightning", pl), ("lightning", lightning.pytorch))
]


def module_of(flavour: Any, changed: dict[str, Any]) -> Any:
    """A next-letter model of this Lightning."""

    class Letters(flavour.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = torch.nn.Embedding(16, 8), torch.nn.Linear(8, 16)
            self.automatic_optimization = not changed.get("by_hand")

        def loss(self, batch: Any) -> Any:
            letters = batch[0]
            scores = self.head(self.embed(letters[:, :-1]))
            return torch.nn.functional.cross_entropy(scores.flatten(0, 1), letters[:, 1:].flatten())

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            if changed.get("by_hand"):
                return by_hand(self, batch, batch_idx)
            loss = self.loss(batch)
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            optimizer = changed.get("optimizer", lambda p: torch.optim.SGD(p, lr=0.1))(self.parameters())
            if "scheduler" not in changed:
                return optimizer
            config = {"scheduler": changed["scheduler"](optimizer), "interval": "step", **changed["config"]}
            return {"optimizer": optimizer, "lr_scheduler": config}

    return Letters()


@pytest.mark.parametrize(("row", "flavour"), EACH)
def test_the_row_is_true(row: Row, flavour: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each step is in the journal with a loss, and there is a plan to forecast from, or the reason why not is said."""
    options = {"max_steps": STEPS, "logger": False, **row.options(flavour, tmp_path)}
    callbacks = [ScaleWatch(directory=tmp_path / "journal", quiet=True), *options.pop("callbacks", ())]
    if options.get("limit_train_batches", 0) is None:
        callbacks.append(_ends_after(flavour, STEPS))
    quiet = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = flavour.Trainer(
        accelerator="cpu", devices=1, callbacks=callbacks, default_root_dir=tmp_path, **quiet, **options
    )
    module = module_of(flavour, row.module)
    row.changes(module)
    trainer.fit(module, row.data())

    journal = read_journal(tmp_path / "journal")
    steps = [observation.step for observation in journal.observations]
    assert steps == list(range(1, trainer.global_step + 1))
    assert len(steps) >= 10
    assert all(observation.loss > 0 for observation in journal.observations)
    assert journal.run is not None
    if row.says == WORKS:
        assert journal.run.total_steps == trainer.global_step
        assert journal.run.learning_rates is not None
    else:
        reason = row.says.partition("because ")[2]
        said = [str(record.get("text", "")) for record in journal.others] + [caplog.text]
        assert any(reason in sentence for sentence in said), said
        assert journal.run.learning_rates is None


def _fp16(flavour: Any) -> Any:
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)
    return flavour.plugins.MixedPrecision("16-mixed", "cpu", scaler)


def _ends_after(flavour: Any, steps: int) -> Any:
    class Ends(flavour.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            trainer.should_stop = trainer.global_step >= steps

    return Ends()


def table() -> str:
    """The rows as Markdown."""
    lines = ["| | | |", "|---|---|---|"]
    rows = [(row.group, row.name, row.says) for row in ROWS]
    order = list(dict.fromkeys(group for group, *_ in (*rows, *ELSEWHERE)))
    for group in order:
        lines += [f"| {group} | {name} | {says} |" for kind, name, says in (*rows, *ELSEWHERE) if kind == group]
    return "\n".join(lines)


def test_the_table_of_the_documentation_is_this_one() -> None:
    """To the letter; after a change take it from `table()`."""
    assert table() in (ROOT / "docs" / "lightning.md").read_text("utf-8"), table()
