"""What `Precursors` says of a step is what a direct computation says of it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalewatch_torch import Precursors, group_of
from scalewatch_torch.listener import LOGIT_ROWS, QUERY_ROWS, attention_logit, log_z
from scalewatch_torch.optimizer import update_rms
from tests.scalewatch_torch.conftest import Tiny, batch, loss_of, train

GROUPS = {"embedding", "norm", "attention", "mlp", "head"}


def rms(parameter: Tensor, state: Any, beta2: float, step: int, eps: float = 1e-8) -> float:
    """Algorithm 2 of StableAdamW, in double precision."""
    assert parameter.grad is not None
    v = state["exp_avg_sq"].double() / (1 - beta2**step)
    return float((parameter.grad.double().square() / v.clamp(min=eps**2)).mean().sqrt())


@pytest.mark.parametrize("options", [{}, {"foreach": True}, {"fused": True}, {"amsgrad": True}, {"capturable": False}])
def test_the_update_size_is_that_of_the_paper(model: Tiny, options: dict[str, Any]) -> None:
    """Largest over the tensors of a group and over all, for each way in which torch computes AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, betas=(0.9, 0.95), **options)

    read = train(model, optimizer, Precursors(model, optimizer, every=4), 12)[-1]

    expected: dict[str, list[float]] = {}
    for name, p in model.named_parameters():
        expected.setdefault(group_of(name), []).append(rms(p, optimizer.state[p], 0.95, 12))
    assert read is not None
    assert {f"update_rms/{g}": pytest.approx(max(v), rel=1e-4) for g, v in expected.items()} == {
        name: value for name, value in read.items() if name.startswith("update_rms/")
    }
    assert pytest.approx(max(map(max, expected.values())), rel=1e-4) == read["update_rms"]


def test_a_large_tensor_is_looked_at_in_pieces(model: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same result, so that memory for one piece is enough."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    train(model, optimizer, None, 3)
    whole = update_rms(optimizer, lambda p: "all")["all"]

    monkeypatch.setattr("scalewatch_torch.optimizer.CHUNK_ELEMENTS", 40)

    assert whole.item() == pytest.approx(update_rms(optimizer, lambda p: "all")["all"].item(), rel=1e-5)


def test_a_gradient_that_the_second_moment_does_not_know_is_seen(model: Tiny) -> None:
    """Twenty times the gradient against a v of beta2 .999: far above the 1 that is usual."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.999))
    precursors = Precursors(model, optimizer, every=1)
    usual = train(model, optimizer, precursors, 40)[-1]

    with precursors.forward(41):
        loss = loss_of(model, 41)
    (20 * loss).backward()
    optimizer.step()

    unusual = precursors.read(41)
    assert usual is not None
    assert unusual is not None
    assert usual["update_rms/head"] < 2
    assert 4 * usual["update_rms/head"] < unusual["update_rms/head"]


def test_the_norm_of_each_group_is_that_before_clipping(model: Tiny) -> None:
    """Taken by `before_step`, whatever the loop does to the gradient afterwards."""
    optimizer = torch.optim.AdamW(model.parameters())
    precursors = Precursors(model, optimizer, every=1)
    with precursors.forward(1):
        loss = loss_of(model, 1)
    loss.backward()
    grads: dict[str, list[Tensor]] = {}
    for name, p in model.named_parameters():
        assert p.grad is not None
        grads.setdefault(group_of(name), []).append(p.grad.flatten().clone())

    precursors.before_step()
    nn.utils.clip_grad_norm_(model.parameters(), 1e-6)
    optimizer.step()

    read = precursors.read(1)
    assert read is not None
    assert set(grads) == GROUPS
    for group, parts in grads.items():
        assert pytest.approx(torch.cat(parts).norm().item(), rel=1e-4) == read[f"grad_norm/{group}"]


def test_the_groups_can_be_others(model: Tiny) -> None:
    """A function of the name decides."""
    optimizer = torch.optim.AdamW(model.parameters())

    read = train(model, optimizer, Precursors(model, optimizer, every=1, group_of=lambda name: name[:2]), 1)[0]

    assert read is not None
    assert {"grad_norm/em", "grad_norm/no", "grad_norm/at", "grad_norm/ml", "grad_norm/lm"} <= set(read)


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("transformer.wte.weight", "embedding"),
        ("transformer.h.3.attn.c_attn.bias", "attention"),
        ("transformer.h.3.ln_1.weight", "norm"),
        ("transformer.h.3.mlp.c_fc.weight", "mlp"),
        ("model.layers.0.self_attn.q_proj.weight", "attention"),
        ("model.layers.0.self_attn.k_norm.weight", "norm"),
        ("model.layers.0.mlp.gate_proj.weight", "mlp"),
        ("model.layers.0.input_layernorm.weight", "norm"),
        ("model.embed_tokens.weight", "embedding"),
        ("lm_head.weight", "head"),
        ("layers.0.attention.wq.weight", "attention"),
        ("layers.0.feed_forward.w2.weight", "mlp"),
        ("tok_embeddings.weight", "embedding"),
        ("output.weight", "head"),
        ("bert.encoder.layer.0.attention.output.dense.weight", "attention"),
        ("bert.encoder.layer.0.output.dense.weight", "mlp"),
        ("_orig_mod.blocks.0.query_key_value.weight", "attention"),
        ("token_embedding.weight", "embedding"),
        ("unembed.weight", "head"),
        ("scale", "other"),
    ],
)
def test_the_group_of_a_parameter_is_read_off_its_name(name: str, group: str) -> None:
    """As GPT-2, Llama, BERT and the example name theirs."""
    assert group == group_of(name)


def test_the_attention_logit_of_a_step_is_the_largest_there_was(model: Tiny) -> None:
    """Two of four sequences and all their rows are looked at, as the model itself computes them."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)

    read = train(model, optimizer, Precursors(model, optimizer, every=1), 3)

    assert [pytest.approx(x.item(), rel=1e-5) for x in model.largest] == [r["attention_logit"] for r in read if r]


@pytest.mark.parametrize("length", [1, 7, QUERY_ROWS, 3 * QUERY_ROWS + 5])
@pytest.mark.parametrize("mask", ["none", "causal", "bool", "float", "gqa"])
def test_the_attention_logit_is_exact_for_the_rows_it_looks_at(length: int, mask: str) -> None:
    """With each kind of mask, and where query heads share keys, also for the last row alone."""
    query, keys = torch.randn(5, 4, length, 8), torch.randn(5, 2 if mask == "gqa" else 4, length, 8)
    logits = query @ keys.repeat_interleave(4 // keys.shape[1], 1).transpose(-2, -1) / math.sqrt(8)
    options: dict[str, Any] = {}
    if mask == "causal":
        options["is_causal"] = True
        logits = logits.masked_fill(~torch.ones(length, length, dtype=torch.bool).tril(), -torch.inf)
    elif mask == "bool":
        options["attn_mask"] = torch.rand(5, 1, length, length) < 0.8
        logits = logits.masked_fill(~options["attn_mask"], -torch.inf)
    elif mask == "float":
        options["attn_mask"] = torch.randn(length, length)
        logits = logits + options["attn_mask"]
    elif mask == "gqa":
        options["enable_gqa"] = True
    every = -(-length // QUERY_ROWS)
    rows = list(range(length - 1, -1, -every))

    found = attention_logit(query, keys, **options)

    assert found is not None
    assert pytest.approx(logits[[0, 3]][:, :, rows].max().item(), rel=1e-5) == found.item()


def test_a_logit_grows_with_its_weights(model: Tiny) -> None:
    """Ten times the query and key weights: a hundred times the logit."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with torch.no_grad():
        model.attention_qkv.bias.zero_()
    precursors = Precursors(model, optimizer, every=1)
    before = train(model, optimizer, precursors, 1)[0]
    with torch.no_grad():
        model.attention_qkv.weight[:32] *= 10

    after = train(model, optimizer, Precursors(model, optimizer, every=1), 1)[0]

    assert before is not None
    assert after is not None
    assert pytest.approx(100 * before["attention_logit"], rel=1e-4) == after["attention_logit"]


def test_log_z_is_the_mean_log_sum_exp_of_what_enters_the_loss(model: Tiny) -> None:
    """Over the micro-batches of a step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    precursors = Precursors(model, optimizer, every=1)
    expected = []
    for number in (1, 2):
        expected.append(torch.logsumexp(model(batch(number)[0]), -1).mean().item())
        with precursors.forward(1):
            loss = loss_of(model, number)
        loss.backward()
    optimizer.step()

    read = precursors.read(1)

    assert read is not None
    assert pytest.approx(sum(expected) / 2, rel=1e-5) == read["log_z"]


def test_log_z_is_read_from_every_shape_that_cross_entropy_takes() -> None:
    """One row, rows, rows in time, probabilities as targets; ignored targets do not count; many rows are sampled."""
    x = torch.randn(6, 9, 5)  # batch, classes, time
    target = torch.randint(9, (6, 5))
    target[0, :3] = -100
    each = torch.logsumexp(x, 1)
    many = torch.randn(5 * LOGIT_ROWS, 4)

    assert pytest.approx(each[target != -100].mean().item(), rel=1e-5) == log_z(x, target).item()
    assert pytest.approx(each.mean().item(), rel=1e-5) == log_z(x, torch.rand(6, 9, 5)).item()
    assert pytest.approx(each[0, 0].item(), rel=1e-5) == log_z(x[0, :, 0], torch.tensor(3)).item()
    sampled = log_z(many, torch.zeros(len(many), dtype=torch.long)).item()
    assert pytest.approx(torch.logsumexp(many, -1).mean().item(), abs=0.1) == sampled


def test_the_noise_scale_is_that_of_mccandlish() -> None:
    """A gradient of signal 1 and known noise: B_simple = tr(Sigma)/|G|^2, over the batch of a step."""
    dimensions, micro, noise = 200, 4, 0.3
    weight = nn.Parameter(torch.zeros(dimensions))
    model = nn.ParameterDict({"w": weight})
    optimizer = torch.optim.SGD([weight], lr=0.0)
    precursors = Precursors(model, optimizer, every=1)
    direction = torch.ones(dimensions) / dimensions**0.5
    for step in range(1, 501):
        optimizer.zero_grad()
        for _ in range(micro):
            with precursors.forward(step):
                loss = (weight * (direction + noise * torch.randn(dimensions))).sum() / micro
            loss.backward()
            precursors.after_backward()
        precursors.before_step()
        optimizer.step()
        read = precursors.read(step) or {}

    expected = dimensions * noise**2 / micro  # the trace of a micro-batch over |G|^2 = 1, in batches of four
    assert pytest.approx(expected, rel=0.25) == read["noise_scale"]


def test_the_loss_need_not_be_divided_by_the_micro_batches(model: Tiny) -> None:
    """Sums and means of micro-batches have the same noise scale."""
    scales = []
    for factor in (1.0, 0.25):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        precursors = Precursors(model, optimizer, every=1)
        for step in range(1, 25):
            optimizer.zero_grad()
            for number in range(4):
                with precursors.forward(step):
                    loss = loss_of(model, 4 * step + number) * factor
                loss.backward()
                precursors.after_backward()
            precursors.before_step()
            optimizer.step()
            read = precursors.read(step) or {}
        scales.append(read["noise_scale"])

    assert pytest.approx(scales[0], rel=1e-3) == scales[1]


def test_attention_and_loss_hear_nothing_of_it(model: Tiny) -> None:
    """Inside of `forward`, functions return what they return outside, to the bit."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    precursors = Precursors(model, optimizer, every=1)
    query = torch.randn(2, 2, 50, 8)
    alone = F.scaled_dot_product_attention(query, query, query, is_causal=True)

    with precursors.forward(1):
        heard = F.scaled_dot_product_attention(query, query, query, is_causal=True)

    assert torch.equal(alone, heard)
