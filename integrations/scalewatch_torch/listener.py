"""What passes through attention and the loss while the model computes them: the largest logit, and log Z.

A torch function mode sees every call of a torch function between `enter` and `leave`, whoever makes it, and hands it
on as it is. Of each call it measures a bounded sample, spread evenly and without random numbers, so that those of the
training stay what they are.
"""

from __future__ import annotations

from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode, _get_current_function_mode

from scalewatch.guard import Guard

__all__ = ["Listener", "attention_logit", "log_z"]

#: Sequences and query rows of each of their heads whose logits are computed, of one call of attention: some 2 x 16 x 32
#: x 4096 x 64 multiplications, a thousandth of the call.
SEQUENCES, QUERY_ROWS = 2, 32
#: Rows of logits whose log Z is computed, of one call of cross entropy: their mean is known to 1/30 of its scatter.
LOGIT_ROWS = 1024


@final
class Listener(TorchFunctionMode):
    """Measures calls of attention and cross entropy while it is entered.

    Calls inside of compiled code, of `nn.MultiheadAttention` and of kernels that are not torch's own are not seen.

    Args:
        guard: keeps faults of the measuring out of the model.

    Attributes:
        logit: largest attention logit since `clear`, on its device; None where no call was seen.
        log_z: sum over calls of the mean log Z of their logits, None likewise.
        calls: calls that are in that sum, count.
    """

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard
        self._is_in = False
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.logit: Tensor | None = None
        self.log_z: Tensor | None = None
        self.calls = 0

    def enter(self) -> None:
        """Listen from now on; nothing if it does so already."""
        if not self._is_in:
            self.__enter__()  # type: ignore[no-untyped-call]
            self._is_in = True

    def leave(self) -> None:
        """Listen no more; nothing if it does not. Later, where somebody else's mode lies above."""
        if self._is_in and _get_current_function_mode() is self:
            self.__exit__(None, None, None)
            self._is_in = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Measure the call if it is one of the two, and hand it on."""
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            if not torch.compiler.is_compiling():
                self._guard.call("attention_logit", self._attend, *args, **kwargs)
        elif func is F.cross_entropy and not torch.compiler.is_compiling():
            self._guard.call("log_z", self._normalise, *args, **kwargs)
        return func(*args, **kwargs)

    def _attend(self, query: Tensor, key: Tensor, *rest: Any, **options: Any) -> None:
        logit = attention_logit(query, key, *rest, **options)
        if logit is not None:
            before = self.logit
            self.logit = logit if before is None else torch.maximum(before, logit.to(before.device, non_blocking=True))

    def _normalise(self, logits: Tensor, target: Tensor, *rest: Any, **options: Any) -> None:
        value = log_z(logits, target, *rest, **options)
        before = self.log_z
        self.log_z = value if before is None else before + value.to(before.device, non_blocking=True)
        self.calls += 1


def attention_logit(
    query: Tensor,
    key: Tensor,
    value: Tensor | None = None,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor | None:
    """Largest q.k/sqrt(d) (with its mask) that enters the softmax, over up to 2 sequences and 32 rows of each head.

    Exact for those rows, so a lower bound of the largest of all; the arguments are those of
    `scaled_dot_product_attention`. None for nested tensors, and for fewer than three dimensions.
    """
    if query.is_nested or query.ndim < 3:
        return None
    length, keys = query.shape[-2], key.shape[-2]
    apart, every = -(-query.shape[0] // SEQUENCES), -(-length // QUERY_ROWS)
    first = (length - 1) % every  # so that the last row, which sees the most, is among them
    with torch.no_grad(), torch.autocast(query.device.type, enabled=False):
        q = query.detach()[::apart, ..., first::every, :]
        k = key.detach()[::apart]
        q = q * (q.shape[-1] ** -0.5 if scale is None else scale)
        shape = q.shape[:-1]
        if q.shape[:-2] != k.shape[:-2]:  # several query heads share one key head
            q = q.reshape(*k.shape[:-2], -1, q.shape[-1])
        logits = (q @ k.transpose(-2, -1)).float().reshape(*shape, keys)
        if is_causal:
            rows = torch.arange(first, length, every, device=q.device)
            logits.masked_fill_(torch.arange(keys, device=q.device) > rows[:, None], -torch.inf)
        if attn_mask is not None:
            mask = attn_mask.detach().expand(*query.shape[:-1], keys)[::apart, ..., first::every, :]
            logits = logits.masked_fill_(~mask, -torch.inf) if mask.dtype is torch.bool else logits + mask
        return logits.amax()


def log_z(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    *rest: Any,
    **options: Any,
) -> Tensor:
    """Mean log-sum-exp of the logits over up to 1,024 rows whose target counts; arguments as of `cross_entropy`."""
    with torch.no_grad(), torch.autocast(logits.device.type, enabled=False):
        x, is_class = logits.detach(), not target.is_floating_point()
        if x.ndim == 1:
            x, target = x[None], target[None]
        x = x.movedim(1, -1)
        if x.ndim > 2:  # (batch, classes, time, ...): rows are taken along the time
            apart = -(-x[..., 0].numel() // LOGIT_ROWS)
            x, target = x[:, ::apart], target[:, ::apart] if is_class else target
        else:
            apart = -(-len(x) // LOGIT_ROWS)
            x, target = x[::apart], target[::apart] if is_class else target
        each = torch.logsumexp(x.float(), -1)
        if not is_class:
            return each.mean()
        counts = target != ignore_index
        return torch.where(counts, each, 0.0).sum() / counts.sum()
