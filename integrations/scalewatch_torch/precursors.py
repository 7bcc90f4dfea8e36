"""`Precursors`: measures a model at one step in so many, and gives the numbers when they have reached the host.

At all other steps it does nothing: no hook is registered, no tensor made. At a sampled step it reads what training has
computed anyway, draws no random number and changes no tensor, so that training with it is training without it, bit for
bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn

from scalewatch.errors import ConfigError
from scalewatch.guard import Guard
from scalewatch_torch.groups import group_of as group_by_name
from scalewatch_torch.listener import Listener
from scalewatch_torch.optimizer import group_norms, squared_norm, update_rms
from scalewatch_torch.transfer import Event, Transfers

__all__ = ["Precursors"]

#: Steps between two that are measured [steps]. A spike follows an update that is too large within 1 to 8 steps
#: (Wortsman 2023, arXiv 2304.13013): sampling more seldom would mostly miss it.
EVERY_STEPS = 8
#: Memory of numerator and denominator of the noise scale [samples], and the least of them: each is noisy, only their
#: means have a ratio, and 100 samples know a signal to 1/5 where the noise of a batch is ten times as large.
NOISE_SAMPLES, LEAST_NOISE_SAMPLES = 100, 20
#: Names of what is sent to the host for the noise scale; the host makes a ratio of them.
_FIRST, _ALL, _COUNT = "_first", "_all", "_count"


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
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise ConfigError(f"`every` must be a number of steps, at least 1 (got {every!r}).")
        if not callable(group_of):
            raise ConfigError(f"`group_of` must be a function of a parameter's name (got {type(group_of).__name__}).")
        self._every, self._group_of_name = every, group_of
        self._new_event: Callable[[], Event] | None = None  # for tests: a device that is slow
        self._optimizer: torch.optim.Optimizer | None = None
        self._reset()
        if module is not None or optimizer is not None:
            self.attach(module, optimizer)

    def _reset(self) -> None:
        self.missing: dict[str, str] = {}
        self._guard = Guard()
        self._listener = Listener(self._guard)
        self._transfers = Transfers(self._new_event)
        self._groups: dict[int, str] = {}
        self._compiled = False
        self._hook: Any = None
        self._step: int | None = None
        self._sampled_step = 0
        self._sampling = False
        self._values: dict[str, Tensor] = {}
        self._squared: Tensor | None = None
        self._first: Tensor | None = None
        self._backwards = self._backwards_before = 0
        self._noise, self._signal, self._noise_samples = 0.0, 0.0, 0

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
        self._optimizer = optimizer
        self._groups = {id(p): str(self._group_of_name(name)) for name, p in module.named_parameters()}
        self._compiled = any(
            type(m).__name__ == "OptimizedModule" or getattr(m, "_compiled_call_impl", None) for m in module.modules()
        )

    def detach(self) -> None:
        """Measure nothing more; safe at any time, also after a forward pass that raised."""
        self._drop_sample()
        self._optimizer = None

    @property
    def dropped(self) -> int:
        """Samples that were given up before they were read, count."""
        return self._transfers.dropped

    # --- one step ---------------------------------------------------------------------------------

    def begin(self, step: int) -> None:
        """Say that a forward pass of this step begins; for each micro-batch, with the step that it is part of."""
        if step != self._step:
            self._step = step
            self._backwards, self._backwards_before = 0, self._backwards
            if self._hook is not None:
                if self._sampling:  # the optimizer did not take that step
                    self._send()
                self._drop_sample()
            if step % self._every == 0 and self._optimizer is not None:
                self._sampling, self._sampled_step = True, step
                self._hook = self._optimizer.register_step_post_hook(self._after_step)
        if self._sampling and not self._compiled:
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
        self._backwards += 1
        if self._sampling and self._backwards == 1 and self._backwards_before > 1 and not _several_processes():
            self._first = self._guard.call("noise_scale", self._square)

    def before_step(self) -> None:
        """Say that the gradient is complete and not yet clipped. Left out, norms are taken after the step."""
        if self._sampling and self._optimizer is not None:
            self._guard.call("grad_norm", self._measure_norms, self._optimizer)

    def read(self, step: int) -> dict[str, float] | None:
        """The values of the oldest sample up to `step` that has arrived, once; None if there is none. Never waits."""
        return self._guard.call("transfer", self._read, step)

    # --- a sampled step ---------------------------------------------------------------------------

    def _after_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if self._sampling and self._optimizer is not None:
            if not any(name.startswith("grad_norm") for name in self._values):
                self._guard.call("grad_norm", self._measure_norms, self._optimizer)
            self._guard.call("update_rms", self._measure_updates, self._optimizer)
            self._send()
            self._sampling = False  # its hook goes at the next step: a hook cannot be removed while hooks run

    def _square(self) -> Tensor | None:
        with torch.no_grad():
            norms = {} if self._optimizer is None else group_norms(self._optimizer, self._group_of)
            return squared_norm(norms.values()) if norms else None

    def _measure_norms(self, optimizer: torch.optim.Optimizer) -> None:
        with torch.no_grad():
            norms = group_norms(optimizer, self._group_of)
            if norms and self._first is not None:
                self._squared = squared_norm(norms.values())
            self._values.update((f"grad_norm/{group}", norm) for group, norm in norms.items())

    def _measure_updates(self, optimizer: torch.optim.Optimizer) -> None:
        with torch.no_grad():
            sizes = update_rms(optimizer, self._group_of)
            self._values.update((f"update_rms/{group}", size) for group, size in sizes.items())
            if sizes:
                device = next(iter(sizes.values())).device
                self._values["update_rms"] = torch.stack(
                    [s.to(device, non_blocking=True) for s in sizes.values()]
                ).amax()

    def _send(self) -> None:
        """Send what the step has measured."""
        heard = self._listener
        if heard.logit is not None:
            self._values["attention_logit"] = heard.logit
        if heard.log_z is not None:
            self._values["log_z"] = heard.log_z / heard.calls
        if self._first is not None and self._squared is not None and self._backwards > 1:
            count = torch.full((), float(self._backwards), device=self._first.device)
            self._values.update({_FIRST: self._first, _ALL: self._squared, _COUNT: count})
        self.missing = self._why_missing()
        self._guard.call("transfer", self._transfers.send, self._sampled_step, self._values)
        self._clear()

    def _drop_sample(self) -> None:
        self._sampling = False
        self._listener.leave()
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
        self._clear()

    def _clear(self) -> None:
        self._values = {}
        self._first = self._squared = None
        self._listener.clear()

    def _group_of(self, parameter: Tensor) -> str:
        return self._groups.get(id(parameter), "other")

    def _why_missing(self) -> dict[str, str]:
        unseen = "its model is compiled" if self._compiled else "no call of {} was seen"
        reasons = {
            "update_rms": "the optimizer keeps no second moment of its gradients",
            "attention_logit": unseen.format("scaled_dot_product_attention"),
            "log_z": unseen.format("cross_entropy"),
            "noise_scale": "there are several processes" if _several_processes() else "there is one micro-batch a step",
            "grad_norm": "there are no gradients that one process can measure",
        }
        there = {name.partition("/")[0] for name in self._values}
        if self._backwards > 1 and not _several_processes():
            there.add("noise_scale")  # from the next sample on
        return {name: self._guard.failed.get(name, why) for name, why in reasons.items() if name not in there}

    # --- on the host ------------------------------------------------------------------------------

    def _read(self, step: int) -> dict[str, float] | None:
        taken = self._transfers.take(step)
        if taken is None:
            return None
        _, values = taken
        if _COUNT in values:
            scale = self._noise_scale(values.pop(_FIRST), values.pop(_ALL), values.pop(_COUNT))
            if scale is not None:
                values["noise_scale"] = scale
        return values

    def _noise_scale(self, first: float, whole: float, count: float) -> float | None:
        """Take one sample in; B_simple over the batch of a step, None for 20 samples and where noise hides the signal.

        In micro-batches, Bs = 1 and Bb = n: |G|^2 = (n |Gb|^2 - |Gs|^2) / (n - 1), S = (|Gs|^2 - |Gb|^2) / (1 - 1/n),
        B_simple = S / |G|^2 (McCandlish 2018, A.1). Gradients are sums, so |Gb|^2 is `whole` / n^2; a factor that all
        of them have falls out.
        """
        big = whole / count**2
        signal = (count * big - first) / (count - 1.0)
        noise = (first - big) / (1.0 - 1.0 / count)
        if not -float("inf") < noise + signal < float("inf"):
            return None
        self._signal += (signal - self._signal) / NOISE_SAMPLES
        self._noise += (noise - self._noise) / NOISE_SAMPLES
        self._noise_samples += 1
        if self._noise_samples < LEAST_NOISE_SAMPLES or self._signal <= 0.0 or self._noise <= 0.0:
            return None
        return self._noise / self._signal / count


def _several_processes() -> bool:
    """Whether gradients are averaged over processes, so that a micro-batch is not one of theirs."""
    there = torch.distributed.is_available() and torch.distributed.is_initialized()
    return there and torch.distributed.get_world_size() > 1
