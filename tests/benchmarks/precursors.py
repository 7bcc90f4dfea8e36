"""Which precursors spoke before the loss did, on a run that is broken on purpose in three ways, and what they cost.

A tiny byte-level GPT is trained four times: as it should be; with a learning rate that jumps after the warm-up; with a
gradient that is suddenly larger than Adam's second moment (beta2 .999) knows; and with query and key weights that grow
a little at each step. The same training is shown to the detectors with precursors of every step, and of every eighth.

    python tests/benchmarks/precursors.py [--steps 1000] [--seed 0]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import timeit
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, thread_time

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from scalewatch.detect import DetectorSet
from scalewatch.finding import Finding, Kind, Phase
from scalewatch.guard import Guard
from scalewatch.observation import Observation
from scalewatch.run import Run
from scalewatch_torch import Precursors

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))
from _tiny_gpt_data import RandomWindows, read_text
from _tiny_gpt_model import GPTConfig, TinyGPT

WIDTH, BATCH_SIZE, RATE, WARM_UP_STEPS = 48, 16, 3e-3, 100
#: What is broken: how many times the learning rate, how many times the gradient, and growth of q and k a step.
RATE_FACTOR, GRADIENT_FACTOR, GROWTH = 15.0, 20.0, 1.01
#: Families of precursors, a column each.
FAMILIES = ("update_rms", "attention_logit", "log_z", "grad_norm")
#: Rounds of the timing, and steps of each.
COST_ROUNDS, COST_STEPS = 5, 40
#: What the detectors may say of the loss.
LOSS_KINDS = (Kind.SPIKE, Kind.DIVERGENCE, Kind.NONFINITE, Kind.LEVEL_SHIFT, Kind.NOISE, Kind.BAD_BATCH, Kind.PLATEAU)


@dataclass
class Fault:
    """A way to break a run, from one step on."""

    name: str
    beta2: float = 0.95
    rate: float = 1.0
    gradient: float = 1.0
    growth: float = 1.0
    from_part: float = 0.6
    breaks: bool = True


FAULTS = (
    Fault("healthy", breaks=False),
    Fault(f"learning rate x{RATE_FACTOR:g}", rate=RATE_FACTOR),
    Fault(f"beta2 .999, gradient x{GRADIENT_FACTOR:g}", beta2=0.999, gradient=GRADIENT_FACTOR),
    Fault(f"q, k weights x{GROWTH:g} a step", growth=GROWTH, from_part=0.3),
)


@dataclass
class Told:
    """What the detectors said of one training, by how often they saw precursors."""

    fault_step: int
    rows: list[Observation] = field(default_factory=list)

    def findings(self, every: int) -> list[Finding]:
        """What is found where every so many steps have precursors."""
        watch = DetectorSet(Run("broken"), Guard())
        found = []
        for row in self.rows:
            found += watch.observe(row if row.step % every == 0 else row._replace(precursors=None))
        return found


def train(fault: Fault, text: Tensor, steps: int, seed: int) -> Told:
    """Train once, with precursors of every step."""
    torch.manual_seed(seed)
    config = GPTConfig(width=WIDTH, steps=steps)
    model = TinyGPT(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, fault.beta2))
    precursors = Precursors(model, optimizer, every=1)
    told = Told(round(fault.from_part * steps) + 1)
    for step, (tokens, targets) in enumerate(RandomWindows(text, BATCH_SIZE, config.context, steps, seed), start=1):
        broken = fault.breaks and step >= told.fault_step
        rate = RATE * min(1.0, step / WARM_UP_STEPS) * (fault.rate if broken else 1.0)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        with precursors.forward(step):
            loss = torch.nn.functional.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())
        (loss * (fault.gradient if broken else 1.0)).backward()
        precursors.before_step()
        norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
        optimizer.step()
        if broken and fault.growth != 1.0:
            with torch.no_grad():
                for block in model.blocks:
                    block.query_key_value.weight[: 2 * WIDTH] *= fault.growth
        told.rows.append(Observation(step, loss.item(), rate, norm.item(), precursors=precursors.read(step)))
    return told


def first(found: list[Finding], from_step: int, wanted: Callable[[Finding], bool]) -> Finding | None:
    """The first finding from a step on that is wanted."""
    return next((f for f in found if f.step >= from_step and f.phase is not Phase.CLOSED and wanted(f)), None)


def spoken(found: list[Finding], from_step: int) -> dict[str, int]:
    """The step at which each family of precursors first spoke from a step on."""
    steps: dict[str, int] = {}
    before: set[str] = set()
    for finding in (f for f in found if f.kind is Kind.PRECURSOR):
        names = set() if finding.phase is Phase.CLOSED else set(str(finding.evidence["names"]).split(", "))
        if finding.step >= from_step:
            for name in {*(names - before), *([str(finding.evidence["precursor"])] if names else [])}:
                steps.setdefault(name.partition("/")[0], finding.step)
        before = names
    return steps


def row_of(fault: Fault, told: Told, every: int) -> list[str]:
    """One row of the table of leads."""
    start = told.fault_step if fault.breaks else 1
    found = told.findings(every)
    incident = first(found, start, lambda f: f.kind in LOSS_KINDS)
    page = first(found, start, lambda f: f.kind in LOSS_KINDS and f.pages)
    norm = first(found, start, lambda f: f.kind is Kind.GRAD_NORM)
    steps = spoken(found, start)

    def lead(step: int | None) -> str:
        if step is None:
            return "-"
        return str(step) if incident is None else f"{step} ({incident.step - step:+d})"

    return [
        fault.name,
        str(told.fault_step) if fault.breaks else "-",
        "-" if incident is None else f"{incident.step} {incident.kind}",
        "-" if page is None else f"{page.step} {page.kind}",
        lead(None if norm is None else norm.step),
        str(every),
        *(lead(steps.get(name)) for name in FAMILIES),
        f"{statistics.mean(row.loss for row in told.rows[-50:]):.3f}",
    ]


def calm_notes(fault: Fault, told: Told, every: int) -> int:
    """Incidents of precursors while nothing was broken yet."""
    last = told.fault_step if fault.breaks else len(told.rows) + 1
    opened = [f for f in told.findings(every) if f.kind is Kind.PRECURSOR and f.phase is Phase.OPENED]
    return sum(f.step < last for f in opened)


def cost(console: Console, text: Tensor) -> None:
    """Time steps without, with and with a sample at each, in turn, so that other work on the machine hits all."""
    config = GPTConfig(width=WIDTH)
    kinds = {"none": 0, "attached, not sampled": 10**9, "each step sampled": 1}
    best: dict[str, float] = {}
    for _ in range(COST_ROUNDS):
        for name, every in kinds.items():
            torch.manual_seed(0)
            model = TinyGPT(config)
            optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
            precursors = Precursors(model, optimizer, every=every) if every else None
            times = []
            batches = list(RandomWindows(text, BATCH_SIZE, config.context, COST_STEPS, 0))
            for step, (tokens, targets) in enumerate(batches, start=1):
                began = thread_time()
                optimizer.zero_grad()
                with nullcontext() if precursors is None else precursors.forward(step):
                    loss = torch.nn.functional.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())
                loss.backward()
                if precursors is not None:
                    precursors.before_step()
                optimizer.step()
                if precursors is not None:
                    precursors.read(step)
                times.append(1e3 * (thread_time() - began))
            best[name] = min(best.get(name, 1e9), statistics.median(times))
    table = Table(title=f"CPU time of a step, best median of {COST_ROUNDS} times {COST_STEPS} steps")
    for column in ("precursors", "ms a step", "more"):
        table.add_column(column, justify="left" if column == "precursors" else "right")
    for name, time in best.items():
        table.add_row(name, f"{time:.2f}", f"{1e3 * (time - best['none']):+.0f} us ({time / best['none'] - 1:+.1%})")
    console.print(table)
    precursors = Precursors(model, optimizer, every=10**9)

    def unsampled(step: int) -> None:
        with precursors.forward(step):
            pass
        precursors.after_backward()
        precursors.before_step()
        precursors.read(step)

    seconds = min(timeit.repeat(lambda: unsampled(1), number=10_000, repeat=5)) / 10_000
    console.print(f"All calls of a step that is not sampled: {1e6 * seconds:.1f} us")


def main() -> None:
    """Train, and print the tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--steps", type=int, default=1000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--all", action="store_true", help="print every finding of every run")
    asked = options.parse_args()
    torch.set_num_threads(1)
    text = read_text()[0]
    began = perf_counter()
    table = Table(title=f"A tiny GPT of {asked.steps:,} steps, broken on purpose (in brackets: steps before the loss)")
    for column in ("run", "broken at", "loss: first word", "loss: page", "gradient norm", "every"):
        table.add_column(column)
    for column in (*FAMILIES, "loss at the end"):
        table.add_column(column)
    notes = []
    for fault in FAULTS:
        told = train(fault, text, asked.steps, asked.seed)
        for every in (1, 8):
            table.add_row(*row_of(fault, told, every))
            notes.append(f"{fault.name}, every {every}: {calm_notes(fault, told, every)}")
            for f in told.findings(every) if asked.all else ():
                print(f"{fault.name}, {every}: {f.step:5} {f.phase:9} {f.severity:8} {f.kind:12} {f.message}")
    console = Console(width=170)
    console.print(table)
    console.print("Incidents of precursors where nothing was broken, or not yet:\n  " + "\n  ".join(notes))
    cost(console, text)
    console.print(f"{perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
