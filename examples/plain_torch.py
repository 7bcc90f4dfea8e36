"""A loop without a framework, watched: what `scalewatch_torch` does for it.

The losses and gradient norms come to the host without making the loop wait for its device; the schedule of the
learning rate is known before the first step, because a copy of the scheduler is run ahead.

    python examples/plain_torch.py            # some seconds on a CPU
    python examples/plain_torch.py --fault    # the learning rate is 300 times too high from step 300 on
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scalewatch import Monitor, Run
from scalewatch_torch import (
    Precursors,
    Scheduled,
    count_sizes,
    gradient_norm,
    planned_rates,
    reader_for,
    tokens_in,
)

STEPS, FAULT_STEP, FAULT_FACTOR = 500, 300, 300.0
VOCABULARY, WIDTH, TIME, BATCH = 32, 32, 16, 32
SECONDS = 10.0  # that the end waits for losses that are still on the device


class Letters(nn.Module):
    """Foretells the next letter from the two before."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(2 * WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, text: Tensor) -> Tensor:
        """Logits of the letter after each, shape (batch, time, vocabulary)."""
        now = self.embedding(text)
        logits: Tensor = self.head(self.mlp(torch.cat([now, now.roll(1, dims=1)], dim=-1)))
        return logits


def batch_of(step: int) -> Tensor:
    """Text in which every fourth letter or so comes by chance, shape (batch, time + 1)."""
    generator = torch.Generator().manual_seed(step)
    text = torch.randint(VOCABULARY, (BATCH, TIME + 1), generator=generator)
    chance = torch.rand(text.shape, generator=generator)
    for place in range(1, TIME + 1):
        follows = (3 * text[:, place - 1] + 7) % VOCABULARY
        text[:, place] = torch.where(chance[:, place] < 0.75, follows, text[:, place])
    return text


def main(fault: bool) -> None:
    """Train, and say what is found when it is found."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # operations this small make a second thread wait
    model = Letters().to("cuda" if torch.cuda.is_available() else "cpu")
    device = next(model.parameters()).device
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=STEPS + 1)

    run = Run(
        "plain torch",
        total_steps=STEPS,
        learning_rates=planned_rates(optimizer, [Scheduled(scheduler)], STEPS).rates,
        tokens_per_step=tokens_in(batch_of(1)[:, :-1]),
        **count_sizes(model)._asdict(),
    )
    monitor = Monitor(run)
    reader = reader_for(device)
    precursors = Precursors(model, optimizer)

    def watch(flush: bool = False) -> None:
        for observation in reader.flush(SECONDS) if flush else reader.take():
            observation = observation._replace(precursors=precursors.read(observation.step))
            for finding in monitor.observe(observation):
                print(f"step {finding.step}: {finding.severity}: {finding.message}")

    for step in range(1, STEPS + 1):
        text = batch_of(step).to(device, non_blocking=True)
        with precursors.forward(step):
            loss = F.cross_entropy(model(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        precursors.before_step()
        norm = gradient_norm(optimizer)
        rate = optimizer.param_groups[0]["lr"]
        if fault and step >= FAULT_STEP:
            optimizer.param_groups[0]["lr"] = rate * FAULT_FACTOR
        optimizer.step()
        scheduler.step()

        reader.add_loss(loss)
        if norm is not None:
            reader.set_norm(norm)
        reader.close_step(step, rate)
        watch()
        if step == STEPS // 2 and (forecast := monitor.forecast()) is not None:
            low, high = forecast.interval(0.8)
            print(f"step {step}: final loss {forecast.final_loss:.3f} (80 %: {low:.3f} to {high:.3f})")
    watch(flush=True)
    for label, text_of in monitor.verdict().rows():
        print(f"{label}: {text_of}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fault", action="store_true", help="multiply the learning rate from step 300 on")
    main(parser.parse_args().fault)
