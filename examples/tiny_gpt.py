"""A run, watched against the law of its smaller siblings: what `make demo` runs.

Three small byte-level GPTs are trained on the sources of Python's standard library. A law is fitted to
their journals, and says what a larger model will reach before that one has made a step. The larger model
is trained under the watch of this law: once as it should be, and once with a learning rate that a fault
multiplies by thirty in mid-run.

    python examples/tiny_gpt.py            # some four minutes on two cores
    python examples/tiny_gpt.py --quick    # under a minute, and a rougher law
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# A thread that waits for the other gives its core away. By itself OpenMP spins, and beside another program, which has
# the core that the other thread needs, a step of this size takes ten times longer. Read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytorch_lightning as pl
import torch
from _tiny_gpt_data import StdlibText, read_text
from _tiny_gpt_model import GPTConfig, LearningRateFault, TinyGPT
from _tiny_gpt_show import RunBar, Watched, draw, headline, outcome_table, watched
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor

from scalewatch.fitting import fit_curves
from scalewatch.laws import Curve, CurveLaw, save_law
from scalewatch_lightning import ScaleWatch

THREADS = 2  # more make models of this size slower
VALIDATIONS = 5  # in a run
BATCH_SIZE = 32  # windows


@dataclass(frozen=True)
class Plan:
    """What is trained.

    Args:
        ladder: widths of the small models that the law is fitted on.
        target: width of the larger model that it is asked about.
        steps: optimizer steps of every run.
        fault_share: share of the run after which the sabotaged one is sabotaged.
        fault_factor: how many times too high its learning rate is from there on.
    """

    ladder: tuple[int, ...]
    target: int
    steps: int
    fault_share: float = 0.55
    fault_factor: float = 30.0

    @property
    def fault_step(self) -> int:
        """The first optimizer step with the wrong learning rate."""
        return round(self.fault_share * self.steps) + 1


FULL = Plan(ladder=(24, 32, 48), target=64, steps=1500)
QUICK = Plan(ladder=(16, 24, 32), target=48, steps=300)


@dataclass(frozen=True)
class Workshop:
    """What all runs of the demo share."""

    folder: Path
    texts: tuple[Tensor, Tensor]
    steps: int
    seed: int

    def train(self, name: str, width: int, *callbacks: pl.Callback, law: Path | None = None) -> Watched:
        """Train one model under the watch of `ScaleWatch`, and return what its journal says."""
        pl.seed_everything(self.seed, verbose=False)
        config = GPTConfig(width=width, steps=self.steps)
        trainer = pl.Trainer(
            accelerator="cpu",
            max_steps=self.steps,
            gradient_clip_val=1.0,
            callbacks=[
                *callbacks,
                ScaleWatch(law=law, directory=self.folder, name=name, quiet=law is None),
                RunBar(name),
            ],
            logger=TensorBoardLogger(self.folder, name=name, version=""),
            log_every_n_steps=10,
            val_check_interval=max(1, self.steps // VALIDATIONS),
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_model_summary=False,
        )
        text = StdlibText(self.texts, BATCH_SIZE, config.context, self.steps, self.seed)
        trainer.fit(TinyGPT(config), text)
        return watched(name, self.folder / name, law)


def fit_law(runs: Sequence[Watched], path: Path) -> CurveLaw:
    """Fit a law to finished runs, from their journals, and keep it in a file."""
    rows = {run.name: run.record.observations for run in runs}
    law = fit_curves(
        [Curve(run.run, [row.step for row in rows[run.name]], [row.loss for row in rows[run.name]]) for run in runs]
    )
    save_law(law, path)
    return law


def demo(plan: Plan, *, seed: int, folder: Path, healthy_only: bool) -> list[Watched]:
    """Train the ladder, fit the law, and train the target with and without the fault."""
    stages = 3 if healthy_only else 4
    headline(1, stages, f"A ladder of {len(plan.ladder)} small models, {plan.steps:,} steps each")
    workshop = Workshop(folder, read_text(), plan.steps, seed)
    ladder = [workshop.train(f"ladder_{width}", width) for width in plan.ladder]
    print("\n" + "\n".join(run.summary for run in ladder))

    headline(2, stages, "A law from their journals")
    law_file = folder / "ladder.law.json"
    began = time.perf_counter()
    law = fit_law(ladder, law_file)
    print(f"Fitted to {law.evidence.runs} runs in {time.perf_counter() - began:.1f} s, kept in {law_file}")
    for reason in law.evidence.left_out:
        print(f"Left out: {reason}")

    headline(3, stages, "A larger model, watched with this law")
    runs = [workshop.train("healthy", plan.target, law=law_file)]
    if not healthy_only:
        headline(
            4,
            stages,
            f"The same model, sabotaged: learning rate x{plan.fault_factor:g} from step {plan.fault_step:,} on",
        )
        fault = LearningRateFault(plan.fault_step, plan.fault_factor)
        runs.append(workshop.train("sabotaged", plan.target, fault, law=law_file))
    return runs


def new_folder(parent: Path) -> Path:
    """Make a folder of its own for this demo, so that none is written over."""
    for number in range(1, 10_000):
        folder = parent / f"demo_{number:03d}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise RuntimeError(f"{parent} is full of demos.")


def hush() -> None:
    """Keep Lightning's advice to professionals out of a demo."""
    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    summary = "Train a small GPT under the watch of scalewatch, healthy and sabotaged."
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--quick", action="store_true", help="smaller models, fewer steps: under a minute")
    parser.add_argument("--healthy-only", action="store_true", help="leave out the sabotaged run")
    parser.add_argument("--seed", type=int, default=0, help="start of all random numbers (default: 0)")
    parser.add_argument("--steps", type=int, help="optimizer steps of every run")
    parser.add_argument("--out", type=Path, default=Path("demo_runs"), help="parent folder (default: demo_runs)")
    options = parser.parse_args(argv)
    if options.steps is not None and options.steps < 100:
        parser.error(f"--steps must be at least 100, or no law can be seen (got {options.steps})")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo."""
    options = arguments(argv)
    began = time.perf_counter()
    hush()
    torch.set_num_threads(min(THREADS, torch.get_num_threads()))
    plan = QUICK if options.quick else FULL
    if options.steps is not None:
        plan = Plan(plan.ladder, plan.target, options.steps)
    folder = new_folder(options.out)
    runs = demo(plan, seed=options.seed, folder=folder, healthy_only=options.healthy_only)

    print()
    outcome_table(runs, fault_step=plan.fault_step)
    for run in runs:
        print(f"picture  {draw(run, folder / f'{run.name}_against_law.png')}")
    print(f"logs     {folder}")
    print(f"time     {time.perf_counter() - began:.0f} s")
    print(f"\nLook at the curves with:  tensorboard --logdir {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
