"""What programs print while they train, read without knowing the program."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scalewatch.logs import AbstractLog, open_logs
from scalewatch.logs.console.parts import Parts
from scalewatch.observation import Observation
from tests.logs.consoles import CONSOLES, LOSSES

#: What the losses may differ by: programs print three digits.
ROUNDING = 0.006


def opened(path: Path, text: str | bytes, **columns: str) -> AbstractLog:
    """The one log in a console that was written long ago."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    os.utime(path, (1, 1))
    found = open_logs([path], columns=columns)
    assert not found.unreadable, found.unreadable
    return found.logs[0]


def read(path: Path, text: str, **columns: str) -> list[Observation]:
    return list(opened(path, text, **columns).rows())


@pytest.mark.parametrize("program", CONSOLES)
def test_the_console_of_a_program_is_read_with_its_steps_rates_and_planned_end(program: str, tmp_path: Path) -> None:
    """Loss, step, planned end, rate and validation are those that were printed, in the format of each program."""
    console = CONSOLES[program]()
    log = opened(tmp_path / "train.log", console.text)
    rows = list(log.rows())
    losses = [row.loss for row in rows if row.loss is not None]

    assert console.steps == (rows[0].step, rows[-1].step)
    assert console.total == log.run.total_steps
    assert console.rate == any(row.learning_rate is not None for row in rows)
    assert console.validations == sum(row.validation_loss is not None for row in rows)
    assert [row.step for row in rows] == sorted({row.step for row in rows})
    if program != "keras":  # its bar is drawn three times an epoch
        assert len(LOSSES) == len(losses)
        assert pytest.approx(LOSSES, abs=ROUNDING) == losses


def lines(first: int, last: int, make: str = "step {i} | loss {x:.4f} | lr 1e-4") -> str:
    return "".join(make.format(i=i, x=4.0 - 0.01 * i) + "\n" for i in range(first, last))


def test_what_was_taken_is_shown_and_another_name_can_be_asked_for(tmp_path: Path) -> None:
    """The line that was learnt from stands among the notes; `--column` takes any name of the lines."""
    text = "".join(f"iter {i}: loss {4 - 0.01 * i:.3f}, policy {9 - 0.01 * i:.3f}\n" for i in range(30))
    log = opened(tmp_path / "a.log", text)

    assert "iter 0: loss 4.000" in log.notes[-1]
    assert {"step": "iter", "loss": "loss"} == {field: log.columns[field] for field in ("step", "loss")}
    assert 9.0 == read(tmp_path / "b.log", text, loss="policy")[0].loss


def test_a_text_whose_names_are_none_of_a_loss_says_what_to_type_and_it_works(tmp_path: Path) -> None:
    """The numbers that change are named, the likeliest proposed, and both names can be said."""
    text = "".join(f"tick {i} foo {4 - 0.01 * i:.3f} gpu 8\n" for i in range(10, 40))
    (tmp_path / "a.log").write_text(text)
    (no,) = open_logs([tmp_path / "a.log"]).unreadable
    rows = read(tmp_path / "a.log", text, loss="foo", step="tick")

    assert "--column loss='foo'" in no.reason
    assert (10, 3.9) == (rows[0].step, rows[0].loss)


def test_of_several_ranks_the_first_is_read(tmp_path: Path) -> None:
    """Their lines stand between one another in one file; those of the others are left out and that is said."""
    text = "".join(f"[rank{r}]: step: {i}  loss: {4 + r - 0.01 * i:.3f}\n" for i in range(40) for r in (1, 0, 2))
    log = opened(tmp_path / "a.log", text)
    rows = list(log.rows())

    assert list(range(40)) == [row.step for row in rows]
    assert 5.0 == rows[0].loss
    assert any("several ranks" in note for note in log.notes)


@pytest.mark.parametrize(
    "begins", ["(Trainer pid={p}, ip=10.0.0.1) ", "[rank{p}]: ", "2025-03-01 10:{s:02d}:00 pid={p} "]
)
@pytest.mark.parametrize("beside", [1, 2])
def test_a_process_that_is_started_again_with_another_number_goes_on_as_the_run_did(
    begins: str, beside: int, tmp_path: Path
) -> None:
    """Alone and with one beside it, from its checkpoint, a step further on, and from its first step again."""
    text = ""
    for process, (first, end) in enumerate([(0, 50), (30, 45), (45, 60), (0, 70)]):
        for i in range(first, end):
            for rank in range(beside):
                start = begins.format(p=10 * process + rank, s=process)
                text += f"{start}step {i} | loss {4 - 0.01 * i:.4f} | lr 1e-4\n"
    log = opened(tmp_path / "a.log", text)

    assert [*range(50), *range(30, 60), *range(70)] == [row.step for row in log.rows()]
    assert any("started again" in note for note in log.notes)
    assert (beside > 1) == any("several ranks" in note for note in log.notes)


def test_the_output_of_one_rank_behind_that_of_another_counts_once(tmp_path: Path) -> None:
    """Written one after the other, both say the same steps from the first to the last."""
    text = "".join(f"[rank{rank}]: step: {i}  loss: {4 - 0.01 * i:.3f}\n" for rank in (0, 1) for i in range(1, 90))

    assert list(range(1, 90)) == [row.step for row in read(tmp_path / "a.log", text)]


def test_a_process_that_is_started_again_is_followed_while_the_log_grows(tmp_path: Path) -> None:
    """Its first row is given as soon as it is there: nobody was beside the one before."""
    (path := tmp_path / "a.log").write_text("".join(f"(W pid=7) step {i} loss {4 - 0.01 * i}\n" for i in range(40)))
    (log,) = open_logs([path]).logs
    before = [row.step for row in log.rows()]
    with path.open("a") as file:
        file.write("(W pid=8) step 30 loss 3.7\n")

    assert [*range(40), 30] == [*before, *[row.step for row in log.rows()]]


#: What is printed at step `i` of 90, 30 an epoch, whose loss is `x`.
PRINTED = {
    "a dict over several lines, its step last": "{{'lr': 0.1,\n 'loss': {x},\n 'step': {i}}}",
    "JSON over several lines": '{{\n  "step": {i},\n  "train": {{\n    "loss": {x}\n  }}\n}}',
    "a bar that counts on in each epoch": "epoch {e}/3\nsteps: {p}%|## | {i}/90 [00:07<00:50, 2.1it/s, avr_loss={x}]",
    "a metric of boosted trees": "[{i}]\ttrain-mlogloss:{x}\teval-mlogloss:3.9",
    "a step behind its loss": "loss {x}\nlr 0.001\nfinished step {i}",
    "a bar behind its loss": "{{'loss': {x}, 'epoch': {f}}}\n{p}%|## | {i}/90 [00:07<00:50, 2.1it/s]",
    "a message in JSON lines": '{{"severity": "INFO", "payload": {{"message": "step {i} loss {x}"}}}}',
    "an array": "step: {i}, {{'loss': Array({x}, dtype=float32)}}",
    "a loss of two names": "step {i} {n}Loss: {x}",
    "a word in brackets before": "(Worker 1, ip=10.0.0.1) step {i} loss {x}",
}


@pytest.mark.parametrize("form", PRINTED)
def test_the_step_and_the_loss_of_a_printed_form_belong_together(form: str, tmp_path: Path) -> None:
    """Each loss stands at the step that was printed with it."""
    said = [(i, round(4.0 - 0.01 * i, 2)) for i in range(1, 91)]
    text = (
        "\n".join(
            PRINTED[form].format(i=i, x=x, e=(i - 1) // 30 + 1, p=i, f=i / 90, n="Train " * (i % 2)) for i, x in said
        )
        + "\n"
    )

    assert said == [(row.step, row.loss) for row in read(tmp_path / "a.log", text)]


@pytest.mark.parametrize("carried", ["{t} ", "[pod/train-0/main] {t} ", "trainer-1  | ", "{t} stdout F "])
def test_a_table_whose_lines_a_container_put_its_time_and_name_before_is_read(carried: str, tmp_path: Path) -> None:
    """As `kubectl logs --timestamps` and `docker compose logs` give it."""
    table = ["epoch     train_loss  valid_loss", *[f"{i:<9} {4 - 0.01 * i:.2f}        3.9" for i in range(40)]]
    text = "".join(
        carried.format(t=f"2026-03-01T10:00:{i:02d}.123456789Z") + f"{line}\n" for i, line in enumerate(table)
    )

    assert [(i, 4 - 0.01 * i) for i in range(40)] == [
        (row.step, pytest.approx(row.loss)) for row in read(tmp_path / "a.log", text)
    ]


def test_the_name_of_a_test_is_no_loss(tmp_path: Path) -> None:
    """What pytest prints of tests whose names speak of a loss is refused."""
    text = "".join(f"tests/test_{i}.py::test_loss PASSED [ {i}%]\n" for i in range(60))
    (tmp_path / "a.log").write_text(text)

    assert [] == open_logs([tmp_path / "a.log"]).logs


def test_a_brace_that_is_never_closed_hides_no_row(tmp_path: Path) -> None:
    """What looks like the beginning of a record, and is none, is read line by line."""
    text = lines(0, 40) + "{ not closed\n" + lines(40, 80)

    assert list(range(80)) == [row.step for row in read(tmp_path / "a.log", text)]


def test_a_restart_that_is_appended_goes_back_as_the_run_did(tmp_path: Path) -> None:
    """The steps go back where the program began from its checkpoint again."""
    text = lines(0, 50) + "Traceback (most recent call last):\nKeyboardInterrupt\nresumed\n" + lines(30, 60)

    assert [*range(50), *range(30, 60)] == [row.step for row in read(tmp_path / "a.log", text)]


def test_a_log_that_changes_its_shape_in_the_middle_is_read_to_its_end(tmp_path: Path) -> None:
    """Somebody edits the print and goes on: both halves are read."""
    text = lines(0, 40) + lines(40, 80, "step={i}, grad_norm=1.2, loss={x:.4f}, lr=1e-4")
    rows = read(tmp_path / "a.log", text)

    assert list(range(80)) == [row.step for row in rows]
    assert 1.2 == rows[-1].grad_norm


@pytest.mark.parametrize("line", ["loss: {x:.4f}", "Evaluating {i}/100 loss: {x:.4f}", "Test step {i} loss {x:.4f}"])
def test_the_losses_of_an_evaluation_behind_a_training_are_no_rows_of_it(line: str, tmp_path: Path) -> None:
    """A harness that runs after the trainer, into the same file: its lines say no step of the run, and that is told."""
    evaluated = "".join(line.format(i=i, x=4 + i * 7 % 5 / 10) + "\n" for i in range(90))
    log = opened(tmp_path / "a.log", lines(0, 80) + evaluated)

    assert list(range(80)) == [row.step for row in log.rows()]
    assert any("from line 81 on lines hold a loss and no step" in note for note in log.notes)


def test_batches_of_an_evaluation_between_the_steps_are_no_rows(tmp_path: Path) -> None:
    """They count by another name, and from behind."""
    batches = "".join(f"  batch {i}: loss = {5 + i / 10:.3f}\n" for i in range(20))
    rows = read(tmp_path / "a.log", "".join(lines(i, i + 40) + batches for i in range(0, 200, 40)))

    assert list(range(200)) == [row.step for row in rows]
    assert max(row.loss for row in rows) <= 4.0


@pytest.mark.parametrize("word", ["nan", "NaN", "-nan", "inf", "Infinity", "1.#QNAN", "tensor(nan, device='cuda:0')"])
def test_a_loss_that_is_no_number_is_a_row(word: str, tmp_path: Path) -> None:
    """NaN in every spelling reaches the monitor."""
    text = lines(0, 20) + f"step 20 | loss {word} | lr 1e-4\n"
    (row,) = [row for row in read(tmp_path / "a.log", text) if row.step == 20]

    assert row.loss not in LOSSES
    assert not abs(row.loss) < 1e9


def test_settings_in_a_line_of_json_do_not_hide_the_lines_below(tmp_path: Path) -> None:
    """A program that prints its settings as JSON first is read as what it prints then."""
    text = '{"lr": 0.1, "model": "wide", "seed": 1}\n' + lines(0, 30)

    assert list(range(30)) == [row.step for row in read(tmp_path / "a.log", text)]


def test_decimal_commas_are_points(tmp_path: Path) -> None:
    """Where no number of the lines has a point, and commas stand inside numbers."""
    text = "".join(f"Schritt {i}: step {i}; loss {4 - 0.01 * i:.4f}; lr 0,0001\n".replace(".", ",") for i in range(30))

    assert pytest.approx([4 - 0.01 * i for i in range(30)]) == [row.loss for row in read(tmp_path / "a.log", text)]


def test_text_in_the_encoding_of_windows_is_read_with_its_letters(tmp_path: Path) -> None:
    """A program that prints in French there writes no UTF-8."""
    text = "".join(f"\u00e9tape {10 * i} perte {4 - 0.01 * i:.2f}\n" for i in range(60))
    (tmp_path / "a.log").write_bytes(text.encode("cp1252"))

    (log,) = open_logs([tmp_path / "a.log"]).logs
    rows = list(log.rows())

    assert (60, 590) == (len(rows), rows[-1].step)
    assert "\u00e9tape" == log.columns["step"]


def test_bytes_that_are_no_utf8_and_a_line_without_end_cost_no_row(tmp_path: Path) -> None:
    """A sample of generated text in Latin-1, and a line of megabytes."""
    text = lines(0, 20).encode() + "größer\n".encode("latin-1") + b"x" * 9_000_000 + b"\n" + lines(20, 40).encode()
    rows = list(opened(tmp_path / "a.log", text).rows())

    assert list(range(40)) == [row.step for row in rows]


def test_a_console_is_followed_while_it_grows_and_after_it_is_rotated(tmp_path: Path) -> None:
    """A line that is half written waits; a file that was truncated begins again."""
    path = tmp_path / "a.log"
    log = opened(path, lines(0, 20) + "step 20 | loss 3.")
    path.touch()
    assert list(range(20)) == [row.step for row in log.rows()]
    with path.open("a") as file:
        file.write("8 | lr 1e-4\n")
    assert [(20, 3.8)] == [(row.step, row.loss) for row in log.rows()]
    path.write_text(lines(21, 25))

    assert [21, 22, 23, 24] == [row.step for row in log.rows()]
    assert any("shorter" in note for note in log.notes)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("novel.txt", "It was the best of times, it was the worst of times, and 2 cities at a loss 1 by 1.\n" * 400),
        (
            "train.txt",
            "def step(x):\n    loss = 0.0\n    total_loss = 0.0\n    for i in range(10):\n        loss = 0.0\n",
        ),
        ("pip.log", "Collecting torch==2.1.0\n  Downloading torch-2.1.0.whl (670.2 MB)\n" * 50),
        ("data.txt", bytes(range(256)).decode("latin-1") * 40),
        ("numbers.txt", "".join(f"{i} {4 - i / 99:.3f}\n" for i in range(50))),
        ("access.log", '127.0.0.1 - - [10/Oct/2000:13:55:36] "GET /loss HTTP/1.0" 200 2326\n' * 50),
    ],
)
def test_a_text_that_is_no_log_is_a_sentence(name: str, text: str, tmp_path: Path) -> None:
    """A novel, source code, an installer, bytes, a server's log: none is taken for a run."""
    (tmp_path / name).write_text(text)
    found = open_logs([tmp_path / name])

    assert [] == found.logs
    assert 1 == len(found.unreadable)
    assert name in found.unreadable[0].reason


@pytest.mark.parametrize("program", CONSOLES)
def test_a_line_whose_words_were_read_before_says_the_same_as_read_in_full(program: str) -> None:
    """By its skeleton only its numbers are looked at; every line of every program comes out alike."""
    texts = [part for line in CONSOLES[program]().text.split("\n") for part in line.split("\r")]
    in_full, by_skeleton = Parts(), Parts(lambda name: True)
    first = [line._replace(text="") for text in texts for line in in_full.lines(text)]
    second = [line._replace(text="") for text in texts for line in by_skeleton.lines(text)]

    assert list(map(repr, first)) == list(map(repr, second))


@pytest.mark.parametrize("later", ["iter={i}, train_loss={x:.4f}", "[{i}/600] loss: {x:.4f} time 3.2"])
def test_lines_that_change_in_the_middle_are_read_to_the_end(later: str, tmp_path: Path) -> None:
    """As of a program that was changed between two starts: its steps go on, and a note says since which line."""
    log = opened(tmp_path / "a.log", lines(0, 300) + lines(300, 380, later))
    rows = list(log.rows())

    assert list(range(380)) == [row.step for row in rows]
    assert pytest.approx([4.0 - 0.01 * i for i in range(380)]) == [row.loss for row in rows]
    assert any("from line 301 on read from lines such as" in note for note in log.notes)
