"""`Precursors`: measures a model at one step in so many, and gives the numbers when they have reached the host.

At all other steps it does nothing: no hook is registered, no tensor made. At a sampled step it reads what training has
computed anyway, draws no random number and changes no tensor, so that training with it is training without it, bit for
bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn

from scalewatch.errors import ConfigError
from scalewatch.given import whole_number
from scalewatch.guard import Guard
from scalewatch_torch.groups import group_of as group_by_name
from scalewatch_torch.listener import Listener
from scalewatch_torch.noise_scale import NoiseScale
from scalewatch_torch.optimizer import group_norms, squared_norm, stacked, update_rms
from scalewatch_torch.transfer import Event, Transfers

__all__ = ["Precursors"]

#: Steps between two that are measured [steps]. A spike follows an update that is too large within 1 to 8 steps
#: (Wortsman 2023, arXiv 2304.13013): sampling more seldom would mostly miss it.
EVERY_STEPS = 8
#: Numbers of one sample at most, as many as the detector follows names.
MAX_VALUES = 32
#: Names of what is sent to the host for the noise scale; the host makes a ratio of them.
_FIRST, _ALL, _COUNT = "_first", "_all", "_count"


class _Options(NamedTuple):
    """Steps between two that are measured, and the group of a parameter by its name."""

    every: int
    group_of: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class _Attached:
    """What is measured: an optimizer, the group of each of its parameters by `id`, whether the model is compiled."""

    optimizer: torch.optim.Optimizer
    groups: dict[int, str]
    is_compiled: bool

    def group_of(self, parameter: Tensor) -> str:
        return self.groups.get(id(parameter), "other")


@dataclass(slots=True)
class _MicroBatches:
    """Gradients that were added in the step under way, and in the one before."""

    step: int | None = None
    added: int = 0
    before: int = 0


@dataclass(slots=True)
class _Sample:
    """What a step has measured so far; `first` and `whole` are squared norms for the noise scale."""

    step: int
    values: dict[str, Tensor] = field(default_factory=dict)
    first: Tensor | None = None
    whole: Tensor | None = None


@final
class Precursors:
    """Measures, at one step in `every`, what often moves before the loss of a transformer does.

    `update_rms` and `update_rms/GROUP`: largest RMS of g/sqrt(v) over the tensors, v being Adam's second moment after
    the step; about 1, and more where v is out of date (Wortsman 2023, arXiv 2304.13013). `grad_norm/GROUP`: L2 norm of
    the gradient of the embedding, attention, mlp, norm, head and other parameters, as it is when `before_step` is
    called. `attention_logit`: largest logit over layers, exact for 2 sequences and 32 rows of each head of each call of
    `scaled_dot_product_attention` (Wortsman 2023, arXiv 2309.14322). `log_z`: mean log-sum-exp of what enters
    `cross_entropy`. `noise_scale`: gradient noise scale in optimizer batches, from the first micro-batch against all of
    them (McCandlish 2018, arXiv 1812.06162, appendix A.1), where gradients are accumulated; a mean over
    some 100 samples.

    A fault of its own is told once and switches off what failed, never the training.

    Args:
        module: the model, for the names of its parameters; None to `attach` it later.
        optimizer: its optimizer; both or neither.
        every: steps between two that are measured.
        group_of: the group of a parameter by its name.

    Attributes:
        missing: what is not measured, and why; known after the first sample.
        dropped: samples that were given up before they were read, count.

    Raises:
        ConfigError: if an argument is not what it may be.
    """

    def __init__(
        self,
        module: nn.Module | None = None,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        every: int = EVERY_STEPS,
        group_of: Callable[[str], str] = group_by_name,
    ) -> None:
        if not callable(group_of):
            raise ConfigError(f"`group_of` must be a function of a parameter's name (got {type(group_of).__name__}).")
        self._options = _Options(whole_number("every", every, 1), group_of)
        self._new_event: Callable[[], Event] | None = None  # for tests: a device that is slow
        self._attached: _Attached | None = None
        self._reset()
        if module is not None or optimizer is not None:
            self.attach(module, optimizer)

    def _reset(self) -> None:
        self.missing: dict[str, str] = {}
        self._guard = Guard()
        self._listener = Listener(self._guard)
        self._transfers: Transfers[tuple[int, tuple[str, ...]]] = Transfers((MAX_VALUES,), self._new_event)
        #: Samples that were given up before they were read [count].
        self.dropped = 0
        self._hook: Any = None
        self._batches = _MicroBatches()
        self._sample: _Sample | None = None
        self._noise = NoiseScale()

    def attach(self, module: Any, optimizer: Any) -> None:
        """Measure this model and optimizer from now on, and nothing of what was attached before.

        Raises:
            ConfigError: if they are not a module and an optimizer of torch.
        """
        if not isinstance(module, nn.Module) or not isinstance(optimizer, torch.optim.Optimizer):
            raise ConfigError(
                "`module` and `optimizer` must be a torch.nn.Module and a torch.optim.Optimizer"
                f" (got {type(module).__name__} and {type(optimizer).__name__})."
            )
        self.detach()
        self._reset()
        groups = {id(p): str(self._options.group_of(name)) for name, p in module.named_parameters()}
        is_compiled = any(
            type(m).__name__ == "OptimizedModule" or getattr(m, "_compiled_call_impl", None) for m in module.modules()
        )
        self._attached = _Attached(optimizer, groups, is_compiled)

    def detach(self) -> None:
        """Measure nothing more; safe at any time, also after a forward pass that raised."""
        self._drop_sample()
        self._attached = None

    # --- one step ---------------------------------------------------------------------------------

    def begin(self, step: int) -> None:
        """Say that a forward pass of this step begins; for each micro-batch, with the step that it is part of."""
        attached, batches = self._attached, self._batches
        if step != batches.step:
            self._batches = _MicroBatches(step, before=batches.added)
            if self._hook is not None:
                if self._sample is not None and attached is not None:  # the optimizer did not take that step
                    self._send(self._sample, attached)
                self._drop_sample()
            if step % self._options.every == 0 and attached is not None:
                self._sample = _Sample(step)
                self._hook = attached.optimizer.register_step_post_hook(self._stepped)
        if self._sample is not None and attached is not None and not attached.is_compiled:
            self._listener.enter()

    def after_forward(self) -> None:
        """Say that the forward pass is over."""
        self._listener.leave()

    @contextmanager
    def forward(self, step: int) -> Iterator[None]:
        """Do `begin` and `after_forward` around a block, also if it raises."""
        self.begin(step)
        try:
            yield
        finally:
            self.after_forward()

    def after_backward(self) -> None:
        """Say that the gradient of a micro-batch was added; only the noise scale needs it.

        Leave it out where the loss is scaled (fp16) and `before_step` sees gradients that no longer are.
        """
        batches, sample = self._batches, self._sample
        batches.added += 1
        if sample is not None and batches.added == 1 and batches.before > 1 and not _several_processes():
            sample.first = self._guard.call("noise_scale", self._square)

    def before_step(self) -> None:
        """Say that the gradient is complete and not yet clipped. Left out, norms are taken after the step."""
        if self._sample is not None and self._attached is not None:
            self._guard.call("grad_norm", self._measure_norms, self._sample, self._attached)

    def read(self, step: int) -> dict[str, float] | None:
        """The values of the oldest sample up to `step` that has arrived, once; None if there is none. Never waits."""
        return self._guard.call("transfer", self._read, step)

    # --- a sampled step ---------------------------------------------------------------------------

    def _stepped(self, *_: Any) -> None:
        self._guard.net("precursors", self._after_step)

    def _after_step(self) -> None:
        sample, attached = self._sample, self._attached
        if sample is not None and attached is not None:
            if not any(name.startswith("grad_norm") for name in sample.values):
                self._guard.call("grad_norm", self._measure_norms, sample, attached)
            self._guard.call("update_rms", self._measure_updates, sample, attached)
            self._send(sample, attached)
            self._sample = None  # its hook goes at the next step: a hook cannot be removed while hooks run

    def _square(self) -> Tensor | None:
        with torch.no_grad():
            attached = self._attached
            norms = {} if attached is None else group_norms(attached.optimizer, attached.group_of)
            return squared_norm(norms.values()) if norms else None

    def _measure_norms(self, sample: _Sample, attached: _Attached) -> None:
        with torch.no_grad():
            norms = group_norms(attached.optimizer, attached.group_of)
            if norms and sample.first is not None:
                sample.whole = squared_norm(norms.values())
            sample.values.update((f"grad_norm/{group}", norm) for group, norm in norms.items())

    def _measure_updates(self, sample: _Sample, attached: _Attached) -> None:
        with torch.no_grad():
            sizes = update_rms(attached.optimizer, attached.group_of)
            sample.values.update((f"update_rms/{group}", size) for group, size in sizes.items())
            if sizes:
                sample.values["update_rms"] = stacked(list(sizes.values())).amax()

    def _send(self, sample: _Sample, attached: _Attached) -> None:
        """Send what the step has measured."""
        heard, values, batches = self._listener, sample.values, self._batches.added
        if heard.logit is not None:
            values["attention_logit"] = heard.logit
        if heard.log_z is not None:
            values["log_z"] = heard.log_z / heard.calls
        if sample.first is not None and sample.whole is not None and batches > 1:
            count = torch.full((), float(batches), device=sample.first.device)
            values.update({_FIRST: sample.first, _ALL: sample.whole, _COUNT: count})
        self.missing = self._why_missing(values, attached)
        self._guard.call("transfer", self._transfer, sample)
        heard.clear()

    def _transfer(self, sample: _Sample) -> None:
        names = tuple(sample.values)[:MAX_VALUES]
        if names:
            values = stacked([sample.values[name].float() for name in names])
            self.dropped += self._transfers.send(values, (sample.step, names)) is not None

    def _drop_sample(self) -> None:
        self._sample = None
        self._listener.leave()
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
        self._listener.clear()

    def _why_missing(self, values: dict[str, Tensor], attached: _Attached) -> dict[str, str]:
        unseen = "its model is compiled" if attached.is_compiled else "no call of {} was seen"
        reasons = {
            "update_rms": "the optimizer keeps no second moment of its gradients",
            "attention_logit": unseen.format("scaled_dot_product_attention"),
            "log_z": unseen.format("cross_entropy"),
            "noise_scale": "there are several processes" if _several_processes() else "there is one micro-batch a step",
            "grad_norm": "there are no gradients that one process can measure",
        }
        there = {name.partition("/")[0] for name in values}
        if self._batches.added > 1 and not _several_processes():
            there.add("noise_scale")  # from the next sample on
        return {name: self._guard.failed.get(name, why) for name, why in reasons.items() if name not in there}

    # --- on the host ------------------------------------------------------------------------------

    def _read(self, step: int) -> dict[str, float] | None:
        taken = self._transfers.take(lambda label: label[0] <= step)
        if taken is None:
            return None
        (_, names), numbers = taken
        values: dict[str, float] = dict(zip(names, numbers, strict=True))
        if _COUNT in values:
            scale = self._noise.update(values.pop(_FIRST), values.pop(_ALL), values.pop(_COUNT))
            if scale is not None:
                values["noise_scale"] = scale
        return values


def _several_processes() -> bool:
    """Whether gradients are averaged over processes, so that a micro-batch is not one of theirs."""
    there = torch.distributed.is_available() and torch.distributed.is_initialized()
    return there and torch.distributed.get_world_size() > 1
