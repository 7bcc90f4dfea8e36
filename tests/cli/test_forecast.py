"""`scalewatch forecast` and `scalewatch sweep` on logs of runs, finished, cut off, and of bad ones."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalewatch.laws import save_law
from tests.synthetic import TrueLaw, cosine, fitted, noisy, wsd

TOTAL, SIZE = 1_500, 8e6
Floats = np.ndarray


def write(path: Path, losses: Floats, rates: Floats | None = None, column: str = "train_loss") -> Path:
    """A CSV log, a row a step."""
    head = f"step,{column}" + ("" if rates is None else ",lr")
    lines = [f"{n},{y}" + ("" if rates is None else f",{rates[n - 1]}") for n, y in enumerate(losses.tolist(), 1)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def curve(plan: Floats, seed: int = 1, noise: float = 0.01) -> Floats:
    return noisy(TrueLaw().losses(plan, SIZE), noise, seed)


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A whole run on a cosine."""
    plan = cosine(TOTAL)
    return write(tmp_path / "run.csv", curve(plan), plan)


def told(said: Any) -> dict[str, Any]:
    return dict(json.loads(said.out))


def test_it_says_what_it_would_have_said_and_how_right_that_was(finished: Path, scalewatch: Callable[..., Any]) -> None:
    """The sentence for 30 %, a row a tenth with intervals that narrow, the truth, and what held it."""
    said = scalewatch("forecast", finished)

    assert 0 == said.code, said.err
    assert "At 30 % (step 450): it will end at" in said.out
    assert "It ended at" in said.out
    assert "held by" in said.out
    assert "inside, the forecast" in said.out or "OUTSIDE, the forecast" in said.out
    assert "The rates of the whole log count as planned." in said.out
    rows = told(scalewatch("forecast", finished, "--json"))
    assert [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9] == [row["at"] for row in rows["forecasts"]]
    widths = [np.diff(row["intervals"]["0.8"])[0] for row in rows["forecasts"] if "final_loss" in row]
    assert widths[-1] < 0.5 * widths[0]
    last = rows["forecasts"][-1]["intervals"]["0.95"]
    assert last[0] < rows["final_loss"] < last[1]


def test_it_sees_no_row_beyond_the_part_that_was_asked_for(
    finished: Path, tmp_path: Path, scalewatch: Callable[..., Any]
) -> None:
    """A log cut off there says the same, but for the truth, when its plan is told."""
    plan = cosine(TOTAL)
    cut = write(tmp_path / "cut.csv", curve(plan)[:500], plan[:500])
    whole = told(scalewatch("forecast", finished, "--schedule", "cosine", "--json"))
    part = told(scalewatch("forecast", cut, "--total-steps", TOTAL, "--schedule", "cosine", "--json"))

    assert 0.3 == part["forecasts"][-1]["at"]
    assert whole["forecasts"][2]["intervals"] == part["forecasts"][-1]["intervals"]
    assert part["final_loss"] is None


def test_the_laws_that_compete_are_shown_with_their_weights(
    finished: Path, tmp_path: Path, scalewatch: Callable[..., Any]
) -> None:
    """Without a law those of public runs; with one it is among them. In the text and in JSON."""
    save_law(fitted(), tmp_path / "law.json")
    options = ("forecast", finished, "--law", tmp_path / "law.json")
    alone = told(scalewatch("forecast", finished, "--json"))["forecasts"][2]["laws"]
    with_law = told(scalewatch(*options, "--json"))["forecasts"][2]["laws"]

    assert "law of smaller runs" not in alone
    assert "law of smaller runs" in with_law
    assert pytest.approx([1.0, 1.0]) == [sum(alone.values()), sum(with_law.values())]
    assert "Method: annealing law fitted on public runs, a decay as a part of" in scalewatch("forecast", finished).out


def test_pictures(finished: Path, tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """In the terminal out of Braille, and as a file."""
    pytest.importorskip("vl_convert")
    said = scalewatch("forecast", finished, "--chart", "--out", tmp_path / "run.svg")

    assert "said at 30 %, 80 %" in said.out
    assert any(0x2800 < ord(letter) < 0x2900 for letter in said.out)
    assert "It ended at" in (tmp_path / "run.svg").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--at", "0"], "`--at`"),
        (["--at", "1.5"], "`--at`"),
        (["--schedule", "triangle"], "`--schedule`"),
        (["--unit", "joule"], "`--unit`"),
        (["--total-steps", "9000"], "ends at 0.166 of the plan"),
        (["--out", "picture.gif"], ".png"),
    ],
)
def test_an_option_that_is_none_is_refused(
    options: list[str], words: str, finished: Path, scalewatch: Callable[..., Any]
) -> None:
    """One line on stderr, exit code 2."""
    said = scalewatch("forecast", finished, *options)

    assert 2 == said.code
    assert words in said.err


# --- bad input ------------------------------------------------------------------------------------


def test_a_perplexity_is_taken_as_one_by_its_name_and_asked_about_without(
    tmp_path: Path, scalewatch: Callable[..., Any]
) -> None:
    """Its logarithm is forecast; a number that no loss of text has may be one, and is refused where it is of text."""
    plan = cosine(TOTAL)
    known = write(tmp_path / "known.csv", np.exp(curve(plan) + 1.0), plan, "train_ppl")
    unknown = write(tmp_path / "unknown.csv", np.exp(curve(plan) + 1.0), plan)

    said = scalewatch("forecast", known, "--column", "loss=train_ppl", "--json")
    assert 0 == said.code, said.err
    assert curve(plan)[-30:].mean() + 1.0 == pytest.approx(told(said)["final_loss"], abs=0.01)
    assert any("perplexity" in note for note in told(said)["notes"])
    assert "--unit perplexity" in scalewatch("forecast", unknown).out
    text = write(tmp_path / "text.csv", np.exp(curve(plan) + 1.0), plan, "lm_loss")
    no = scalewatch("forecast", text)
    assert 2 == no.code
    assert "--unit perplexity" in no.err
    assert 0 == scalewatch("forecast", unknown, "--unit", "perplexity").code


def test_bits_become_nats(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """By their name, or where somebody says so; and not twice."""
    plan = cosine(TOTAL)
    named = write(tmp_path / "named.csv", curve(plan) / math.log(2), plan, "train_loss_bits")
    plain = write(tmp_path / "plain.csv", curve(plan) / math.log(2), plan)
    options = ["--column", "loss=train_loss_bits"]
    ends = [
        told(scalewatch("forecast", named, *options, "--json"))["final_loss"],
        told(scalewatch("forecast", plain, "--unit", "bits", "--json"))["final_loss"],
    ]

    assert [curve(plan)[-30:].mean()] * 2 == pytest.approx(ends, rel=1e-6)
    twice = scalewatch("forecast", named, *options, "--unit", "bits")
    assert 2 == twice.code
    assert "not needed" in twice.err


def test_a_loss_that_rises_is_doubted_in_so_many_words(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """The upturn of many epochs over little data: no law of falling curves holds."""
    plan = cosine(TOTAL)
    up = curve(plan) * (1.0 + 0.0004 * np.maximum(np.arange(TOTAL) - 700, 0))
    said = scalewatch("forecast", write(tmp_path / "run.csv", up, plan), "--at", "0.9")

    assert 1 == said.code
    assert "there is no forecast" in said.out
    assert "has been rising since step" in said.out
    assert "will end at" not in said.out


def test_a_model_that_recites_its_data_is_doubted(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """Fine-tuning near a loss of zero."""
    step = np.arange(1, TOTAL + 1)
    near = (0.02 + 1.2 * np.exp(-step / 150)) * np.exp(0.02 * np.random.default_rng(0).standard_normal(TOTAL))
    named = write(tmp_path / "run.csv", near, cosine(TOTAL))
    named.write_text(named.read_text().replace("loss", "lm_loss", 1))
    said = scalewatch("forecast", named, "--at", "0.7")

    assert 1 == said.code
    assert "recites its data" in said.out
    assert "will end at" not in said.out


def test_rates_that_leave_the_plan_are_told(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """A schedule that changed in mid-run: the rates to come are unknown from there on, and that is said."""
    plan = cosine(TOTAL)
    taken = np.where(np.arange(TOTAL) < 600, plan, 0.2 * plan)
    log = write(tmp_path / "run.csv", curve(taken), taken)
    said = scalewatch("forecast", log, "--schedule", "cosine", "--at", "0.6")

    assert "are not those of --schedule cosine" in said.out
    assert "left its plan at step 601" in said.out


def test_a_length_that_was_wrong_is_told(finished: Path, scalewatch: Callable[..., Any]) -> None:
    """The log goes on beyond its plan."""
    said = scalewatch("forecast", finished, "--total-steps", 1_000)

    assert "beyond the 1,000 planned: the length was wrong" in said.out


def test_a_ladder_of_another_tokenizer_is_not_believed(
    finished: Path, tmp_path: Path, scalewatch: Callable[..., Any]
) -> None:
    """Its law contradicts the run's own curve, and the forecast says that it counts for less."""
    save_law(fitted(TrueLaw(floor=2.9)), tmp_path / "law.json")
    said = scalewatch("forecast", write_run(tmp_path), "--law", tmp_path / "law.json", "--at", "0.5")

    assert "The run is off its law, which counts for less here." in said.out


def write_run(folder: Path) -> Path:
    """The journal of a run that says its size, for a law with one."""
    from scalewatch import Run
    from scalewatch.journal import JournalWriter, observation_record
    from tests.synthetic import rows

    plan = cosine(TOTAL)
    run = Run("sized", learning_rates=plan, parameters=int(SIZE), tokens_per_step=2_000)
    writer = JournalWriter(folder / "sized", run)
    for row in rows(curve(plan), plan):
        writer.append(observation_record(row))
    writer.close()
    return folder / "sized"


def test_without_rates_the_interval_spans_what_nobody_knows(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """And says so; with the schedule named it is narrower."""
    log = write(tmp_path / "run.csv", curve(cosine(TOTAL)))
    blind, named = (told(scalewatch("forecast", log, "--json", *o)) for o in ([], ["--schedule", "cosine"]))

    assert any("no learning rates" in note for note in blind["notes"])
    at = [np.diff(each["forecasts"][4]["intervals"]["0.8"])[0] for each in (blind, named)]
    assert at[1] < at[0]


def test_a_folder_of_runs_is_for_sweep(finished: Path, scalewatch: Callable[..., Any]) -> None:
    """And says which command is."""
    write(finished.parent / "other.csv", curve(cosine(TOTAL), 2), cosine(TOTAL))
    said = scalewatch("forecast", finished.parent)

    assert 2 == said.code
    assert "scalewatch sweep" in said.err


# --- a sweep --------------------------------------------------------------------------------------


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Five runs at 60 % of a schedule, one hopeless, one lost."""
    plan = wsd(TOTAL, decay=0.8)
    upto = int(0.6 * TOTAL)
    for name, above in (("best", 0.0), ("close", 0.002), ("worse", 0.25), ("bad", 0.6)):
        write(tmp_path / "sweep" / f"{name}.csv", curve(plan)[:upto] + above, plan[:upto])
    lost = curve(plan)[:upto]
    lost[500:] = np.nan
    write(tmp_path / "sweep" / "lost.csv", lost, plan[:upto])
    return tmp_path / "sweep"


def test_a_sweep_names_the_runs_to_stop_and_what_that_saves(runs: Path, scalewatch: Callable[..., Any]) -> None:
    """The hopeless and the lost; the close one waits for the best. Exit code 1: there is something to do."""
    said = scalewatch("sweep", runs, "--total-steps", TOTAL, "--schedule", "linear", "--json")
    by_name = {run["run"]: run for run in told(said)["runs"]}

    assert 1 == said.code
    assert {"worse", "bad", "lost"} == {name for name, run in by_name.items() if run["action"] == "stop"}
    assert {"run", "pause"} == {by_name[name]["action"] for name in ("best", "close")}
    assert by_name["lost"]["lost"]
    assert told(said)["expected_regret"] <= 0.001
    assert 1_800 == told(said)["saved_steps"]
    text = scalewatch("sweep", runs, "--total-steps", TOTAL, "--schedule", "linear").out
    assert "Of 5 runs stop 3, pause 1, go on with 1. Stopping saves 1,800 steps" in text.replace("\n", " ")
    assert "above the best of all" in text.replace("\n", " ")


def test_once_a_run_has_ended_a_paused_one_is_resumed(runs: Path, scalewatch: Callable[..., Any]) -> None:
    """The leader ended no better than forecast: the close one goes on, compared with it."""
    plan = wsd(TOTAL, decay=0.8)
    write(runs / "best.csv", curve(plan) + 0.002, plan)
    write(runs / "close.csv", curve(plan)[: int(0.6 * TOTAL)], plan[: int(0.6 * TOTAL)])
    said = scalewatch("sweep", runs, "--total-steps", TOTAL, "--schedule", "wsd", "--json")
    by_name = {run["run"]: run for run in told(said)["runs"]}

    assert "best" == told(said)["leader"]
    assert {"best": "ended", "close": "run"} == {name: by_name[name]["action"] for name in ("best", "close")}
    assert "best" == by_name["close"]["sibling"]
    low, high = by_name["close"]["interval"]
    assert low < by_name["close"]["forecast"] < high


def test_a_sweep_that_has_ended_has_nothing_to_stop(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """Exit code 0; looked back to, it has."""
    plan = wsd(TOTAL, decay=0.8)
    for name, above in (("best", 0.0), ("bad", 0.6)):
        write(tmp_path / "sweep" / f"{name}.csv", curve(plan) + above, plan)
    now, then = (scalewatch("sweep", tmp_path / "sweep", *o) for o in ([], ["--at", "0.5"]))

    assert [0, 1] == [now.code, then.code]
    assert "there is nothing to stop" in now.out
    assert "Of 2 runs stop 1, go on with 1." in then.out


def test_runs_that_were_cut_off_are_not_told_to_have_ended(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """Their rates are still high, and no log says a length; a file of settings beside them does. A copy counts once."""
    plan = cosine(TOTAL)
    upto = int(0.3 * TOTAL)
    for name, above in (("best", 0.0), ("bad", 0.6), ("best (copy)", 0.0)):
        write(tmp_path / "sweep" / f"{name}.csv", curve(plan)[:upto] + above, plan[:upto])
    alone = scalewatch("sweep", tmp_path / "sweep")
    (tmp_path / "sweep" / "config.json").write_text(json.dumps({"lr": 1e-3, "max_steps": TOTAL}))
    beside = scalewatch("sweep", tmp_path / "sweep")

    assert "Whether these runs have ended is not known" in " ".join(alone.out.split())
    assert "best (copy) is a copy of best" in alone.out
    assert "Of 2 runs stop 1, go on with 1." in beside.out
    assert f"{TOTAL:,} steps, is that of config.json" in " ".join(beside.out.split())


def test_a_sweep_of_accuracies_does_not_take_the_worst_for_the_best(
    tmp_path: Path, scalewatch: Callable[..., Any]
) -> None:
    """Even where somebody names it as the loss."""
    for name, best in (("a", 0.7), ("b", 0.8)):
        write(tmp_path / "sweep" / f"{name}.csv", best * (1 - np.exp(-np.arange(1, 40) / 9)), column="val_accuracy")
    said = scalewatch("sweep", tmp_path / "sweep", "--column", "loss=val_accuracy")

    assert 2 == said.code
    assert "'val_accuracy' is better the higher" in said.err


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [("--budget", "2", "a part of the loss"), ("--at-once", "0", "1 or more"), ("--at", "7", "a part of the runs")],
)
def test_a_number_that_no_sweep_has_is_refused_in_a_sentence(
    runs: Path, option: str, value: str, words: str, scalewatch: Callable[..., Any]
) -> None:
    """With the option's name and what it may be."""
    said = scalewatch("sweep", runs, option, value)

    assert 2 == said.code
    assert f"`{option}`" in said.err
    assert words in said.err


def test_a_sweep_of_one_run_is_none(finished: Path, scalewatch: Callable[..., Any]) -> None:
    """One line, exit code 2."""
    said = scalewatch("sweep", finished)

    assert 2 == said.code
    assert "two or more" in said.err
