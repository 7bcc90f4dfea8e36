"""Consoles in the line formats of real programs, with made-up numbers: the same curve in each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

__all__ = ["CONSOLES", "LOSSES", "Console"]

ROWS = 60
LOSSES = [round(3.0 + 2.0 * 0.93**i + 0.01 * (i * 7 % 5 - 2), 4) for i in range(ROWS)]


class Console(NamedTuple):
    """What a program prints, and what must be read of it.

    Attributes:
        text: the lines. steps: first and last step of the rows. total: planned end. rate: whether there is one.
        validations: rows with a validation loss.
    """

    text: str
    steps: tuple[int, int]
    total: int | None
    rate: bool
    validations: int


def _lines(make: Callable[[int, float], str], every: int = 10, start: int = 0) -> list[str]:
    return [make(start + i * every, loss) for i, loss in enumerate(LOSSES)]


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _with(lines: list[str], at: int, make: Callable[[int], str]) -> list[str]:
    """The lines with another after each `at` of them."""
    return [line for i, each in enumerate(lines) for line in ([each, make(i)] if i % at == at - 1 else [each])]


def nanogpt() -> Console:
    lines = _lines(lambda i, x: f"iter {i}: loss {x:.4f}, time 306.15ms, mfu 40.10%")
    lines = _with(lines, 20, lambda i: f"step {i * 10}: train loss {LOSSES[i]:.4f}, val loss {LOSSES[i] + 0.05:.4f}")
    return Console(_text(["tokens per iteration will be: 491,520", *lines]), (0, 590), None, False, 3)


def llm_c() -> Console:
    lines = _lines(
        lambda i, x: (
            f"step {i:>4}/18865 | loss {x:.6f} ({'+nanz' if i < 5 else '+0.31z'})| norm 1.3235 (+0.12z)| "
            f"lr {2.86e-06 * i:.2e} | 2391.52 ms | -100.0% bf16 MFU | 191824 tok/s"
        ),
        every=1,
        start=1,
    )
    lines = _with(lines, 20, lambda i: f"val loss {LOSSES[i] + 0.05:.6f}")
    head = ["device memory usage: 21315 MiB / 81100 MiB", " -> estimated maximum batch size: 236", "val loss 11.006021"]
    return Console(_text([*head, *lines]), (1, 60), 18865, True, 4)


def nanochat() -> Console:
    lines = _lines(
        lambda i, x: (
            f"step {i:05d}/21400 ({i / 214:.2f}%) | loss: {x:.6f} | lrm: 1.00 | dt: 500.12ms | tok/sec: 1,048,576 | "
            f"mfu: 50.11 | total time: {i / 120:.2f}m"
        )
    )
    lines = _with(lines, 20, lambda i: f"Step {i * 10:05d} | Validation bpb: {LOSSES[i] / 3:.4f}")
    return Console(_text(["Vocab size: 65,536", "num_layers: 20", *lines]), (0, 590), 21400, False, 3)


def torchtitan() -> Console:
    lines = _lines(
        lambda i, x: (
            f"[rank0]:\x1b[31m[titan] 2025-03-01 10:00:{i % 60:02d},123 - root - INFO - step: \x1b[36m{i:>2}  "
            f"\x1b[32mloss: {x:7.4f}  \x1b[38;2;180;60;0mgrad_norm:  1.2034  \x1b[33mmemory: 33.21GiB(41.98%)  "
            f"\x1b[34mtps: 5,123  tflops: 200.12  mfu: 40.21%\x1b[39m"
        ),
        start=10,
    )
    return Console(_text(lines), (10, 600), None, False, 0)


def megatron() -> Console:
    lines = _lines(
        lambda i, x: (
            f" [2025-03-31 05:00:{i % 60:02d}] iteration {i:>8}/  242204 | consumed samples: {i * 1008:>12} | elapsed "
            f"time per iteration (ms): 1211.9 | learning rate: {3.2e-5:.6E} | global batch size:  1008 | "
            f"lm loss: {x:.6E} | loss scale: 1.0 | grad norm: 1.143 | number of skipped iterations:   0 | "
            "number of nan iterations:   0 |"
        ),
        start=10,
    )
    bar = "-" * 100
    lines = _with(
        lines,
        20,
        lambda i: (
            f"{bar}\n validation loss at iteration {i * 10 + 10} | lm loss value: {LOSSES[i]:.6E} | lm loss PPL: "
            f"1.2E+01 | \n{bar}"
        ),
    )
    return Console(_text(lines), (10, 600), 242204, True, 3)


def nemo() -> Console:
    lines = _lines(
        lambda i, x: (
            f"Training epoch 0, iteration {i}/9999 | lr: {1.5e-6 * (i + 1):.3e} | global_batch_size: 512 | "
            f"global_step: {i} | reduced_train_loss: {x:.2f} | train_step_timing in s: 3.054 | "
            f"consumed_samples: {512 * (i + 1)}"
        )
    )
    return Console(_text(["[NeMo I 2025-06-17 08:36:41 nlp_overrides:480] Resuming", *lines]), (0, 590), None, True, 0)


def nemo_bar() -> Console:
    lines = _lines(
        lambda i, x: (
            f"Epoch 0: :   0%|          | {i + 1}/301501 [59:12<1573:03:24, 18.79s/it, v_num=3-16, "
            f"reduced_train_loss={x:.3f}, global_step={float(i)}, consumed_samples={i * 128.0}]"
        )
    )
    return Console("\r".join(lines) + "\n", (0, 590), None, False, 0)


def olmo() -> Console:
    lines = []
    for i, x in enumerate(LOSSES, 1):
        lines += [
            f"[2024-04-17 09:42:{i % 60:02d}] INFO     [olmo.train:816, rank=0] [step={i}/739328]",
            f"    train/CrossEntropyLoss={x:.3f}",
            "    train/Perplexity=76,631",
            f"    optim/learning_rate_group0={1e-5 * i:.2e}",
            f"    throughput/total_tokens={4194304 * i:,}",
            "    System/Peak GPU Memory (MB)=42,133",
        ]
    return Console(_text(lines), (1, 60), 739328, True, 0)


def levanter() -> Console:
    lines = _lines(
        lambda i, x: (
            f"Progress on:train {i}it/10000it rate:2.1it/s remaining:1:12:13 elapsed:00:{i % 60:02d} postfix:loss={x}"
        )
    )
    return Console(_text(lines), (0, 590), 10000, False, 0)


def transformers() -> Console:
    lines = []
    for i, x in enumerate(LOSSES, 1):
        bar = f" {i // 2:>2}%|█         | {i * 10}/1200 [00:{i % 60:02d}<08:00,  2.01it/s]"
        row = {"loss": x, "grad_norm": 0.54, "learning_rate": 5e-5 * (1 - i / 120), "epoch": round(i / 40, 2)}
        lines += [bar, str(row)]
        if i % 20 == 0:
            lines += ["  0%|          | 0/24 [00:00<?, ?it/s]", " 50%|█████     | 12/24 [00:01<00:01,  9.01it/s]"]
            lines += [
                str({"eval_loss": x + 0.05, "eval_runtime": 3.2, "eval_samples_per_second": 60.1, "epoch": i / 40})
            ]
    head = ["Loading checkpoint shards: 100%|██████████| 2/2 [00:05<00:00,  2.6s/it]"]
    tail = [str({"train_runtime": 700.2, "train_samples_per_second": 11.2, "train_loss": 3.4, "epoch": 3.0})]
    return Console(_text([*head, *lines, *tail]), (10, 600), 1200, True, 3)


def swift() -> Console:
    lines = []
    for i, x in enumerate(LOSSES, 1):
        row = {
            "loss": f"{x}",
            "grad_norm": "0.8901",
            "learning_rate": "3.333e-05",
            "token_acc": "0.921",
            "epoch": f"{i / 20:.4f}",
            "global_step/max_steps": f"{i * 5}/438",
            "elapsed_time": "1h 7m 30s",
            "remaining_time": "41m 48s",
            "memory(GiB)": "14.3",
            "train_speed(s/it)": "42.51",
        }
        lines.append(f"Train:   2%|▏         | {i * 5}/438 [00:42<41:47, 42.51s/it]{row}")
    return Console(_text(lines), (5, 300), 438, True, 0)


def llamafactory() -> Console:
    lines = _lines(
        lambda i, x: (
            f"[INFO|2025-06-01 10:00:{i % 60:02d}] llamafactory.train.callbacks:157 >> "
            f"{{'loss': {x:.4f}, 'learning_rate': {4.9e-5:.4e}, 'epoch': {i / 400:.2f}, 'throughput': 1234.56}}"
        )
    )
    return Console(_text(lines), (1, 60), None, True, 0)


def mmengine() -> Console:
    lines = []
    for i, x in enumerate(LOSSES):
        epoch, at = i // 20 + 1, (i % 20 + 1) * 50
        lines.append(
            f"06/01 12:00:{i % 60:02d} - mmengine - INFO - Epoch(train)  [{epoch}][{at:>4}/1000]  base_lr: 1.0e-03 "
            f"lr: 1.0000e-03  eta: 7 days, 15:55:58  time: 0.7050  data_time: 0.0020  memory: 7239  "
            f"grad_norm: 3.9772  loss: {x:.4f}  loss_cls: {x / 2:.4f}  loss_bbox: {x / 2:.4f}"
        )
        if i % 20 == 19:
            lines.append(
                f"06/01 12:10:00 - mmengine - INFO - Epoch(val) [{epoch}][28/28]  accuracy/top1: 70.72  "
                "data_time: 0.0004  time: 0.0601"
            )
    return Console(_text(lines), (50, 3000), None, True, 0)


def detectron2() -> Console:
    lines = _lines(
        lambda i, x: (
            f"[07/09 10:00:{i % 60:02d} d2.utils.events]:  eta: 0:12:34  iter: {i}  total_loss: {x:.3f}  "
            f"loss_cls: {x / 2:.3f}  loss_box_reg: {x / 4:.3f}  time: 0.3123  last_time: 0.3012  data_time: 0.0101  "
            "lr: 0.00025  max_mem: 2000M"
        ),
        every=20,
        start=19,
    )
    return Console(_text(lines), (19, 1199), None, True, 0)


def fairseq() -> Console:
    lines = []
    for i, x in enumerate(LOSSES):
        lines.append(
            f"2020-01-01 12:00:{i % 60:02d} | INFO | train_inner | epoch 001: {i * 100 + 100:>6} / 20000 loss={x}, "
            f"nll_loss={x - 0.3:.3f}, ppl=15000.1, wps=1200, ups=1.2, wpb=1000, bsz=32, num_updates={i * 100 + 100}, "
            "lr=1e-05, gnorm=4.2, loss_scale=64, train_wall=30, gb_free=10.1, wall=40"
        )
        if i % 20 == 19:
            lines += [
                f"2020-01-01 12:10:00 | INFO | valid | epoch 001 | valid on 'valid' subset | loss {x + 0.1:.3f} | "
                f"nll_loss {x - 0.2:.3f} | ppl 3300 | wps 3000 | num_updates {i * 100 + 100}",
                f"2020-01-01 12:10:00 | INFO | train | epoch 001 | loss 3.9 | nll_loss 3.6 | ppl 3300 | "
                f"num_updates {i * 100 + 100} | lr 1e-05",
            ]
    return Console(_text(lines), (100, 6000), None, True, 3)


def nnunet() -> Console:
    lines = []
    for i, x in enumerate(LOSSES):
        stamp = f"2023-06-01 12:00:{i % 60:02d}.123456:"
        lines += [
            *(f"{stamp} ", f"{stamp} Epoch {i}", f"{stamp} Current learning rate: {0.01 - 1e-4 * i:.5f}"),
            *(f"{stamp} train_loss {x:.4f}", f"{stamp} val_loss {x + 0.05:.4f}"),
            *(f"{stamp} Pseudo dice [0.5012, 0.4123]", f"{stamp} Epoch time: 60.21 s"),
        ]
    return Console(_text(lines), (0, 59), None, True, 60)


def keras() -> Console:
    lines = []
    for i, x in enumerate(LOSSES):
        bars = [f"{k * 200}/625 [=====>......] - ETA: 5s - loss: {x + 0.3 - 0.1 * k:.4f}" for k in (1, 2, 3)]
        last = (
            f"625/625 [==============================] - 12s 19ms/step - loss: {x:.4f} - accuracy: 0.7712 - "
            f"val_loss: {x + 0.1:.4f} - val_accuracy: 0.7512 - lr: 0.0010"
        )
        lines += [f"Epoch {i + 1}/80", "\x08\x08\x08\r".join([*bars, last])]
    return Console(_text(lines), (200, 37500), 50000, True, 60)


def keras3() -> Console:
    lines = []
    for i, x in enumerate(LOSSES):
        lines += [
            f"\x1b[1mEpoch {i + 1}/80\x1b[0m",
            f"\x1b[1m625/625\x1b[0m \x1b[32m━━━━━━━━━━━━━━━━━━━━\x1b[0m\x1b[37m\x1b[0m \x1b[1m12s\x1b[0m 19ms/step - "
            f"accuracy: 0.7712 - loss: {x:.4f} - val_accuracy: 0.7512 - val_loss: {x + 0.1:.4f}",
        ]
    return Console(_text(lines), (625, 37500), 50000, False, 60)


def fastai() -> Console:
    lines = [f"{i:<10}{x:<12.6f}{x + 0.1:<12.6f}0.896825    04:39     " for i, x in enumerate(LOSSES)]
    return Console(_text(["epoch     train_loss  valid_loss  accuracy  time    ", *lines]), (0, 59), None, False, 60)


def yolo() -> Console:
    lines = []
    for i, x in enumerate(LOSSES, 1):
        lines += [
            "      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size",
            f"     {i:>3}/100      2.01G     {x:.4f}      1.171      1.157         12        640: 100%|██████████| "
            "123/123 [00:20<00:00,  6.01it/s]",
            "                 Class     Images  Instances      Box(P          R      mAP50  mAP50-95): 100%|███| 4/4",
            "                   all        128        929      0.657      0.751      0.778        0.5",
            "",
        ]
    return Console(_text(lines), (123, 7380), 12300, False, 0)


def lightning() -> Console:
    lines = []
    for i, x in enumerate(LOSSES):
        epoch, at = divmod(i, 20)
        lines.append(
            f"Epoch {epoch}: {at * 5:>3}%|████▌     | {at * 13 + 21}/268 [00:12<00:15,  9.87it/s, v_num=0, "
            f"train_loss_step={x:.3f}, train_loss_epoch=3.900]"
        )
        if at == 19:
            lines.append(
                f"Validation DataLoader 0: 100%|██████████| 12/12 [00:01<00:00, 11.2it/s]\rEpoch {epoch}: 100%|███| "
                f"268/268 [00:13<00:00,  9.87it/s, v_num=0, train_loss_step={x:.3f}, val_loss={x + 0.1:.3f}, "
                "train_loss_epoch=3.900]"
            )
    return Console("\r".join(lines) + "\n", (21, 804), None, False, 3)


def stable_baselines() -> Console:
    lines = []
    for i, x in enumerate(LOSSES, 1):
        lines += [
            *("-" * 41, "| rollout/                |             |", "|    ep_len_mean          | 600         |"),
            *("| time/                   |             |", f"|    iterations           | {i:<11} |"),
            *(f"|    total_timesteps      | {i * 2048:<11} |", "| train/                  |             |"),
            *("|    entropy_loss         | -2.83       |", f"|    loss                 | {x:<11} |"),
            *("|    learning_rate        | 0.0003      |", f"|    n_updates            | {i * 10:<11} |", "-" * 41),
        ]
    return Console(_text(lines), (1, 60), None, True, 0)


def pytorch_example() -> Console:
    lines = []
    for i, x in enumerate(LOSSES):
        epoch, at = i // 20 + 1, i % 20 * 640
        lines.append(f"Train Epoch: {epoch} [{at}/60000 ({at // 600}%)]\tLoss: {x:.6f}")
        if i % 20 == 19:
            lines += ["", f"Test set: Average loss: {x + 0.1:.4f}, Accuracy: 9832/10000 (98%)", ""]
    return Console(_text(lines), (0, 132160), None, False, 3)


def imagenet() -> Console:
    lines = []
    for i, x in enumerate(LOSSES):
        epoch, at = i // 20, i % 20 * 10
        lines.append(
            f"Epoch: [{epoch}][{at:>4}/201]\tTime  0.512 ( 1.201)\tData  0.101 ( 0.501)\tLoss {x:.4e} ({x + 0.1:.4e})\t"
            "Acc@1   0.00 (  0.10)\tAcc@5   1.00 (  0.51)"
        )
        if i % 20 == 19:
            lines.append(
                f"Test: [ 0/48]\tTime  0.512 ( 1.201)\tLoss {x + 0.2:.4e} ({x + 0.2:.4e})\tAcc@1   9.00 (  9.10)"
            )
    return Console(_text(lines), (0, 592), None, False, 3)


def tutorial() -> Console:
    lines = []
    for i, x in enumerate(LOSSES):
        lines.append(f"Epoch [{i // 20 + 1}/10], Step [{(i % 20 + 1) * 100}/2000], Loss: {x:.4f}, LR: 1.2e-4")
    return Console(_text(lines), (100, 6000), 20000, True, 0)


def catboost() -> Console:
    lines = [
        f"{i}:\tlearn: {x:.7f}\ttest: {x + 0.1:.7f}\tbest: 3.1 (0)\ttotal: 50.1ms\tremaining: 50s"
        for i, x in enumerate(LOSSES)
    ]
    return Console(_text(["Learning rate set to 0.03", *lines]), (0, 59), None, False, 60)


def xgboost() -> Console:
    lines = [f"[{i}]\ttrain-logloss:{x:.5f}\tvalid-logloss:{x + 0.1:.5f}" for i, x in enumerate(LOSSES)]
    return Console(_text(lines), (0, 59), None, False, 60)


def composer() -> Console:
    lines = [
        f"[epoch=1][batch={i * 10 + 1}/4800]:\n\t Train time/batch: {i * 10}\n\t Train loss/train/total: {x:.4f}\n"
        "\t Train metrics/train/LanguagePerplexity: 20.12\n\t Train lr-DecoupledAdamW/group0: 0.0001"
        for i, x in enumerate(LOSSES)
    ]
    return Console(_text(lines), (1, 591), 4800, False, 0)


def swin() -> Console:
    lines = [
        f"[2021-06-01 12:00:00 swin_tiny] (main.py 180): INFO Train: [{i // 20}/300][{i % 20 * 10}/200]\teta 0:10:00 "
        f"lr 0.000001\t time 0.5123 (0.6012)\tloss {x:.4f} ({x + 0.1:.4f})\tgrad_norm 1.2034 (1.3012)\tmem 10234MB"
        for i, x in enumerate(LOSSES)
    ]
    return Console(_text(lines), (0, 590), 60000, True, 0)


def marian() -> Console:
    lines = [
        f"[2020-01-01 12:00:00] Ep. 1 : Up. {i * 500 + 500} : Sen. {i * 32000:,} : Cost {x:.8f} : Time 20.30s : "
        "2000.12 words/s : gNorm 1.2034"
        for i, x in enumerate(LOSSES)
    ]
    return Console(_text(lines), (500, 30000), None, False, 0)


def batches_with_a_pipe() -> Console:
    lines = []
    for i, x in enumerate(LOSSES):
        lines.append(f"Epoch: {i // 20 + 1}/10 | Batch: {i % 20 * 25}/500 | Train Loss: {x:.4f}")
        if i % 20 == 19:
            lines.append(f"Epoch: {i // 20 + 1}/10 | Validation Loss: {x + 0.1:.4f}")
    return Console(_text(lines), (0, 1475), 5000, False, 3)


def summary_of_an_epoch() -> Console:
    lines = [
        f"\nEpoch {i + 1} Summary:\nTrain -> Loss:  {x:.4f} | ROUGE-L:  0.20\nVal   -> Loss:  {x + 0.1:.4f}\n"
        for i, x in enumerate(LOSSES)
    ]
    return Console(_text(lines), (1, 60), None, False, 60)


def jax_and_a_wandb_summary() -> Console:
    lines = _lines(
        lambda i, x: f"I0601 12:00:00.123456 140123456789 train.py:123] step={i}, loss={x:.4f}, accuracy=0.5"
    )
    return Console(_text([*lines, "wandb: Run summary:", "wandb:   loss 9.99"]), (0, 590), None, False, 0)


def caffe() -> Console:
    glog = "I0516 10:00:00.345678  1234"
    lines = _lines(
        lambda i, x: (
            f"{glog} solver.cpp:228] Iteration {i} (11.2 iter/s, 1.78s/10 iters), loss = {x:.5f}\n"
            f"{glog} solver.cpp:244]     Train net output #0: loss = {x:.5f} (* 1 = {x:.5f} loss)\n"
            f"{glog} sgd_solver.cpp:106] Iteration {i}, lr = 0.01"
        )
    )
    return Console(_text(lines), (0, 590), None, True, 0)


def steps_in_brackets() -> Console:
    glog = "I0101 00:00:00.000000 140123456 logging_writer.py:48]"
    lines = _lines(lambda i, x: f"{glog} [{i}] learning_rate=0.001, loss={x:.4f}\n{glog} [{i}] steps_per_sec=12.1")
    return Console(_text(lines), (0, 590), None, True, 0)


def icefall() -> Console:
    lines = [
        f"2022-05-01 10:00:00,123 INFO [train.py:812] (0/8) "
        f"Epoch {1 + i // 20}, batch {50 * (i % 20)}, loss[loss={x:.4f}, "
        f"simple_loss={x / 2:.4f}, over 30.00 frames. ], "
        f"tot_loss[loss={x + 0.2:.4f}, over 61.00 frames. ], lr: 3.00e-03"
        for i, x in enumerate(LOSSES)
    ]
    return Console(_text(lines), (0, 2950), None, True, 0)


def two_counters() -> Console:
    lines = [f"Epoch 1 | iter {i + 1} step {i // 4} | loss train: {x:.4f}, val: n/a" for i, x in enumerate(LOSSES)]
    return Console(_text(lines), (1, 60), None, False, 0)


def chinese() -> Console:
    lines = [f"第{i + 1}轮, 训练损失: {x:.4f}, 验证损失: {x + 0.1:.4f}" for i, x in enumerate(LOSSES)]
    return Console(_text(lines), (1, 60), None, False, 60)


def german_commas() -> Console:
    lines = _lines(lambda i, x: f"Schritt {i}: Verlust {f'{x:.4f}'.replace('.', ',')}")
    return Console(_text(lines), (0, 590), None, False, 0)


def name_behind_its_value() -> Console:
    lines = [f"\n {i + 1}: 9.876, {x:.4f} avg loss, 3.21 seconds, {64 * i} images" for i, x in enumerate(LOSSES)]
    return Console(_text(lines), (1, 60), None, False, 0)


def heading_of_two_lines() -> Console:
    heading = [
        "|  Epoch  |  Iteration  |  Time Elapsed  |  Mini-batch  |  Mini-batch  |  Base Learning  |",
        "|         |             |   (hh:mm:ss)   |   Accuracy   |     Loss     |      Rate       |",
    ]
    lines = _lines(lambda i, x: f"| 1 | {i} |  00:00:03 | 20.31% | {x:.4f} | 0.0100 |")
    return Console(_text([heading[0], heading[1], *lines]), (0, 590), None, True, 0)


def rate_behind_a_speed() -> Console:
    lines = _lines(lambda i, x: f"INFO | step {i} Batch (t): 0.512, 8192.1/s, 1024.3/s/gpu LR: 0.000010 Loss: {x:.4f}")
    return Console(_text(lines), (0, 590), None, True, 0)


def epoch_and_batch_in_one() -> Console:
    lines = [
        f"2022-03-01 10:00:{i:02d},123 DEBUG TRAIN Batch {i // 12}/{(i % 12) * 100} loss {x:.4f} loss_att {x / 2:.4f} "
        f"lr 0.0010 rank 0"
        for i, x in enumerate(LOSSES)
    ]
    return Console(_text(lines), (0, 5900), None, True, 0)


def two_counters_around_the_losses() -> Console:
    lines = []
    for i, x in enumerate(LOSSES):
        lines += [
            *("#" * 60, f"               \x1b[1m Learning iteration {i}/1500 \x1b[0m", ""),
            *(
                "      Surrogate loss: -0.0012",
                f" Value function loss: {x:.4f}",
                "        Mean reward: 12.30",
                "-" * 60,
            ),
            *(f"     Total timesteps: {98304 * (i + 1)}", "                 ETA: 100.0s"),
        ]
    return Console(_text(lines), (0, 59), 1500, False, 0)


def columns_of_which_one_stays() -> Console:
    heading = [
        "E    #       LOSS TOK2VEC  LOSS NER  ENTS_F  SCORE ",
        "---  ------  ------------  --------  ------  ------",
    ]
    lines = [f"{i:>3}  {i * 200:>6}          0.00  {x:>8.4f}   50.00    0.50" for i, x in enumerate(LOSSES)]
    return Console(_text(["\u2139 Initial learn rate: 0.001", *heading, *lines]), (0, 11800), None, False, 0)


def means_of_an_epoch_between() -> Console:
    lines = [f"[gpu01] INFO: {1 + i // 20}epoch:train:1-50batch: loss={x:.4f}, lr0=1e-03" for i, x in enumerate(LOSSES)]
    lines = _with(lines, 20, lambda i: "[gpu01] INFO: 1epoch results: [train] loss=3.2, [valid] acc=0.5, loss=3.3")
    return Console(_text(lines), (1, 60), None, True, 3)


def bar_of_epochs() -> Console:
    bars = [f"Epochs:   5%|\u2588 | {i}/90 [00:05<00:55, t_loss={x:.4f}, acc=0.3]\r" for i, x in enumerate(LOSSES, 1)]
    return Console("".join(bars) + "\n", (1, 60), 90, False, 0)


def commas_between_thousands() -> Console:
    lines = _lines(
        lambda i, x: f"INFO: [net][epoch:  0, iter: {i:>6,}, lr:(1.0e-04,)] [eta: 1 day] l_pix: {x:.4f}", 100
    )
    return Console(_text(lines), (0, 5900), None, True, 0)


def german_planned_end() -> Console:
    return Console(_text(_lines(lambda i, x: f"Schritt {i} von 5000 - Verlust: {x:.4f}")), (0, 590), 5000, False, 0)


def sentences() -> Console:
    lines = _lines(lambda i, x: f"After {i} iterations the training loss is {x:.4f} (best so far 1.0000).")
    return Console(_text(lines), (0, 590), None, False, 0)


def pairs_of_python() -> Console:
    lines = _lines(lambda i, x: f"OrderedDict([('epoch', {i}), ('train_loss', {x:.4f}), ('eval_top1', 50.1)])", 1)
    return Console(_text(lines), (0, 59), None, False, 0)


def logfmt() -> Console:
    lines = _lines(lambda i, x: f'ts=2024-05-01T10:00:00Z level=info msg="train step" step={i} loss={x:.4f} lr=0.001')
    return Console(_text(lines), (0, 590), None, True, 0)


def symbols() -> Console:
    lines = _lines(lambda i, x: f"\x1b[32m\u2714\x1b[0m step {i} \u25b8 loss {x:.4f} \u25b8 1.2s")
    return Console(_text(lines), (0, 590), None, False, 0)


def printed_in_json() -> Console:
    lines = [
        f'{{"stream_name":"stdout","time":{i}.5,"data":"Epoch {i + 1}/90 | train loss: {x:.4f} | valid loss: 2.5\\n"}}'
        for i, x in enumerate(LOSSES)
    ]
    return Console("[\n" + ",\n".join(lines) + "\n]\n", (1, 60), 90, False, 60)


def counter_that_goes_on_over_epochs() -> Console:
    lines = [f"Epoch {1 + i // 25}/6 | Step {i + 1}/150 | loss={x:.4f} | lr=1.0e-05" for i, x in enumerate(LOSSES)]
    return Console(_text(lines), (1, 60), 150, True, 0)


def caffe_with_tests() -> Console:
    lines = _lines(lambda i, x: f"I0907 13:57:09.1  1494 solver.cpp:189] Iteration {i}, loss = {x:.4f}")
    held_out = "I0907 13:57:08.6  1494 solver.cpp:315]     Test net output #1: loss = 3.5 (* 1 = 3.5 loss)"
    return Console(_text(_with(lines, 20, lambda _: held_out)), (0, 590), None, False, 3)


CONSOLES: dict[str, Callable[[], Console]] = {
    each.__name__: each
    for each in (
        *(nanogpt, llm_c, nanochat, torchtitan, megatron, nemo, nemo_bar, olmo, levanter, transformers, swift),
        *(llamafactory, mmengine, detectron2, fairseq, nnunet, keras, keras3, fastai, yolo, lightning),
        *(stable_baselines, pytorch_example, imagenet, tutorial, catboost, xgboost, composer, swin, marian),
        *(batches_with_a_pipe, summary_of_an_epoch, jax_and_a_wandb_summary, caffe, steps_in_brackets, icefall),
        *(two_counters, chinese, german_commas, name_behind_its_value, heading_of_two_lines, rate_behind_a_speed),
        *(epoch_and_batch_in_one, two_counters_around_the_losses, columns_of_which_one_stays, bar_of_epochs),
        *(counter_that_goes_on_over_epochs, caffe_with_tests),
        *(sentences, pairs_of_python, logfmt, symbols, printed_in_json),
        *(means_of_an_epoch_between, commas_between_thousands, german_planned_end),
    )
}
