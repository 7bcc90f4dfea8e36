"""A loop without a framework, watched by two lines: `with Watcher(...)` and `watcher.step(loss)`.

python examples/plain_torch.py            # some seconds on a CPU
python examples/plain_torch.py --fault    # the learning rate is 300 times too high from step 300 on
"""

from __future__ import annotations

import argparse

import torch
from _letters import TOKENS_PER_STEP, Letters, batches

from scalewatch_torch import Precursors, Watcher

STEPS, FAULT_STEP, FAULT_FACTOR = 500, 300, 300.0


def main(fault: bool, directory: str | None) -> None:
    """Train, and be told what is found when it is found."""
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = Letters().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=STEPS + 1)

    options = {"tokens_per_step": TOKENS_PER_STEP, "directory": directory, "precursors": Precursors()}
    with Watcher(model, optimizer, scheduler, total_steps=STEPS, **options) as watcher:
        for step, text in enumerate(batches(STEPS), start=1):
            with watcher.forward():  # only for the precursors
                loss = model(text.to(device, non_blocking=True))
            optimizer.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            rate = optimizer.param_groups[0]["lr"]
            if fault and step >= FAULT_STEP:
                optimizer.param_groups[0]["lr"] = rate * FAULT_FACTOR
            optimizer.step()
            scheduler.step()
            watcher.step(loss, grad_norm=norm)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fault", action="store_true", help="multiply the learning rate from step 300 on")
    parser.add_argument("--directory", help="folder of the journal (default: ./scalewatch)")
    given = parser.parse_args()
    main(given.fault, given.directory)
