"""Checks that each format of the table has to pass, on files written as their writers write them."""

from __future__ import annotations

import atexit
import functools
import json
import logging
import math
import shutil
import sqlite3
import struct
import tempfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scalewatch
from scalewatch.errors import ConfigError, LogError
from scalewatch.journal import JournalWriter, observation_record
from scalewatch.logs import FORMATS, AbstractLog, format_named, open_logs
from scalewatch.logs.outside import GROUP, outside_formats
from scalewatch.observation import Observation
from scalewatch.run import Run
from tests.scratch_distribution import install

ROWS = 60
LOSSES = [4.0 - 0.02 * i for i in range(ROWS)]
RATES = [1e-3 * (1 - i / ROWS) for i in range(ROWS)]


def journal(folder: Path) -> Path:
    writer = JournalWriter(folder / "scalewatch", Run("run"))
    for i, (loss, rate) in enumerate(zip(LOSSES, RATES, strict=True)):
        writer.append(observation_record(Observation(i + 1, loss, rate)))
    writer.close()
    return folder / "scalewatch"


def tensorboard(folder: Path) -> Path:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder))
    for i, (loss, rate) in enumerate(zip(LOSSES, RATES, strict=True)):
        writer.add_scalar("train/loss", loss, i + 1)
        writer.add_scalar("lr", rate, i + 1)
    writer.close()
    return folder


def lightning_csv(folder: Path) -> Path:
    from lightning.pytorch.loggers import CSVLogger

    logger = CSVLogger(folder, name="", version="wide", flush_logs_every_n_steps=7)
    for i, (loss, rate) in enumerate(zip(LOSSES, RATES, strict=True)):
        logger.log_metrics({"lr-AdamW": rate}, i + 1)
        logger.log_metrics({"train_loss": loss, "epoch": 0}, i + 1)
        if i % 20 == 19:
            logger.log_metrics({"val_loss": loss + 0.1, "epoch": 0}, i + 1)
    logger.save()
    return folder / "wide" / "metrics.csv"


def plain_csv(folder: Path) -> Path:
    lines = ["iter,train/ce,lr", *(f"{i + 1},{loss},{RATES[i]}" for i, loss in enumerate(LOSSES))]
    (folder / "run.csv").write_text("\n".join(lines) + "\n")
    return folder / "run.csv"


def json_lines(folder: Path) -> Path:
    rows = [{"step": i + 1, "train": {"loss": loss}, "lr": RATES[i]} for i, loss in enumerate(LOSSES)]
    (folder / "run.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "run.jsonl"


def trainer_state(folder: Path) -> Path:
    history: list[dict[str, Any]] = []
    for i, loss in enumerate(LOSSES):
        history.append({"epoch": 0.1, "loss": loss, "learning_rate": RATES[i], "step": i + 1})
        if i % 20 == 19:
            history.append({"epoch": 0.1, "eval_loss": loss + 0.1, "eval_runtime": 3.0, "step": i + 1})
    history.append({"epoch": 1.0, "train_loss": 3.3, "train_runtime": 60.0, "step": ROWS})
    state = {"global_step": ROWS, "max_steps": ROWS, "log_history": history}
    (folder / "trainer_state.json").write_text(json.dumps(state, indent=2))
    return folder / "trainer_state.json"


def wandb(folder: Path) -> Path:
    rows = [
        {"_step": i, "_timestamp": 1.7e9 + i, "train/loss": loss, "train/lr": RATES[i], "train/global_step": i + 1}
        for i, loss in enumerate(LOSSES)
    ]
    (folder / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "history.jsonl"


def wandb_run(folder: Path) -> Path:
    """As wandb 0.30 writes it; a long text in one row goes over three blocks."""

    def message(field: int, content: bytes) -> bytes:
        key, length = bytes([(field << 3 & 0x7F) | 2 | 0x80, field >> 4]), b""
        size = len(content)
        while size > 0x7F:
            length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
        return key + length + bytes([size]) + content

    def items(cells: dict[str, Any]) -> bytes:
        parts = [(name.split("."), json.dumps(value).encode()) for name, value in cells.items()]
        return b"".join(
            message(1, b"".join(message(2, n.encode()) for n in names) + message(16, value)) for names, value in parts
        )

    records = [message(17, message(4, items({"max_steps": 500})) + message(8, b"wide"))]
    for i, loss in enumerate(LOSSES):
        cells = {"_step": i + 1, "train.loss": loss, "lr": RATES[i], "sample": "x" * (70_000 if i == 7 else 3)}
        records.append(message(2, items(cells)))
    data = bytearray(b":W&B\xe1\xbe\x00")
    for record in records:
        first = True
        while first or record:
            room = (1 << 15) - len(data) % (1 << 15)
            if room < 7:
                data += bytes(room)
                continue
            piece, record = record[: room - 7], record[room - 7 :]
            kind = (1 if not record else 2) if first else (4 if not record else 3)
            data += struct.pack("<IHB", zlib.crc32(bytes([kind]) + piece), len(piece), kind) + piece
            first = False
    (folder / "run-abc.wandb").write_bytes(bytes(data))
    return folder / "run-abc.wandb"


def parquet(folder: Path) -> Path:
    import pandas as pd

    frame = pd.DataFrame({"step": np.arange(1, ROWS + 1), "loss": LOSSES, "lr": RATES})
    frame.to_parquet(folder / "run.parquet")
    return folder / "run.parquet"


@functools.cache
def _stored_by_mlflow() -> Path:
    """A folder with the file store and the database of MLflow, each with one run, written by MLflow once."""
    import mlflow
    from mlflow.entities import Metric

    folder = Path(tempfile.mkdtemp(prefix="scalewatch-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        for address in ((folder / "mlruns").as_uri(), f"sqlite:///{folder}/mlflow.db"):
            client = mlflow.MlflowClient(tracking_uri=address)
            run = client.create_run(client.create_experiment("tests", str(folder / "artifacts")), run_name="wide")
            told = [(name, series[i], i + 1) for i in range(ROWS) for name, series in (("loss", LOSSES), ("lr", RATES))]
            client.log_batch(run.info.run_id, metrics=[Metric(n, v, 1_700_000_000_000 + i, i) for n, v, i in told])
            client.set_terminated(run.info.run_id)
    return folder


def mlflow_files(folder: Path) -> Path:
    copied = Path(shutil.copytree(_stored_by_mlflow() / "mlruns", folder / "mlruns"))
    return next(path.parent for path in copied.glob("*/*/meta.yaml"))


def mlflow_database(folder: Path) -> Path:
    return Path(shutil.copy(_stored_by_mlflow() / "mlflow.db", folder))


def trackio(folder: Path) -> Path:
    # the table that trackio makes; its package brings a web server with it
    with closing(sqlite3.connect(folder / "project.db")) as base, base:
        base.execute(
            "CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TEXT NOT NULL, "
            "run_name TEXT NOT NULL, step INTEGER NOT NULL, metrics TEXT NOT NULL)"
        )
        rows = [(i + 1, json.dumps({"loss": loss, "lr": RATES[i]})) for i, loss in enumerate(LOSSES)]
        base.executemany("INSERT INTO metrics VALUES (NULL, '2026-01-01T00:00:00', 'wide', ?, ?)", rows)
    return folder / "project.db"


def text(folder: Path) -> Path:
    lines = [f"iter {i + 1}: loss {loss:.6f}, lr {RATES[i]:.6e}, time 306.15ms" for i, loss in enumerate(LOSSES)]
    (folder / "train.log").write_text("\n".join(["number of parameters: 123.59M", *lines]) + "\n")
    return folder / "train.log"


def diary(folder: Path) -> Path:
    lines = [f"step {i + 1}: loss={loss} lr={RATES[i]}" for i, loss in enumerate(LOSSES)]
    (folder / "run.diary").write_text("\n".join(lines) + "\n")
    return folder / "run.diary"


WRITERS: dict[str, Callable[[Path], Path]] = {
    "journal": journal,
    "tensorboard": tensorboard,
    "lightning-csv": lightning_csv,
    "csv": plain_csv,
    "jsonl": json_lines,
    "trainer-state": trainer_state,
    "wandb": wandb,
    "wandb-run": wandb_run,
    "parquet": parquet,
    "mlflow": mlflow_files,
    "mlflow-db": mlflow_database,
    "trackio": trackio,
    "text": text,
    "diary": diary,
}
#: One value, one footer, one tree of pages, or a file that only names the others.
ALL_OR_NOTHING = ("trainer-state", "parquet", "mlflow", "mlflow-db", "trackio")
#: What files of numbers are called.
ENDINGS = (
    *("", ".csv", ".tsv", ".txt", ".log", ".out", ".err", ".dat", ".json", ".jsonl", ".ndjson", ".md", ".1"),
    *(".parquet", ".pq", ".feather", ".arrow", ".ipc", ".wandb", ".yaml", ".db", ".sqlite", ".events", ".CSV"),
)
#: The formats of another package that is installed for these tests, and one that cannot be.
OUTSIDE = {"diary": "tests.logs.outside_format:Diary", "faulty": "tests.logs.outside_format:Faulty"}
BROKEN = {"lost": "no.such.module:X"}


@pytest.fixture(autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package, on the path."""
    install(tmp_path_factory.mktemp("site"), monkeypatch, GROUP, {**OUTSIDE, **BROKEN})


def test_every_format_has_a_writer_here() -> None:
    """Those of the table and those of other packages: one without could not be checked."""
    found = {form.name for form in (*FORMATS, *outside_formats()[0])}

    assert set(WRITERS) == found - {"faulty"}


@pytest.fixture(params=WRITERS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """The name of a format and the path of a log of 60 rows in it."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    return request.param, WRITERS[request.param](tmp_path)


def test_a_notebook_loads_every_format(written: tuple[str, Path]) -> None:
    """`scalewatch.load` reads what `scalewatch replay` reads, and keeps each row for its picture."""
    _, path = written
    run = scalewatch.load(path)

    assert ROWS == run.tracker.rows
    assert LOSSES == pytest.approx(run.losses.tolist(), rel=1e-5)


def one(path: Path, **asked: Any) -> AbstractLog:
    opened = open_logs([path], **asked)
    assert not opened.unreadable, opened.unreadable
    (log,) = opened.logs
    return log


def test_a_file_is_offered_to_every_format_that_would_claim_it(written: tuple[str, Path], tmp_path: Path) -> None:
    """What is told by a name and some bytes, before the file of a format is imported, excludes nothing by mistake."""
    _, path = written
    files = [each for each in ([path] if path.is_file() else path.rglob("*")) if each.is_file()]
    for number, ending in enumerate(ENDINGS):
        (tmp_path / f"called_{number}").mkdir()
        files.append(Path(shutil.copy(files[0], tmp_path / f"called_{number}" / f"metrics{ending}")))

    kept_out = [
        (form.name, file.name)
        for form in FORMATS
        for file in files
        if form.whole.claims(file) and not form.claims(file)
    ]

    assert [] == kept_out


def test_every_row_comes_back_by_format_and_by_guess(written: tuple[str, Path]) -> None:
    """Steps, losses and rates are those that were written, whether the format is named or told from the file."""
    name, path = written

    for asked in ({}, {"form": format_named(name)}):
        rows = list(one(path, **asked).rows())
        # event files hold 32 bits
        assert list(range(1, ROWS + 1)) == [row.step for row in rows]
        assert pytest.approx(LOSSES, rel=1e-6) == [row.loss for row in rows]
        assert pytest.approx(RATES, rel=1e-5) == [row.learning_rate for row in rows]


def test_a_log_is_followed_without_giving_a_row_twice(written: tuple[str, Path]) -> None:
    """A second look at a log to which nothing was added gives nothing."""
    log = one(written[1])

    assert ROWS == len(list(log.rows()))
    assert [] == list(log.rows())


def test_the_guess_is_told_and_can_be_overridden_but_not_with_what_is_not_there(written: tuple[str, Path]) -> None:
    """Each format says which column the loss is; an unknown one is refused with those there are."""
    name, path = written
    log = one(path)

    assert log.columns["loss"]
    assert log.bytes_total > 0
    if name != "journal":  # its fields have one name each
        (reason,) = [no.reason for no in open_logs([path], columns={"loss": "nowhere"}).unreadable]
        assert "nowhere" in reason
        assert log.columns["loss"] in reason


def test_an_empty_file_is_a_clear_line(written: tuple[str, Path], tmp_path: Path) -> None:
    """Nothing in it: no run, a reason, no exception."""
    name, path = written
    file = path if path.is_file() else sorted(p for p in path.iterdir() if p.is_file())[0]
    empty = tmp_path / "empty" / file.name
    empty.parent.mkdir()
    empty.write_bytes(b"")

    opened = open_logs([empty], form=format_named(name))

    assert [] == opened.logs
    assert "empty" in opened.unreadable[0].reason


def test_a_cut_file_gives_what_stands_before_the_cut(written: tuple[str, Path], tmp_path: Path) -> None:
    """At every tenth of its length, what is read begins with the true rows and has none that was not written."""
    name, path = written
    file = path if path.is_file() else sorted(p for p in path.iterdir() if p.is_file())[0]
    whole = file.read_bytes()
    for tenth in range(1, 10):
        cut = tmp_path / f"cut{tenth}" / file.name
        cut.parent.mkdir()
        cut.write_bytes(whole[: len(whole) * tenth // 10])
        try:
            opened = open_logs([cut], form=format_named(name))
        except LogError:
            continue
        for log in opened.logs:
            for row in log.rows():
                assert row.loss == pytest.approx(LOSSES[row.step - 1], rel=1e-6)
    if name not in ALL_OR_NOTHING:
        assert opened.logs


def test_flipped_bytes_never_raise(written: tuple[str, Path], tmp_path: Path) -> None:
    """Whatever is damaged costs rows and makes notes, or is a reason; most rows are still there."""
    name, path = written
    file = path if path.is_file() else sorted(p for p in path.iterdir() if p.is_file())[0]
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    kept = []
    for trial in range(20):
        spoiled = bytearray(whole)
        for place in rng.integers(len(whole) // 3, len(whole), 3):
            spoiled[place] ^= 1 << int(rng.integers(8))
        bad = tmp_path / f"bad{trial}" / file.name
        bad.parent.mkdir()
        bad.write_bytes(bytes(spoiled))
        logs = open_logs([bad], form=format_named(name)).logs
        kept.append(sum(len(list(log.rows())) for log in logs))
    if name not in ALL_OR_NOTHING:
        assert ROWS // 4 < np.median(kept) <= ROWS + 1


@pytest.mark.parametrize("word", ["nan", "NaN", "inf", "Infinity", "-inf", "1.#QNAN"])
def test_a_number_that_is_none_is_read_as_it_was_written(word: str, tmp_path: Path) -> None:
    """NaN and infinities in a CSV and, quoted, in JSON lines reach the monitor."""
    table, lines = tmp_path / "a.csv", tmp_path / "b.jsonl"
    table.write_text(f"step,loss\n1,3.0\n2,{word}\n3,3.0\n")
    lines.write_text(f'{{"step": 1, "loss": 3.0}}\n{{"step": 2, "loss": "{word}"}}\n{{"step": 3, "loss": 3.0}}\n')

    for path in (table, lines):
        rows = list(one(path).rows())
        assert [1, 2, 3] == [row.step for row in rows]
        assert not math.isfinite(rows[1].loss)
        assert ("inf" in word.lower()) == math.isinf(rows[1].loss)


@pytest.mark.parametrize(
    ("stem", "rows", "says"),
    [
        ("open", 0, "cannot be read: the format 'faulty' failed (KeyError: 'no such key')."),
        ("rows", 3, "the format 'faulty' failed: what follows is not read (ZeroDivisionError: at the fourth row)"),
        ("claims", 0, "is none of the logs known here"),
    ],
)
def test_a_fault_of_a_format_from_outside_is_one_note(stem: str, rows: int, says: str, tmp_path: Path) -> None:
    """Wherever it fails: nothing is raised, and what was read before is there."""
    path = tmp_path / f"{stem}.faulty"
    path.write_text("some text")
    opened = open_logs([path])
    read = [row for log in opened.logs for row in log.rows()]
    notes = [no.reason for no in opened.unreadable] + [note for log in opened.logs for note in log.notes]

    assert rows == len(read)
    assert 1 == len(notes)
    assert says in notes[0]


def test_a_format_that_cannot_be_loaded_is_told_where_it_may_be_missed(tmp_path: Path) -> None:
    """Beside a file that no format claims, and to who asks for it by name; a log that is known says nothing of it."""
    (tmp_path / "a.xyz").write_text("words")
    sentence = "The format 'lost' of another package is left out: no.such.module:X cannot be loaded"
    (unreadable,) = open_logs([tmp_path / "a.xyz"]).unreadable
    with pytest.raises(ConfigError, match=sentence):
        format_named("lost")

    assert sentence in unreadable.reason
    assert [] == one(plain_csv(tmp_path)).notes
