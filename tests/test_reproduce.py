"""Published numbers come out of the data behind them; where the data is not, the page says so."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scalewatch.cli import main
from scalewatch.errors import ConfigError
from scalewatch.reproduce import ROWS, Check, DataFolder, Outcome, Row, reproduce
from scalewatch.reproduce.e_detector import alarms, block_means

#: Rows that need no data.
FORMULAS = {6, 7, 18, 19, 20}
#: The row that measures time, which a busy machine may fail.
TIMED = 19

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run `scalewatch reproduce` without a folder in the environment: exit code, output, complaints."""
    monkeypatch.delenv("SCALEWATCH_DATA", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["scalewatch", "reproduce", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture(scope="module")
def folder(data_folder: Path) -> DataFolder:
    """The public runs, each file read once."""
    return DataFolder(data_folder)


def test_the_rows_are_those_of_the_headline_table() -> None:
    """All twenty, in order."""
    assert list(range(1, 21)) == [row.number for row in ROWS]


@pytest.mark.parametrize("row", [row for row in ROWS if row.number != TIMED], ids=lambda row: f"row{row.number}")
def test_a_row_agrees_with_what_was_published(row: Row, folder: DataFolder) -> None:
    """Each of its numbers within its tolerance."""
    result = row.run(folder)

    assert [] == [check for check in result.checks if not check.passed]
    assert Outcome.PASS is result.outcome


def test_every_row_without_its_data_says_what_is_missing() -> None:
    """Those that are formulas pass; none fails."""
    results = list(reproduce(DataFolder(None)))

    computed = [result for result in results if result.missing is None]
    assert FORMULAS == {result.row.number for result in computed}
    assert all("--data" in result.missing for result in results if result.missing is not None)
    assert not any(result.outcome is Outcome.FAIL for result in computed if result.row.number != TIMED)


def test_the_cost_of_a_row_is_measured() -> None:
    """In microseconds, so neither zero nor a second."""
    (check,) = next(iter(reproduce(DataFolder(None), [TIMED]))).checks

    assert 0.1 < check.ours < 1e4


def test_a_folder_that_lacks_the_rows_says_which(tmp_path: Path) -> None:
    """A file of other sources is as good as none."""
    (tmp_path / "scaling_points.csv").write_text("source,n_params\nother,1\n")

    result = next(iter(reproduce(DataFolder(tmp_path), [1])))

    assert Outcome.MISSING is result.outcome
    assert "chinchilla_fig4" in (result.missing or "")


def test_without_pandas_a_row_of_curves_says_what_to_install(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is missing, not failed."""
    monkeypatch.setitem(sys.modules, "pandas", None)

    result = next(iter(reproduce(DataFolder(data_folder), [9])))

    assert "pip install pandas pyarrow" in (result.missing or "")


def test_an_unknown_row_names_the_known_ones() -> None:
    """And no row is run."""
    with pytest.raises(ConfigError, match=r"no row 21: the rows are 1, 2, 3"):
        list(reproduce(DataFolder(None), [1, 21]))


@pytest.mark.parametrize(
    ("passed", "check"),
    [
        (True, Check("q", 2.0, 2.009, 0.005, "rel")),
        (False, Check("q", 2.0, 2.011, 0.005, "rel")),
        (True, Check("q", 2.0, 1.996, 0.005)),
        (False, Check("q", 2.0, float("nan"), 0.005)),
        (True, Check("q", 0.998, 0.9981, how="at least")),
        (False, Check("q", 0.998, 0.9979, how="at least")),
        (True, Check("q", 0.004, 0.0039, how="at most")),
        (False, Check("q", 0.004, float("nan"), how="at most")),
    ],
)
def test_a_number_passes_within_its_tolerance_only(passed: bool, check: Check) -> None:
    """Relative, absolute, or on one side of a bound; a number that is none never does."""
    assert passed is check.passed


def test_the_page_shows_published_ours_and_tolerance(say: Say) -> None:
    """Without data: exit code 0, because what can be computed agrees."""
    code, page, _ = say(*(f"--row={number}" for number in range(1, 21) if number != TIMED))

    assert 0 == code
    for needed in (
        "published",
        "tolerance",
        "Kaplan et al. 2020",
        "2.303551",
        "2.3036",
        "lack their data",
        "at most 0.5",
    ):
        assert needed in page, needed
    rows = page.partition("\n\n")[0].splitlines()
    assert max(map(len, rows)) <= 80


def test_without_data_it_is_said_where_they_come_from(say: Say) -> None:
    """Each table once, with its columns and where it is public; nothing that was not checked counts as wrong."""
    code, page, _ = say("--row", "1", "--row", "2", "--row", "9", "--row", "6")

    assert 0 == code
    assert "1 of 4 rows agree, 0 do not, 3 lack their data" in " ".join(page.split())
    assert 1 == page.count("epoch-research/analyzing-chinchilla")
    assert 1 == page.count("thu-yao-01-luo/MultiPowerLaw")


def test_a_row_that_measures_time_does_not_count_as_wrong(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no error of a law."""
    slow = Row(1, "slow", "nobody", lambda data: [Check("us", 1.0, 2.0, how="at most")], timed=True)
    monkeypatch.setattr("scalewatch.reproduce.table.ROWS", (slow,))

    code, page, _ = say()

    assert 0 == code
    assert "a busy machine is slower" in page


def test_a_row_that_fails_is_exit_1(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the number that does not agree is marked."""
    wrong = Row(1, "wrong", "nobody", lambda data: [Check("q", 1.0, 2.0, 0.1)])
    monkeypatch.setattr("scalewatch.reproduce.table.ROWS", (wrong,))

    code, page, _ = say()

    assert 1 == code
    assert 1 == page.count("fail")
    assert "1 do not" in page


def test_a_folder_that_is_none_is_exit_2(say: Say) -> None:
    """One line, and no row is run."""
    code, out, err = say("--data", "nowhere")

    assert (2, "") == (code, out)
    assert "--data must be a folder (got 'nowhere')" in err


def test_rows_are_json_for_machines(say: Say) -> None:
    """With every number, published and ours."""
    code, out, _ = say("--row", "20", "--json")
    (row,) = json.loads(out)["rows"]

    assert (0, 20, "pass") == (code, row["row"], row["outcome"])
    assert pytest.approx(row["checks"][0]["published"], abs=0.005) == row["checks"][0]["ours"]


def test_the_law_test_keeps_its_promise_on_noise_with_a_small_mean() -> None:
    """No more than an alarm every 157 blocks a side while the mean stays within half a scale."""
    noise = np.random.default_rng(3).standard_normal((50, 2_000)) * 1e-3
    noise[:, 1_000:] += 0.4e-3

    assert alarms(noise).mean() < 2 / 157


def test_the_law_test_sees_a_shift_on_either_side_and_begins_anew() -> None:
    """A shift of six scales is seen within three blocks, and once taken into the level raises no more alarms."""
    noise = np.random.default_rng(4).standard_normal((2, 400)) * 1e-3
    noise[0, 200:] += 6e-3
    noise[1, 200:] -= 6e-3

    raised = alarms(noise)

    assert [False, False] == raised[:, :200].any(axis=1).tolist()
    assert [True, True] == raised[:, 200:203].any(axis=1).tolist()
    assert not raised[:, 300:].any()


def test_block_means_leave_the_last_part_of_a_block_out() -> None:
    """Means of 64 in order."""
    np.testing.assert_allclose([31.5, 95.5], block_means(np.arange(150.0)))
