"""`scalewatch plan` as somebody types it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scalewatch.cli import main
from scalewatch.errors import ConfigError
from scalewatch.fitting.chinchilla import fit_chinchilla
from scalewatch.fitting.chinchilla_file import SavedChinchilla, save_chinchilla
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.size import total
from scalewatch.plan import Estimate
from scalewatch.plan.quantities import count, interval, number, percent, quantity, ratio, span, with_interval

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run `scalewatch plan` in this process: exit code, what it printed, what it complained of."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["scalewatch", "plan", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def test_the_page_holds_what_a_planner_needs(say: Say) -> None:
    """Optimum with intervals, flatness, both trade-offs, the rule of 20, the schedule and the next gain."""
    code, page, _ = say("--flops", "1e21")

    assert 0 == code
    for needed in (
        "Besiroglu et al. 2024",
        "80 % interval",
        "2.78B",
        "60.0B",
        "2.50B to 3.09B",
        "2.3055",
        "ends within 0.01 nats of the best",
        "of a single run",
        "2.2832 to 2.3286",
        "The next 0.01 nats cost 12.3 %",
        "isoFLOP",
        "isoLoss",
        "20 tokens a parameter",
        "Kaplan 2020",
        "end its decay with the tokens",
    ):
        assert needed in " ".join(page.split()), needed


@pytest.mark.parametrize(
    "arguments",
    [
        ("--flops", "1e21", "--parameters", "7B", "--serve-tokens", "1T", "--unique-tokens", "10B"),
        ("--hours", "100", "--hardware", "h100", "--devices", "8"),
        ("--target-loss", "2.0"),
        ("--law", "kaplan", "--flops", "1e20"),
    ],
)
def test_the_page_fits_a_hundred_columns(say: Say, arguments: tuple[str, ...]) -> None:
    """No line is wider, and no number is cut off."""
    code, page, _ = say(*arguments)

    assert 0 == code
    assert max(map(len, page.splitlines())) <= 100
    assert "…" not in page


@pytest.mark.parametrize("more", [(), ("--parameters", "7B", "--serve-tokens", "1T", "--unique-tokens", "10B")])
def test_on_eighty_columns_numbers_stay_whole(say: Say, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]) -> None:
    """The first table keeps its intervals, the others leave them out."""
    monkeypatch.setenv("COLUMNS", "80")
    _, page, _ = say("--flops", "1e21", *more)

    assert "…" not in page
    assert "53.9B to 66.7B" in page
    assert max(map(len, page.splitlines())) <= 80


def test_hours_on_hardware_show_the_time(say: Say) -> None:
    """The hardware is in the title, the time in the table and the price of a gain in hours."""
    _, page, _ = say("--hours", "100", "--hardware", "h100", "--devices", "8")

    assert "Plan for 100 hours on 8 x h100 at 40 % of peak" in page
    assert re.search(r"time\s+100 h", page)
    assert re.search(r"FLOP,\s+\d+\.\d h\.", page)


def test_hardware_without_hours_is_named_in_the_title(say: Say) -> None:
    """A time means nothing without what it is on."""
    _, page, _ = say("--target-loss", "2.0", "--hardware", "h100", "--devices", "64")

    assert "Plan for a loss of 2 nats/token on 64 x h100 at 40 % of peak" in page
    assert re.search(r"time\s+113 days", page)


def test_a_size_and_a_loss_show_what_the_size_costs(say: Say) -> None:
    """Beside the cheapest run to the loss, with every interval whole on eighty columns."""
    _, page, _ = say("--target-loss", "2.1", "--tokens", "1T")

    assert "Yours takes 53.3 % more compute than the best run to this loss." in page
    assert "2.81 to 4.05e22" in page


def test_the_simplest_page_is_a_screen(say: Say) -> None:
    """Fifty lines of eighty columns at most."""
    _, page, _ = say("--flops", "1e21")

    assert len(page.splitlines()) <= 50


def test_a_plan_can_be_drawn(say: Say, tmp_path: Path) -> None:
    """With a line of equal loss through the best size, which is a dot, in both themes."""
    chart, page = tmp_path / "plan.json", tmp_path / "plan.svg"

    code, out, _ = say("--flops", "1e21", "--parameters", "7B", "--out", str(chart))
    say("--flops", "1e21", "--out", str(page), "--dark")

    drawn = chart.read_text()
    assert 0 == code
    assert f"Drawn to {chart}." in out
    assert "1.00e21 FLOP: best with 2.78B parameters (2.50B to 3.09B) on 60.0B tokens" in drawn
    assert "Yours is the dot at 7.00B." in drawn
    assert page.read_text().startswith("<svg")


def test_a_law_not_to_be_relied_on_is_said_so_before_the_numbers(say: Say, tmp_path: Path) -> None:
    """Twelve runs whose sizes and tokens rise together."""
    law, path, size = Chinchilla.besiroglu(), tmp_path / "points.law.json", np.geomspace(1e8, 1e10, 12)
    noise = np.exp(0.004 * np.random.default_rng(1).standard_normal(len(size)))
    loss = law.loss(total(size), 20 * size) * noise
    save_chinchilla(SavedChinchilla.of(fit_chinchilla(total(size), 20 * size, loss)), path)

    code, page, _ = say("--flops", "1e20", "--law", str(path), "--out", str(tmp_path / "plan.json"))

    assert 0 == code
    assert "Not to be relied on" in (tmp_path / "plan.json").read_text()
    assert 0 < page.index("not to be relied on") < page.index("cannot be told apart") < page.index("best")


def test_a_cosine_longer_than_the_tokens_is_warned_of(say: Say) -> None:
    """With the step at which the tokens run out and the rate that is left there."""
    _, page, _ = say("--flops", "1e21", "--batch-tokens", "1M", "--schedule-steps", "100000")

    said = " ".join(page.split())
    assert "67 % longer than the tokens" in said
    assert "Plan 59,985 steps" in said


def test_outside_of_the_law_the_page_says_so(say: Say) -> None:
    """1e26 FLOP lie far beyond the runs behind it."""
    _, page, _ = say("--flops", "1e26")

    assert "unreliable past 10x" in page


def test_json_is_for_machines(say: Say) -> None:
    """The same numbers, and nothing else on the output."""
    code, out, _ = say("--flops", "1e21", "--json")
    record = json.loads(out)

    assert 0 == code
    assert pytest.approx(2.7785e9, rel=1e-3) == record["best"]["parameters"]["value"]
    assert record["best"]["parameters"]["low"] < record["best"]["parameters"]["value"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "Nothing to plan for"),
        (("--flops", "-3"), "--flops [FLOP] must lie between 1e9 and 1e32 (got -3.0)"),
        (("--flops", "many"), "--flops must be a number such as 7e9, 7B or 1.4T (got 'many')"),
        (("--flops", "1e21", "--parameters", "7B", "--tokens", "1T"), "leave one of the three out"),
        (("--target-loss", "1.7"), "--target-loss must be above 1.817 nats/token"),
        (("--hours", "3", "--hardware", "abacus"), "There is no hardware 'abacus'"),
        (("--hours", "3", "--hardware", "h100", "--devices", "1.5"), "--devices must be a whole number"),
        (("--flops", "1e20", "--law", "nowhere"), "There is no law 'nowhere'"),
        (("--flops", "1e20", "--schedule-steps", "1000"), "--schedule-steps need --batch-tokens"),
        (("--flops", "1e40"), "--flops [FLOP] must lie between 1e9 and 1e32 (got 1e+40)"),
        (("--flops", "0"), "--flops [FLOP] must lie between 1e9 and 1e32"),
        (("--parameters", "10"), "--parameters [count] must lie between 1e3 and 1e18"),
        (("--flops", "1e20", "--mfu", "0.5"), "--mfu needs --hardware"),
        (("--flops", "1e20", "--devices", "8"), "--devices needs --hardware"),
        (("--hours", "3"), "--hours need --hardware"),
        (("--flops", "1e20", "--law", ""), "There is no law ''"),
        (("--flops", "1e20", "--law", "/"), "There is no law '/'"),
        (("--flops", "1e20", "--out", "plan.pdf"), "must end in .png, .svg, .html or .json"),
        (("--parameters", "1B", "--target-loss", "1.9"), "it takes more than 6.69e"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(say: Say, arguments: tuple[str, ...], word: str) -> None:
    """No traceback, and options named as they are typed."""
    code, out, err = say(*arguments)

    assert (2, "") == (code, out)
    assert 1 == len(err.splitlines())
    assert word in err


@pytest.mark.parametrize(
    ("typed", "number"), [("7e9", 7e9), ("7B", 7e9), ("1.4t", 1.4e12), ("1,000", 1e3), ("350 M", 3.5e8), (".4", 0.4)]
)
def test_numbers_are_read_as_people_type_them(typed: str, number: float) -> None:
    """With a suffix, an exponent or commas."""
    assert pytest.approx(number) == quantity("--tokens", typed)


@pytest.mark.parametrize("typed", ["", "B", "7 billion", "nan", "inf", "1e", "0x10"])
def test_what_is_no_number_is_refused(typed: str) -> None:
    """The option is named."""
    with pytest.raises(ConfigError, match="--tokens must be a number"):
        quantity("--tokens", typed)


def test_numbers_are_shown_in_three_digits() -> None:
    """Zeros at the end included; times turn from hours to days."""
    assert ["999", "1.00k", "60.0B", "1.00B", "1.40T", "1.26e15"] == [
        count(value) for value in (999, 999.9, 6e10, 9.999e8, 1.4e12, 1.26e15)
    ]
    assert ["12.3 %", "0.500 %", "101 %", "16.0 times"] == [percent(share) for share in (0.123, 0.005, 1.01, 15.0)]
    assert ["30.0 min", "5.00 h", "41.7 days"] == [span(hours) for hours in (0.5, 5.0, 1000.0)]
    assert ["20.0", "10.0", "1.00", "0.00100", "2.3e-4"] == [ratio(v) for v in (20, 9.999, 0.9999, 0.001, 2.3e-4)]


def test_intervals_name_their_unit_once() -> None:
    """And have no upper end where none is known."""
    told = Estimate(0.12, 0.11, 0.13)

    assert ("11.0 to 13.0 %", "12.0 % (11.0 to 13.0)") == (interval(told, percent), with_interval(told, percent))
    assert "2.81 to 4.05e22" == interval(Estimate(3e22, 2.81e22, 4.05e22), number)
    assert "75.8 to 191 days" == interval(Estimate(2700, 1820, 4584), span)
    assert "20.0 h to 5.00 days" == interval(Estimate(100, 20, 120), span)
    assert "from 1.00B up" == interval(Estimate(2e9, 1e9, float("inf")), count)
    assert "2.00B" == with_interval(Estimate(2e9), count)
