"""Folders of runs: which files are logs, which are one run, and what they are called."""

from __future__ import annotations

import importlib
import json
import random
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from scalewatch.errors import ConfigError, LogError
from scalewatch.journal import JournalWriter, observation_record
from scalewatch.logs import FORMATS, Opened, format_named, open_logs
from scalewatch.observation import Observation
from scalewatch.run import Run


def write(path: Path, loss: float = 3.0, rows: int = 20) -> Path:
    """A CSV or JSON-lines log, as the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        header = "epoch,step,train_loss\n" if path.name == "metrics.csv" else "epoch,step,loss\n"
        path.write_text(header + "".join(f"0,{i},{loss}\n" for i in range(1, rows + 1)))
    elif path.name == "trainer_state.json":
        history = [{"loss": loss, "step": i} for i in range(1, rows + 1)]
        path.write_text(json.dumps({"log_history": history, "max_steps": 100}))
    else:
        path.write_text("".join(json.dumps({"step": i, "loss": loss}) + "\n" for i in range(1, rows + 1)))
    return path


def write_journal(folder: Path, loss: float = 3.0) -> Path:
    writer = JournalWriter(folder, Run("from the journal"))
    for i in range(1, 21):
        writer.append(observation_record(Observation(i, loss)))
    writer.close()
    return folder


def losses(opened: Opened) -> dict[str, float]:
    """Name and loss of each run."""
    return {log.name: next(iter(log.rows())).loss for log in opened.logs}


def test_each_file_and_each_subfolder_is_its_own_run(tmp_path: Path) -> None:
    """Files by their names; where all are called alike, by their folders."""
    for name, loss in (("a.csv", 1.0), ("b.jsonl", 2.0), ("c/metrics.csv", 3.0), ("d/e/metrics.csv", 4.0)):
        write(tmp_path / name, loss)
    write(tmp_path / "f" / "log.jsonl", 5.0)

    assert {"a": 1.0, "b": 2.0, "c": 3.0, "e": 4.0, "f": 5.0} == losses(open_logs([tmp_path]))


def test_runs_of_one_name_get_more_of_their_path(tmp_path: Path) -> None:
    """Two folders with `version_0` in them are two runs with two names."""
    for model in ("wide", "deep"):
        write(tmp_path / model / "version_0" / "metrics.csv")

    names = list(losses(open_logs([tmp_path])))

    assert 2 == len(set(names))
    assert ["deep" in names[0], "wide" in names[1]] == [True, True]


def test_a_run_that_is_told_twice_is_read_once_from_the_best_record(tmp_path: Path) -> None:
    """The journal before Lightning's CSV of the same folder; the other is passed over with a line."""
    write(tmp_path / "version_0" / "metrics.csv", 9.0)
    write_journal(tmp_path / "version_0" / "scalewatch")

    opened = open_logs([tmp_path])

    assert {"from the journal": 3.0} == losses(opened)
    assert "--format lightning-csv" in opened.passed_over[0]
    assert {"version_0": 9.0} == losses(open_logs([tmp_path], form=format_named("lightning-csv")))


def test_of_the_checkpoints_of_a_run_the_last_has_it_all(tmp_path: Path) -> None:
    """Each checkpoint's trainer_state.json begins at the first step: one of them is the run."""
    write(tmp_path / "run" / "checkpoint-900" / "trainer_state.json", rows=9)
    write(tmp_path / "run" / "checkpoint-1000" / "trainer_state.json", rows=10)

    opened = open_logs([tmp_path])

    assert ["run"] == [log.name for log in opened.logs]
    assert 10 == len(list(opened.logs[0].rows()))
    assert 100 == opened.logs[0].run.total_steps
    assert 1 == len(opened.passed_over)


def test_what_is_no_log_does_not_hide_the_logs(tmp_path: Path) -> None:
    """Settings, pictures and hidden files are passed by; a table of steps without a loss is told with its columns."""
    write(tmp_path / "run.csv")
    (tmp_path / "labels.csv").write_text("step,kind\n1,b\n")
    (tmp_path / "config.json").write_text('{"lr": 0.1, "layers": 2}\n')
    (tmp_path / "weights.bin").write_bytes(bytes(range(256)) * 50)
    (tmp_path / ".hidden.csv").write_text("step,loss\n1,2\n")
    (tmp_path / "empty").mkdir()

    opened = open_logs([tmp_path])

    assert ["run"] == [log.name for log in opened.logs]
    (no,) = opened.unreadable
    assert "step, kind" in no.reason
    assert not no.named


def test_files_that_are_no_logs_are_counted_and_hide_none(tmp_path: Path) -> None:
    """Settings, schemas, dashboards and data speak of a loss too: one line for all; what is broken has its own."""
    files = {
        "schema.json": '{\n"type": "object", "properties": {"loss": {"type": "number"}}, "required": ["loss"]}',
        "dashboard.json": '{"panels": [{"title": "train loss", "gridPos": {"x": 0}}, {"title": "b", "id": 3}]}',
        "config.json": '{"loss": "mse", "lr": 0.1, "milestones": [1, 2, 3]}',
        "data.csv": "name,age\na,3\nb,4\n",
        "train.log": "".join(f"step {i} loss {3 - 0.01 * i:.2f}\n" for i in range(40)),
        "rewards.csv": "step,reward\n1,3\n2,4\n",
        "cut.json": '{"log_history": [',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    opened = open_logs([tmp_path])

    assert ["train.log"] == [log.path.name for log in opened.logs]
    assert {"rewards.csv", "cut.json"} == {no.path.name for no in opened.unreadable}
    assert {"schema.json", "dashboard.json", "data.csv"} == {Path(p.split(": ")[0]).name for p in opened.passed_over}
    assert 1 == len({line.split(": ")[1] for line in opened.passed_over})


def test_a_path_that_is_not_there_and_a_folder_without_logs_are_clear_lines(tmp_path: Path) -> None:
    """Exceptions for the first, a reason for the second."""
    with pytest.raises(LogError, match="does not exist"):
        open_logs([tmp_path / "nowhere"])

    (no,) = open_logs([tmp_path]).unreadable

    assert "holds no log" in no.reason
    assert no.named


def test_an_unknown_format_is_refused_with_those_there_are() -> None:
    """The message lists every name."""
    with pytest.raises(ConfigError, match="--format") as refused:
        format_named("excel")

    assert all(form.name in str(refused.value) for form in FORMATS)


def test_a_segment_that_is_named_alone_is_read_alone(tmp_path: Path) -> None:
    """A folder is the whole history; one file of several is that file."""
    folder = write_journal(tmp_path / "run")
    write_journal(folder, 2.0)
    segments = sorted(folder.glob("journal-*.jsonl"))

    assert 2 == len(segments)
    assert {"from the journal": 3.0} == losses(open_logs([segments[0]]))


def test_a_journal_is_followed_while_it_is_written(tmp_path: Path) -> None:
    """Rows that are appended come with the next look, once."""
    writer = JournalWriter(tmp_path, Run("live"))
    for step in (1, 2, 3):
        writer.append(observation_record(Observation(step, 3.0)))
    writer.drain()
    log = open_logs([tmp_path]).logs[0]
    assert [1, 2, 3] == [row.step for row in log.rows()]

    for looks in ((4, 5), (6,)):
        for step in looks:
            writer.append(observation_record(Observation(step, 3.0)))
        writer.drain()
        assert list(looks) == [row.step for row in log.rows()]
    writer.close()


def test_the_table_behind_a_wandb_chart_is_several_runs(tmp_path: Path) -> None:
    """A column for each run, with the least and greatest beside it."""
    names = ["Step", *(f"{run} - train/loss{end}" for run in ("wide", "a - b") for end in ("", "__MIN", "__MAX"))]
    rows = [[i, 3.0, 2.9, 3.1, 2.0 if i < 9 else "", "", ""] for i in range(1, 11)]
    text = "\n".join(",".join(f'"{cell}"' for cell in row) for row in [names, *rows])
    (tmp_path / "chart.csv").write_text(text + "\n")

    opened = open_logs([tmp_path / "chart.csv"])

    assert {"wide": 3.0, "a - b": 2.0} == losses(opened)
    assert [10, 8] == [len(list(log.rows())) for log in open_logs([tmp_path / "chart.csv"]).logs]


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz"])
def test_a_packed_log_is_read_as_what_it_holds(ending: str, tmp_path: Path) -> None:
    """What was packed to be sent to somebody needs no unpacking."""
    module = importlib.import_module({".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}[ending])
    text = write(tmp_path / "wide.csv", 2.5).read_bytes()
    with module.open(tmp_path / f"wide.csv{ending}", "wb") as file:
        file.write(text)

    assert {"wide": 2.5} == losses(open_logs([tmp_path / f"wide.csv{ending}"]))


def test_an_archive_is_a_folder_and_a_damaged_one_a_line(tmp_path: Path) -> None:
    """Every run in it; a name that leads out of it writes nothing elsewhere; half an archive is a reason."""
    with zipfile.ZipFile(tmp_path / "runs.zip", "w") as archive:
        for name, loss in (("a.csv", 1.0), ("deep/b.csv", 2.0), ("../../out.csv", 3.0)):
            archive.write(write(tmp_path / "made" / "x.csv", loss), name)
    (tmp_path / "half.zip").write_bytes((tmp_path / "runs.zip").read_bytes()[:200])
    (no,) = open_logs([tmp_path / "half.zip"]).unreadable

    assert {"a": 1.0, "b": 2.0, "out": 3.0} == losses(open_logs([tmp_path / "runs.zip"]))
    assert not (tmp_path.parent / "out.csv").exists()
    assert "cannot be unpacked" in no.reason


def test_what_was_printed_of_a_run_that_is_recorded_too_is_passed_over(tmp_path: Path) -> None:
    """Beside Lightning's table, mmcv's and detectron2's lines of JSON; alone it is a run."""
    text = "".join(f"iter {i}: loss {9 - 0.1 * i:.3f}\n" for i in range(20))
    for name in ("a/metrics.csv", "b/x.log.json", "c/metrics.json"):
        write(tmp_path / name, 1.0)
    for name in ("a/out.log", "b/x.log", "c/log.txt", "d/out.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    opened = open_logs([tmp_path])

    assert [1.0, 1.0, 1.0, 9.0] == sorted(losses(opened).values())
    assert 3 == len(opened.passed_over)


def fall(seed: int, rows: int = 60) -> list[float]:
    noise = random.Random(seed)
    return [round(1.5 + 3.0 * (row + 3) ** -0.5 + noise.gauss(0.0, 0.02), 4) for row in range(rows)]


def write_ray(trial: Path, losses: list[float]) -> None:
    """As Ray Tune writes a trial: each result twice, and the settings."""
    trial.mkdir(parents=True)
    results = [{"loss": loss, "training_iteration": row, "trial_id": "a1"} for row, loss in enumerate(losses, 1)]
    (trial / "result.json").write_text("".join(json.dumps({**each, "done": False}) + "\n" for each in results))
    lines = [",".join(results[0]), *(",".join(map(str, each.values())) for each in results)]
    (trial / "progress.csv").write_text("\n".join(lines) + "\n")
    (trial / "params.json").write_text('{"lr": 0.1}')


def write_mmengine(run: Path, losses: list[float]) -> None:
    """As mmengine writes a run: what it printed, and its numbers twice one folder below."""
    (run / "vis_data").mkdir(parents=True)
    line = "2024/01/01 10:10:10 - mmengine - INFO - Epoch(train) [1][{:>4}/3000]  lr: 2.0000e-02  loss: {:.4f}\n"
    (run / "20240101.log").write_text("".join(line.format(50 * row, loss) for row, loss in enumerate(losses, 1)))
    numbers = "".join(json.dumps({"lr": 0.02, "loss": x, "step": 50 * row}) + "\n" for row, x in enumerate(losses, 1))
    (run / "vis_data" / "20240101.json").write_text(numbers)
    (run / "vis_data" / "scalars.json").write_text(numbers)


def write_trainer(folder: Path, losses: list[float]) -> None:
    """As LLaMA-Factory writes a run: a line a row, the trainer's state, and lines of results."""
    folder.mkdir()
    rows = [{"loss": loss, "step": 10 * row, "learning_rate": 1e-5} for row, loss in enumerate(losses, 1)]
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": rows, "max_steps": 600}))
    lines = [{"current_steps": each["step"], "total_steps": 600, "loss": each["loss"]} for each in rows]
    (folder / "trainer_log.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    for name in ("all_results.json", "train_results.json"):
        (folder / name).write_text(json.dumps({"epoch": 4.0, "train_loss": 1.9}))


def test_a_run_that_is_written_down_twice_is_one_run(tmp_path: Path) -> None:
    """Whatever its files are called: the same losses in the same order; a line of results beside them is no log."""
    for trial in range(3):
        write_ray(tmp_path / "ray" / f"trial_{trial}", fall(trial))
    write_mmengine(tmp_path / "mm", fall(7))
    write_trainer(tmp_path / "llama", fall(8))

    opened = open_logs([tmp_path])

    folders = [log.path.relative_to(tmp_path).parent.as_posix() for log in opened.logs]
    assert ["llama", "mm/vis_data", "ray/trial_0", "ray/trial_1", "ray/trial_2"] == sorted(folders)
    assert [] == opened.unreadable
    assert 6 == sum("the same run is read from" in line for line in opened.passed_over)
    assert 2 == sum("one line of results" in line for line in opened.passed_over)


def test_runs_of_one_folder_that_are_alike_and_not_the_same_are_several(tmp_path: Path) -> None:
    """Two seeds, a constant loss twice, and a run beside what another printed."""
    for name, losses in (("a.csv", fall(1)), ("b.jsonl", fall(2)), ("c.csv", [0.5] * 60), ("d.jsonl", [0.5] * 60)):
        if name.endswith("csv"):
            text = "step,loss\n" + "".join(f"{row},{loss}\n" for row, loss in enumerate(losses, 1))
        else:
            text = "".join(json.dumps({"step": row, "loss": loss}) + "\n" for row, loss in enumerate(losses, 1))
        (tmp_path / name).write_text(text)

    assert 4 == len(open_logs([tmp_path]).logs)


def test_a_fork_is_a_run_and_not_a_copy(tmp_path: Path) -> None:
    """Also where its file is as long to the byte, where both are of one table, and where a log ended before it."""
    base = [round(2.0 + 3.0 * 0.99**row + 0.01 * (row % 7), 4) for row in range(2_400)]
    fork = [*base[:2_200], *[9.5] * 200]
    for name, losses in (("a.csv", base), ("b.csv", fork)):
        (tmp_path / name).write_text("loss\n" + "".join(f"{loss:.4f}\n" for loss in losses))
    table = [f"{run},{row},{x}\n" for run, all_of in (("c", base), ("d", fork)) for row, x in enumerate(all_of, 1)]
    (tmp_path / "table.csv").write_text("run,step,loss\n" + "".join(table))
    rows = [json.dumps({"step": row, "loss": loss + 1.0, "lr": 0.1}) for row, loss in enumerate(base, 1)]
    (tmp_path / "ended.json").write_text("\n".join(rows[:500]) + "\n")
    (tmp_path / "went_on.txt").write_text("".join(f"step {row} loss {x + 1.0:.4f}\n" for row, x in enumerate(base, 1)))

    opened = open_logs([tmp_path])

    assert {"a.csv": 1, "b.csv": 1, "table.csv": 2, "ended.json": 1, "went_on.txt": 1} == Counter(
        log.path.name for log in opened.logs
    )
    assert [] == opened.passed_over
