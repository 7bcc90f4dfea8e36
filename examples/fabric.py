"""A loop in Fabric, watched by two lines, with gradients that are accumulated and a checkpoint that it resumes from.

python examples/fabric.py             # some seconds on a CPU
python examples/fabric.py --resume    # goes on from the checkpoint of the run before
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from _letters import BATCH, TOKENS_PER_STEP, Letters, batches
from lightning.fabric import Fabric

from scalewatch_torch import Watcher

STEPS, ACCUMULATE, SAVE_AT = 300, 2, 150


def main(directory: Path, resume: bool) -> None:
    """Train to the end, from the beginning or from the checkpoint in `directory`."""
    torch.manual_seed(0)
    fabric = Fabric(accelerator="auto", devices=1)
    fabric.launch()
    model = Letters()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=STEPS + 1)
    model, optimizer = fabric.setup(model, optimizer)

    watcher = Watcher(
        model,
        optimizer,
        scheduler,
        total_steps=STEPS,
        tokens_per_step=TOKENS_PER_STEP,
        directory=directory / "scalewatch",
    )
    state = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "watcher": watcher, "step": 0}
    if resume:
        fabric.load(directory / "half.ckpt", state)

    with watcher:
        for batch, text in enumerate(batches(STEPS * ACCUMULATE, BATCH // ACCUMULATE)):
            if batch < state["step"] * ACCUMULATE:
                continue
            is_last = (batch + 1) % ACCUMULATE == 0
            with fabric.no_backward_sync(model, enabled=not is_last):
                loss = model(fabric.to_device(text))
                fabric.backward(loss / ACCUMULATE)
            if is_last:
                optimizer.step()
                optimizer.zero_grad()
                scheduler.step()
            watcher.step(loss)
            if is_last:
                state["step"] += 1
                if state["step"] == SAVE_AT and not resume:
                    fabric.save(directory / "half.ckpt", state)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--directory", type=Path, default=Path("fabric_run"), help="of checkpoint and journal")
    given = parser.parse_args()
    main(given.directory, given.resume)
