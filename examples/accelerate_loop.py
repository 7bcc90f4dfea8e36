"""A loop under accelerate, watched by three lines, the third of which is for its checkpoints.

python examples/accelerate_loop.py             # some seconds on a CPU
python examples/accelerate_loop.py --resume    # goes on from the checkpoint of the run before
torchrun --nproc-per-node 2 examples/accelerate_loop.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from _letters import BATCH, TIME, Letters, text_of
from accelerate import Accelerator
from torch.utils.data import DataLoader

from scalewatch_torch import Watcher

STEPS, ACCUMULATE, SAVE_AT = 300, 2, 150


def main(directory: Path, resume: bool) -> None:
    """Train to the end, from the beginning or from the checkpoint in `directory`."""
    torch.set_num_threads(1)
    accelerator = Accelerator(gradient_accumulation_steps=ACCUMULATE)
    torch.manual_seed(0)
    model = Letters()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    rows = BATCH // ACCUMULATE
    loader = DataLoader(text_of(0, rows * STEPS * ACCUMULATE), batch_size=rows)
    # what it prepares steps once for each process, and each process reads its own share of the batches
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=STEPS + 1)
    model, optimizer, loader, scheduler = accelerator.prepare(model, optimizer, loader, scheduler)

    steps = len(loader) // ACCUMULATE
    tokens = BATCH * TIME * accelerator.num_processes
    folder = directory / "scalewatch"
    watcher = Watcher(model, optimizer, scheduler, total_steps=steps, tokens_per_step=tokens, directory=folder)
    accelerator.register_for_checkpointing(watcher)
    done = 0
    if resume:
        accelerator.load_state(directory / "half")
        done = SAVE_AT * ACCUMULATE
        loader = accelerator.skip_first_batches(loader, done)

    with watcher:
        for batch, text in enumerate(loader, start=done):
            with accelerator.accumulate(model):
                loss = model(text)
                accelerator.backward(loss)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
            watcher.step(loss)
            if batch + 1 == SAVE_AT * ACCUMULATE and not resume:
                accelerator.save_state(directory / "half")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--directory", type=Path, default=Path("accelerate_run"), help="of checkpoint and journal")
    given = parser.parse_args()
    main(given.directory, given.resume)
