"""Hours on named hardware, in FLOPs: devices x peak x utilisation x time.

The peak is the published dense one of bf16 matrix products with fp32 accumulation. Data sheets print twice that
"with sparsity", which no training reaches, and a planner that takes it promises a model twice too dear.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from scalewatch.errors import ConfigError
from scalewatch.laws.size import positive

__all__ = ["ACCELERATORS", "Accelerator", "Cluster", "accelerator"]

HOUR_SECONDS = 3600.0
#: Utilisation that is assumed when none is given: Llama 3 405B reached 0.38 to 0.43 on 16,384 H100 (Llama team 2024,
#: arXiv 2407.21783, table 4), PaLM 0.46 (Chowdhery et al. 2022, arXiv 2204.02311, table 3).
USUAL_MFU = 0.4


@final
@dataclass(frozen=True, slots=True)
class Accelerator:
    """One device as its maker sells it.

    Attributes:
        name: as it is typed. peak_flops: dense bf16 [FLOP/s]. source: where the peak is published.
    """

    name: str
    peak_flops: float
    source: str


ACCELERATORS: dict[str, Accelerator] = {
    device.name: device
    for device in (
        Accelerator("a100", 312e12, "NVIDIA A100 data sheet"),
        Accelerator("h100", 989.4e12, "NVIDIA H100 architecture white paper, table 2, SXM5"),
        Accelerator("h100-pcie", 756e12, "NVIDIA H100 architecture white paper, table 2, PCIe"),
        Accelerator("h100-nvl", 835e12, "NVIDIA H100 data sheet, NVL, half of the figure with sparsity"),
        Accelerator("h200", 989e12, "NVIDIA H200 data sheet, SXM, half of the figure with sparsity"),
        Accelerator("b200", 2250e12, "NVIDIA Blackwell data sheet, HGX B200, half of the figure with sparsity"),
        Accelerator("l4", 121e12, "NVIDIA L4 data sheet, half of the figure with sparsity"),
        Accelerator("l40s", 362e12, "NVIDIA L40S data sheet"),
        Accelerator("rtx3090", 71e12, "NVIDIA GA102 white paper, fp32 accumulation"),
        Accelerator("rtx4090", 165.2e12, "NVIDIA Ada architecture white paper, fp32 accumulation"),
        Accelerator("mi250x", 383e12, "AMD Instinct MI250X data sheet, both dies"),
        Accelerator("mi300x", 1307.4e12, "AMD Instinct MI300X data sheet"),
        Accelerator("tpu-v4", 275e12, "Google Cloud documentation, TPU v4, a chip"),
        Accelerator("tpu-v5e", 197e12, "Google Cloud documentation, TPU v5e, a chip"),
        Accelerator("tpu-v5p", 459e12, "Google Cloud documentation, TPU v5p, a chip"),
        Accelerator("tpu-v6e", 918e12, "Google Cloud documentation, TPU v6e, a chip"),
    )
}


def accelerator(name: str) -> Accelerator:
    """Return the device that is typed as `name`; capitals, blanks and underscores do not matter.

    Raises:
        ConfigError: if there is none; the message lists all.
    """
    wanted = name.strip().lower().replace("_", "-").replace(" ", "-")
    found = ACCELERATORS.get(wanted) or ACCELERATORS.get(wanted.replace("-sxm", ""))
    if found is None:
        raise ConfigError(f"There is no hardware {name!r:.80}: name one of {', '.join(ACCELERATORS)}, or give FLOPs.")
    return found


@final
@dataclass(frozen=True, slots=True)
class Cluster:
    """Devices that train together.

    Attributes:
        device: of which kind. devices: how many. mfu: part of the peak that 6 N D reaches, in (0, 1].

    Raises:
        ConfigError: if a number is out of its range.

    >>> eight = Cluster(accelerator("H100"), devices=8, mfu=0.4)
    >>> f"{eight.flops(hours=100):.3g} FLOP, {eight.hours(1e21):.1f} hours"
    '1.14e+21 FLOP, 87.7 hours'
    """

    device: Accelerator
    devices: int = 1
    mfu: float = USUAL_MFU

    def __post_init__(self) -> None:
        if self.devices != int(positive("devices", self.devices, "accelerators, count", least=1.0)):
            raise ConfigError(f"`devices` must be a whole number (got {self.devices!r}).")
        if not 0 < self.mfu <= 1:
            raise ConfigError(
                f"`mfu` must be a part of the peak above 0 and at most 1, such as 0.4 (got {self.mfu!r})."
            )

    @property
    def flops_per_second(self) -> float:
        """What the cluster does of 6 N D [FLOP/s]."""
        return self.devices * self.device.peak_flops * self.mfu

    def flops(self, hours: float) -> float:
        """Return the budget of so many hours [FLOP].

        Raises:
            ConfigError: if `hours` is not positive.
        """
        return float(positive("hours", hours, "hours")) * HOUR_SECONDS * self.flops_per_second

    def hours(self, flops: float) -> float:
        """Return how long a budget [FLOP] takes [hours]; infinite for an infinite one."""
        return flops / (HOUR_SECONDS * self.flops_per_second)

    def __str__(self) -> str:
        """Return the cluster as it reads in a table."""
        return f"{self.devices:,} x {self.device.name} at {100 * self.mfu:.3g} % of peak"
