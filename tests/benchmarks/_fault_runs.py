"""The runs of `faults.py`: a tiny GPT and a noisy regression with one fault in each, alone or with acts.

A run is a process of its own, or two of them, and is started again as `scalewatch run` and a queue do it: when it asks
to go back, and from its newest checkpoint when it was killed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import multiprocessing
import os
import socket
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from _fault_kinds import FROM_PART, Fault
from _small_runs import STEPS, Numbers, SmallRun, Task
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from scalewatch.acting.rewinding import MOST_REWINDS, RewindExit, RewindRequest, environment_of
from scalewatch.journal import Journal, read_journal
from scalewatch_lightning import ScaleWatch, resume_from

#: Steps between two checkpoints, of which the newest one is kept.
SAVE_EVERY = 20
#: Seconds after which a process is taken for hung, and times that a queue starts a run again.
HUNG_SECONDS, MOST_STARTS = 240.0, 4
#: Where alerts would go, on a port at which nobody listens.
RULES = '[[route]]\nreceivers = ["webhook"]\n[receiver.webhook]\nloopback = true\n'
ADDRESS = "SCALEWATCH_WEBHOOK_URL"


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        loss: held-out loss of its last weights, NaN where it did not get to its end.
        taken: steps that were taken in all. rewinds: how often it went back. starts: how often it was started.
        crash: what ended it, "" for nothing.
        journal: what was seen and done. logged: the warnings of scalewatch.
    """

    loss: float
    taken: int
    rewinds: int
    starts: int
    crash: str
    journal: Journal
    logged: list[str]


class Faulty(SmallRun):
    """A small run to which one fault is done."""

    def __init__(self, task: Task, seed: int, text: tuple[Tensor, Tensor], fault: Fault, taken: Any) -> None:
        super().__init__(task, seed, STEPS[task], text)
        self.fault, self.taken = fault, taken

    def poisons(self, number: int) -> bool:
        return self.fault.poisons(number)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        if os.environ.get("RANK", "0") == "0":
            self.taken.value += 1
        return self.fault.spoil(super().training_step(batch, batch_idx), int(batch))

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self.fault.before_batch(self, int(self.trainer.global_step))

    def on_after_backward(self) -> None:
        self.fault.after_backward(self, int(self.trainer.global_step))


class Drawn(Numbers):
    """Numbers of batches that a fault may keep waiting."""

    def __init__(self, steps: int, fault: Fault) -> None:
        super().__init__(steps)
        self._fault = fault

    def __iter__(self) -> Iterator[int]:  # type: ignore[override]
        for number in super().__iter__():
            self._fault.before_draw(number)
            yield number


def train(task: Task, kind: type[Fault], seed: int, acts: Sequence[Any], folder: Path, text: Any) -> Outcome:
    """Train one run to its end, however often it has to be started."""
    fault = kind(round(FROM_PART * STEPS[task]), folder, seed)
    taken = multiprocessing.get_context("fork").Value("i", 0)
    place, request, rewinds, starts = folder / "rewind.json", None, 0, 0
    crash = ""
    while starts < MOST_STARTS:
        starts += 1
        words = dict(environment_of(place.absolute(), rewinds, request))
        if request is None and starts > 1:
            words["SCALEWATCH_RESUME_FROM"] = str(max((folder / "saved").glob("*.ckpt"), key=os.path.getmtime))
        codes = _start(task, fault, seed, acts, folder, text, taken, words)
        request = RewindRequest.left_at(place)
        if request is not None and rewinds < MOST_REWINDS:
            rewinds += 1
        elif all(code == 0 for code in codes) or not fault.ends:
            break
    if any(codes):
        said = folder / "crash.txt"
        crash = said.read_text() if said.exists() else f"exit codes {codes}"
    ended = folder / "ended.json"
    loss = json.loads(ended.read_text())["loss"] if ended.exists() else math.nan
    logged = (folder / "logged.txt").read_text().splitlines() if (folder / "logged.txt").exists() else []
    return Outcome(loss, taken.value, rewinds, starts, crash, read_journal(folder / "watch"), logged)


def _start(
    task: Task, fault: Fault, seed: int, acts: Any, folder: Path, text: Any, taken: Any, words: Any
) -> list[int]:
    """Start the processes of a training, wait for them, and return their exit codes."""
    if fault.ranks > 1:
        launched = {"WORLD_SIZE": "2", "GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "faults", "MASTER_ADDR": "127.0.0.1"}
        words = {**words, **launched, "MASTER_PORT": str(_free_port())}
    context = multiprocessing.get_context("fork")
    processes = []
    for rank in range(fault.ranks):
        own = {**words, "RANK": str(rank), "LOCAL_RANK": str(rank)} if fault.ranks > 1 else words
        work = (task, fault, seed, acts, folder, text, taken, own)
        processes.append(context.Process(target=_child, args=work))
        processes[-1].start()
    for process in processes:
        process.join(HUNG_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
    return [process.exitcode or 0 for process in processes]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _child(task: Task, fault: Fault, seed: int, acts: Any, folder: Path, text: Any, taken: Any, words: Any) -> None:
    """One process of a training: it ends with what it was asked to end with."""
    os.environ.update(words)
    torch.set_num_threads(1)
    logger = logging.FileHandler(folder / "logged.txt", delay=True)
    logging.getLogger("scalewatch").addHandler(logger)
    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(f"{name}.utilities.rank_zero").setLevel(logging.ERROR)
    code = 1
    try:
        with fault.around(folder / "watch"), contextlib.redirect_stderr(open(os.devnull, "w")):
            loss = _fit(task, fault, seed, acts, folder, text, taken)
        if os.environ.get("RANK", "0") == "0":
            (folder / "ended.json").write_text(json.dumps({"loss": loss}))
        code = 0
    except RewindExit as asked:
        code = int(asked.code or 0)
    except BaseException:
        (folder / "crash.txt").write_text(traceback.format_exc(limit=-2))
    sys.stdout.flush()
    os._exit(code)  # what the parent has registered to be done at its own end is not done here


def _fit(task: Task, fault: Fault, seed: int, acts: Any, folder: Path, text: Any, taken: Any) -> float:
    alerts: Any = ()
    if fault.alerts:
        os.environ[ADDRESS] = f"http://127.0.0.1:{_free_port()}/nobody"
        (folder / "alerts.toml").write_text(RULES)
        alerts = folder / "alerts.toml"
    torch.manual_seed(seed)
    module = Faulty(task, seed, text, fault, taken)
    watch = ScaleWatch(act=acts, directory=folder / "watch", quiet=True, tokens_per_step=1, alerts=alerts)
    saves = ModelCheckpoint(folder / "saved", filename="{step}", every_n_train_steps=SAVE_EVERY)
    strategy = pl.strategies.DDPStrategy(process_group_backend="gloo") if fault.ranks > 1 else "auto"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            max_steps=module.steps,
            max_epochs=-1,
            accelerator="cpu",
            devices=fault.ranks,
            strategy=strategy,
            callbacks=[watch, saves],
            logger=False,
            gradient_clip_val=1.0,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
            use_distributed_sampler=False,
        )
        trainer.fit(module, Drawn(module.steps, fault), ckpt_path=resume_from())
    return module.held_out_loss()
