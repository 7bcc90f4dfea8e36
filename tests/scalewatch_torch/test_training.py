"""Training with `Precursors` is training without it, whatever the model, the optimizer and the faults are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode, _get_current_function_mode

from scalewatch.errors import ConfigError
from scalewatch_torch import Precursors
from tests.scalewatch_torch.conftest import Tiny, loss_of, train

OPTIMIZERS: dict[str, Any] = {
    "AdamW": lambda p: torch.optim.AdamW(p, lr=1e-2),
    "foreach": lambda p: torch.optim.AdamW(p, lr=1e-2, foreach=True),
    "fused": lambda p: torch.optim.AdamW(p, lr=1e-2, fused=True),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=1e-2),
    "SGD": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=1e-3),
    "Adafactor": lambda p: torch.optim.Adafactor(p, lr=1e-3),
}
ADAMS = {"AdamW", "foreach", "fused", "NAdam"}


def weights(model: nn.Module) -> list[bytes]:
    return [p.detach().float().numpy().tobytes() for p in model.parameters()]


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_weights_are_the_same_to_the_bit(name: str, dtype: torch.dtype) -> None:
    """With dropout, tied weights and a frozen parameter; also the random state that is left."""
    results, reads = [], []
    for is_watched in (False, True):
        torch.manual_seed(7)
        model = Tiny(tied=True, dropout=0.2).to(dtype)
        model.norm.bias.requires_grad_(False)
        optimizer = OPTIMIZERS[name](model.parameters())
        precursors = Precursors(model, optimizer, every=2) if is_watched else None
        reads = train(model, optimizer, precursors, 12)
        results.append((weights(model), torch.get_rng_state().numpy().tobytes()))

    assert results[0] == results[1]
    given = [sorted({n.partition("/")[0] for n in read}) for read in reads if read]
    expected = ["attention_logit", "grad_norm", "log_z"] + (["update_rms"] if name in ADAMS else [])
    assert [expected] * 6 == given


def test_fp16_parameters_are_measured(model: Tiny) -> None:
    """Squares of fp16 gradients underflow in fp16, and not here."""
    model.half()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, eps=1e-4)

    read = train(model, optimizer, Precursors(model, optimizer, every=1), 2)[-1]

    assert read is not None
    assert all(value == value and abs(value) < 1e4 for value in read.values())
    assert 0.0 < read["update_rms"]


def test_what_is_not_there_is_said(model: Tiny) -> None:
    """SGD has no second moment, one micro-batch no noise scale, a linear model no attention."""
    plain = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    precursors = Precursors(plain, optimizer, every=1)
    with precursors.forward(1):
        loss = plain(torch.ones(2, 3)).sum()
    loss.backward()
    optimizer.step()

    assert ["grad_norm/other"] == list(precursors.read(1) or {})
    assert precursors.missing == {
        "update_rms": "the optimizer keeps no second moment of its gradients",
        "attention_logit": "no call of scaled_dot_product_attention was seen",
        "log_z": "no call of cross_entropy was seen",
        "noise_scale": "there is one micro-batch a step",
    }


def test_nothing_is_there_until_a_sampled_step(model: Tiny) -> None:
    """No hook on the optimizer, no mode, no tensor at steps in between; one hook at a sampled step, then none again."""
    optimizer = torch.optim.AdamW(model.parameters())
    precursors = Precursors(model, optimizer, every=4)
    hooks = []

    class Modes(nn.Module):
        def forward(self, x: Any) -> Any:
            hooks.append((len(optimizer._optimizer_step_post_hooks), _get_current_function_mode() is not None))
            return x

    model.dropout = Modes()  # type: ignore[assignment]

    read = train(model, optimizer, precursors, 6)

    assert [(0, False)] * 3 + [(1, True)] + [(0, False)] * 2 == hooks
    assert [4] == [step for step, values in enumerate(read, 1) if values]


def test_a_forward_pass_that_raises_leaves_nothing_behind(model: Tiny) -> None:
    """The exception arrives as it is, functions are torch's again, and the next step is measured."""
    optimizer = torch.optim.AdamW(model.parameters())
    precursors = Precursors(model, optimizer, every=1)
    model.fails = True

    with pytest.raises(ValueError, match="was to fail"):
        train(model, optimizer, precursors, 1)

    assert _get_current_function_mode() is None
    model.fails = False
    read = train(model, optimizer, precursors, 2)
    assert [True, True] == [bool(values and "log_z" in values) for values in read]


def test_it_can_be_taken_off_in_mid_step(model: Tiny) -> None:
    """After `detach`, also within a forward pass: no mode, no hook, and nothing more is measured."""
    optimizer = torch.optim.AdamW(model.parameters())
    precursors = Precursors(model, optimizer, every=1)
    precursors.begin(1)

    precursors.detach()

    assert _get_current_function_mode() is None
    assert 0 == len(optimizer._optimizer_step_post_hooks)
    assert [None, None] == train(model, optimizer, precursors, 2)


def test_a_mode_of_somebody_else_is_left_alone(model: Tiny) -> None:
    """Where another mode was entered after ours and is still there, ours waits until it is gone."""

    class Other(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return func(*args, **(kwargs or {}))

    precursors = Precursors(model, torch.optim.AdamW(model.parameters()), every=1)
    precursors.begin(1)
    with Other() as other:
        precursors.after_forward()
        assert _get_current_function_mode() is other

    precursors.after_forward()

    assert _get_current_function_mode() is None


def test_a_fault_of_ours_costs_that_measurement_only(
    model: Tiny, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning, training goes on, the others are still there."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    monkeypatch.setattr("scalewatch_torch.listener.attention_logit", lambda *_, **__: 1 / 0)
    optimizer = torch.optim.AdamW(model.parameters())
    precursors = Precursors(model, optimizer, every=1)

    read = train(model, optimizer, precursors, 3)

    assert [False] * 3 == [values is None or "attention_logit" in values for values in read]
    assert "ZeroDivisionError" in precursors.missing["attention_logit"]
    assert 1 == len(caplog.records)


def test_of_a_step_that_the_optimizer_skips_the_forward_pass_is_told(model: Tiny) -> None:
    """As with a loss scaler after an overflow; the next step is whole again."""
    optimizer = torch.optim.AdamW(model.parameters())
    precursors = Precursors(model, optimizer, every=1)
    with precursors.forward(1):
        loss_of(model, 1).backward()

    with precursors.forward(2):
        loss_of(model, 2).backward()
    optimizer.step()

    read = [precursors.read(2), precursors.read(2)]
    assert [["attention_logit", "log_z"], ["attention_logit", "grad_norm", "log_z", "update_rms"]] == [
        sorted({n.partition("/")[0] for n in values or {}}) for values in read
    ]


def test_a_compiled_model_keeps_its_graph(model: Tiny) -> None:
    """No mode is entered, which would compile it a second time; gradients and updates are measured."""
    compiled = torch.compile(model, backend="eager")
    optimizer = torch.optim.AdamW(compiled.parameters())
    precursors = Precursors(compiled, optimizer, every=1)
    precursors.begin(1)
    assert _get_current_function_mode() is None
    loss_of(model, 1).backward()
    optimizer.step()

    assert {"grad_norm", "update_rms"} == {n.partition("/")[0] for n in precursors.read(1) or {}}
    assert "its model is compiled" == precursors.missing["log_z"]


def test_sparse_gradients_are_left_out() -> None:
    """They have no norm of the ordinary kind; the others are measured."""
    model = nn.Sequential(nn.Embedding(9, 4, sparse=True), nn.Linear(4, 9))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    precursors = Precursors(model, optimizer, every=1, group_of=lambda name: name)
    with precursors.forward(1):
        loss = model(torch.tensor([1, 2])).sum()
    loss.backward()
    optimizer.step()

    assert ["grad_norm/1.weight", "grad_norm/1.bias"] == list(precursors.read(1) or {})


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "8"])
def test_every_must_be_a_number_of_steps(every: Any) -> None:
    """It says what it must be and what it was."""
    with pytest.raises(ConfigError, match="`every` must be an integer of at least 1"):
        Precursors(every=every)


@pytest.mark.parametrize(("module", "optimizer"), [(None, "x"), (nn.Linear(1, 1), None), (3, None)])
def test_it_must_be_attached_to_a_module_and_an_optimizer(module: Any, optimizer: Any) -> None:
    """Both, and of torch."""
    with pytest.raises(ConfigError, match="`module` and `optimizer` must be"):
        Precursors(module, optimizer)


def test_unattached_it_does_nothing(model: Tiny) -> None:
    """Each call of a step is allowed and returns at once."""
    optimizer = torch.optim.AdamW(model.parameters())

    assert [None] * 9 == train(model, optimizer, Precursors(every=1), 9)
