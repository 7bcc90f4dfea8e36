"""Lines of a console that are read many at once are those that are read one by one."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from scalewatch.errors import LogError
from scalewatch.logs import lines as text_lines
from scalewatch.logs import open_logs
from scalewatch.logs.formats import console_text
from scalewatch.logs.values import seconds, times
from tests.logs.consoles import CONSOLES

#: Programs, by what they print at a step: of an epoch `e` the batch `b`, step `g` in all, loss `x` as it is spelled.
PROGRAMS = (
    "iter {g}: loss {x}, time {t}ms, mfu 40.10%",
    "[2025-03-01 10:{m:02d}:{s:02d},123] iteration {g:>6}/ 9000 | consumed samples: {k:,} | lr: 1.0E-04 | loss: {x} |",
    "{{'loss': {x}, 'grad_norm': {t}, 'learning_rate': {r}, 'epoch': {f:.2f}}}",
    "Epoch {e}: {p:3d}%|{bar}| {b}/50 [00:{b:02d}<00:10, 1.2it/s, loss={x}]",
    "{b}/50 [{eq}] - ETA: {b}s - loss: {x} - acc: 0.5\b\b\b",
    "\x1b[31m[titan] 2025-03-01 10:{m:02d}:{s:02d} - root - INFO - step: \x1b[36m{g:>2} \x1b[32mloss: {x}\x1b[39m",
    "[rank{k4}]: step={g} loss={x} lr={r}",
    "(train pid={pid}) step={g} loss={x} lr={r}",
    "(train pid={pid}) step={g} loss={x}\n(train pid={pid}7) step={g} loss={x}",
    "epoch {e:03d}: {b:>6} / 50 loss={x}, ppl={t}, num_updates={g}, gnorm=4.2",
    "| epoch {e:3d} | {b:5d}/   50 batches | lr {r} | loss {x} | ppl {t}",
    "{p:3d}%|{bar}| {g}/900 [00:{b:02d}<08:00, 2.1it/s]\n{{'loss': {x}, 'learning_rate': {r}}}",
    "[step={g}/9000]\n    train/CrossEntropyLoss={x}\n    optim/learning_rate={r}",
    "2025-03-01 10:{m:02d}:{s:02d}\trank0\t[step={g}/9000,epoch={e}]\n grad_norm={t}\n loss={x}\n tokens={k:,}",
    "Epoch {e}/9 lr: {r}\nTrain loss: {x}",
    "{{'lr': {r},\n 'loss': {x},\n 'step': {g}}}",
    "loss {x}\nlr {r}\nfinished step {g}",
    "step {g} Loss: {x}\nstep {g}1 Train Loss: {x}",
    "step      lr    loss    time\n{g:>6}  {r}  {x}  0:0{k4}\n{g}5  {r} {x} 12:{s:02d}",
    "2026-03-01T10:00:{s:02d}.123456789Z epoch  train_loss\n2026-03-01T10:00:{s:02d}.123456789Z {g}   {x}",
    '{{\n  "step": {g},\n  "train": {{\n    "loss": {x}\n  }}\n}}',
    "epoch {e}/9\nsteps: {p:3d}%|{bar}| {g}/900 [00:{b:02d}<08:00, avr_loss={x}]",
)
#: What stands between them now and then.
ODD_LINES = (
    *("", "   ", "Saving checkpoint to /out/ckpt-{g}.pt", "Traceback (most recent call last):", "resumed from {g}"),
    *("val loss {x}", "step {g}: val_loss={x} acc 0.3", "Computing loss...", "loss scale reduced to {k}", "Epoch {e}"),
    *(
        "Test: [ 10/48] loss 2.5",
        "epoch  loss  lr",
        "| lr | 0.1 |",
        "----------",
        "Downloading: 100%|##| 12/12 [00:01]",
    ),
    *("\x1b]0;title\x07 7", "第{e}轮", "step {g}", "{g}", "| a | b | loss |", "{{", "}}", "config = {{'lr': {r}}}"),
)
SPELLINGS = (
    "nan",
    "-inf",
    "1.#QNAN",
    "tensor(2.5)",
    "-0.3",
    "1e-05",
    "3",
    "1.2M",
    "45%",
    "12,345",
    "1e999",
    "\u0663.\u0665",
)


def printed(source: random.Random) -> str:
    """A console: long stretches of a program, and every disorder between and in them."""
    program, step, text, process = source.choice(PROGRAMS), 0, [], 100
    odd = source.sample(ODD_LINES, 4)
    for _ in range(source.randint(1, 4)):
        often, again = source.choice([0.0, 0.01, 0.1]), source.choice([1, 1, 1, 2])
        for _ in range(source.randint(20, 150)):
            step += 1
            loss = 2.0 + 3.0 / step
            spelled = f"{loss:.4f}" if source.random() > often else source.choice(SPELLINGS)
            batch = step % 50
            at = {
                "g": step,
                "e": step // 50 + 1,
                "b": batch,
                "x": spelled,
                "k": 4096 * step,
                "k4": step % 3,
                "pid": process,
                "p": 2 * batch,
            }
            at |= {"t": f"{source.random():.3f}", "r": source.choice(["1e-4", "0.0001"]), "f": step / 50}
            at |= {"m": step // 60 % 60, "s": step % 60, "eq": "=" * (batch // 5), "bar": f"{'█' * (batch // 5):10}"}
            text += [program.format(**at)] * again
            if source.random() < often:
                text.append(source.choice(odd).format(**at))
        step = max(step + source.choice([0, 0, -1, -7, -step]), 0)
        process += source.choice([0, 1])
        program = source.choice([program, program, source.choice(PROGRAMS)])
    return source.choice(["\n", "\n", "\r"]).join(text).replace("\n", source.choice(["\n", "\r"])) + "\n"


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int, int], tuple[str, list[str]]]:
    """Rows and notes of a text, which is read so many bytes at a time, at once from so many lines on."""

    def rows(text: str, size: int, least: int) -> tuple[str, list[str]]:
        path = tmp_path / "train.log"
        path.write_text(text, newline="")
        try:
            log = console_text.ConsoleLog(path, "train", {})
        except LogError as no:
            return "", [str(no)]
        with monkeypatch.context() as patched:
            patched.setattr(text_lines, "CHUNK_BYTES", size)
            patched.setattr(console_text, "LEAST_LINES", least)
            patched.setattr(console_text, "FEW_LINES", 16)
            return repr(list(log.rows())), log.notes

    return rows


@pytest.mark.parametrize("program", CONSOLES)
def test_the_lines_of_a_program_are_the_same_read_at_once(
    program: str, read: Callable[[str, int, int], tuple[str, list[str]]]
) -> None:
    """Whatever a program prints, its rows do not depend on how many lines are looked at together."""
    text = CONSOLES[program]().text

    assert read(text, 1 << 20, 1 << 30) == read(text, 1 << 20, 4)


@pytest.mark.parametrize("seed", range(12))
def test_lines_read_at_once_are_those_read_one_by_one(
    seed: int, read: Callable[[str, int, int], tuple[str, list[str]]]
) -> None:
    """Restarts, bars that are drawn again, other ranks, NaN, a change of program: the rows are the same."""
    text = printed(random.Random(seed))

    assert read(text, 1 << 20, 1 << 30) == read(text, (500, 3_001, 1 << 20)[seed % 3], 4)


def test_a_console_of_plain_lines_is_read_in_blocks(tmp_path: Path) -> None:
    """Thousands of lines are a few blocks, also where a validation stands between them."""
    path = tmp_path / "train.log"
    path.write_text(
        "".join(f"iter {i}: loss {3 + 1 / (i + 1):.4f}\n" + "val loss 3.4\n" * (i % 900 == 1) for i in range(9_000))
    )
    (log,) = open_logs([path]).logs

    blocks = [block for _, block in log.blocks()]

    assert sum(map(len, blocks)) == 9_000
    assert len(blocks) < 40


@pytest.mark.parametrize(
    "text", ["2025-03-01 10:00:01", "2025-03-30T02:59:59,250", "1999-12-31 23:59:59.999", "0:03:29"]
)
def test_many_times_are_those_that_are_read_one_by_one(text: str) -> None:
    """Also where clocks are changed, and beside what is no time."""
    assert [seconds(text), None, "noon"] == times([text, None, "noon"])
