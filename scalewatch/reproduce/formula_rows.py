"""Rows 6, 7 and 20, which need no data, and row 8: Porian's steps from Kaplan to Chinchilla."""

from __future__ import annotations

import numpy as np

from scalewatch.fitting.reconcile import PORIAN_STEPS, KaplanFrontier, porian_allocation
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.kaplan import Kaplan
from scalewatch.laws.repeated_data import RepeatedData
from scalewatch.laws.size import PF_DAY_FLOPS, non_embedding, total
from scalewatch.reproduce.data import ISOFLOP, DataFolder
from scalewatch.reproduce.row import Check

__all__ = ["kaplan_units", "pearce_exponents", "porian_steps", "repeats"]

#: A short name and (hyperparameters, warm-up, decay, what N counts) of each of `PORIAN_STEPS`.
STEPS = (
    ("a, Kaplan's setup", ("base", "long", "kaplan", "kaplan")),
    ("+ FLOPs of the last layer", ("base", "long", "kaplan", "standard")),
    ("+ warm-up in proportion to N", ("base", "short", "kaplan", "standard")),
    ("+ cosine that ends with the budget", ("base", "short", "chinchilla", "standard")),
    ("+ tuned at each size, constant rate", ("tuned", "short", "const", "standard")),
)
#: The paper prints two decimals, so a number may differ by half of the last.
REPEATS_TOLERANCE = 5e-3


def kaplan_units(data: DataFolder) -> list[Check]:
    """One value of each relation, to see that the units are right."""
    del data
    law = Kaplan()
    return [
        Check("L(N = 1.5e9)", 2.3036, float(law.loss_of_size(non_embedding(1.5e9))), 1e-3),
        Check("L(D = 22e9)", 2.0992, float(law.loss_of_tokens(22e9)), 1e-3),
        Check("L(Cmin = 1 PF-day)", 2.6581, float(law.loss_of_min_flops(PF_DAY_FLOPS)), 1e-3),
        Check("L(N = 1e9, D = 1e10)", 2.4197, float(law.loss(non_embedding(1e9), 1e10)), 1e-3),
        Check("Bcrit(3 nats), tokens", 1.069e6, float(law.critical_batch(3.0)), 1e-3, "rel"),
        Check("aCm", 0.0520, law.min_compute_exponent, 1e-3),
    ]


def pearce_exponents(data: DataFolder) -> list[Check]:
    """Kaplan's exponent out of Chinchilla's law, without embeddings."""
    del data
    return [
        Check("a, Besiroglu", 0.781, KaplanFrontier(Chinchilla.besiroglu()).published_exponents()[0], 0.01),
        Check("a, Hoffmann", 0.739, KaplanFrontier(Chinchilla.hoffmann_tex()).published_exponents()[0], 0.01),
    ]


def porian_steps(data: DataFolder) -> list[Check]:
    """The allocation exponent after each step, on RefinedWeb."""
    checks = []
    for (name, key), published in zip(STEPS, PORIAN_STEPS.values(), strict=True):
        wanted = dict(zip(("hparams", "warmup", "decay", "param_count"), key, strict=True))
        rows = data.table(ISOFLOP, dataset="rw", **wanted)
        size, flops, loss = (np.array([float(row[column]) for row in rows]) for column in ("n", "flops", "loss"))
        count = non_embedding(size) if key[-1] == "kaplan" else total(size)
        checks.append(Check(name, published, porian_allocation(count, flops, loss).exponent, 0.005))
    return checks


def repeats(data: DataFolder) -> list[Check]:
    """What four and forty epochs are worth, in unique tokens."""
    del data
    law = RepeatedData.muennighoff()
    return [
        Check(
            f"D' of {epochs} epochs, in U",
            value,
            float(law.effective_tokens(epochs * 1e9, 1e9)) / 1e9,
            REPEATS_TOLERANCE,
        )
        for epochs, value in ((4, 3.73), (40, 15.17))
    ]
