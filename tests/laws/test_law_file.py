"""A law file is data from anywhere: read whole or refused in one clear line (S5)."""

from __future__ import annotations

import json
import math
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scalewatch import Monitor, Run
from scalewatch.errors import ConfigError, LawFileError
from scalewatch.laws import CurveLaw, load_law, save_law
from tests.synthetic import TrueLaw, cosine, fitted, planned, rows, watch

#: CPU seconds that a refusal may take (S5: 0.1), and MiB that it may add to what the tests hold.
CPU_SECONDS = 0.1
MEMORY_MIB = 50


@pytest.fixture(scope="module")
def law() -> CurveLaw:
    """A law like any other."""
    return fitted()


@pytest.fixture
def path(tmp_path: Path, law: CurveLaw) -> Path:
    """A file that holds it."""
    file = tmp_path / "ladder.law.json"
    save_law(law, file)
    return file


def record_in(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def refusal(path: Path) -> str:
    """The one LawFileError that reading gives: it names the file, is one line, and comes at once."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with pytest.raises(LawFileError) as refused:
        load_law(path)

    assert time.process_time() - began < CPU_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - size < MEMORY_MIB * 1024
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert 1 == message.count(str(path))
    assert 1 == len(message.splitlines())
    assert len(message) < len(str(path)) + 350
    assert refused.value.__cause__ is None
    return message


# --- what comes back ------------------------------------------------------------------------------


def test_a_law_comes_back_bit_for_bit(law: CurveLaw, path: Path) -> None:
    """All numbers and sentences of a law are in its file."""
    back = load_law(path)

    for name in CurveLaw.__slots__:
        expected, actual = getattr(law, name), getattr(back, name)
        if isinstance(expected, np.ndarray):
            expected, actual = expected.tolist(), actual.tolist()
        assert expected == actual, name


def test_a_law_that_came_back_predicts_the_same(law: CurveLaw, path: Path) -> None:
    """A colleague's copy of a law gives the same forecast."""
    run = planned(cosine(900))
    one, other = (Monitor(run, each).forecast() for each in (law, load_law(path)))

    assert one is not None
    assert other is not None
    assert (one.final_loss, one.interval()) == (other.final_loss, other.interval())


def test_a_file_is_plain_readable_json(path: Path) -> None:
    """A person may open it: one object with its kind and version, and no number that JSON does not have."""
    record = json.loads(path.read_text("utf-8"), parse_constant=lambda name: pytest.fail(name))

    assert ("annealing_curve_law", 1) == (record["kind"], record["schema"])


def test_a_link_to_a_law_is_a_law(path: Path) -> None:
    """People link the newest law to one name."""
    link = path.with_name("newest.law.json")
    link.symlink_to(path)

    assert 3 == load_law(link).evidence.runs


def test_saving_again_replaces_the_file_and_leaves_nothing_beside_it(law: CurveLaw, path: Path) -> None:
    """The file appears whole or not at all, and the draft is gone."""
    save_law(law, path)

    assert [path] == list(path.parent.iterdir())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: folder / "file" / "law.json",
        lambda folder: folder,
        lambda folder: folder / "nul\0" / "law.json",
        lambda folder: folder / ("x" * 300 + ".json"),
    ],
    ids=["below-a-file", "a-folder", "nul", "long-name"],
)
def test_a_law_that_cannot_be_written_is_one_error(
    law: CurveLaw, tmp_path: Path, spoil: Callable[[Path], Path]
) -> None:
    """The message says so, and nothing is left behind."""
    (tmp_path / "file").write_text("x")

    with pytest.raises(LawFileError, match="cannot be written"):
        save_law(law, spoil(tmp_path))

    assert ["file"] == os.listdir(tmp_path)


# --- what is no law file --------------------------------------------------------------------------


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link_to(target: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return make


def holds(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def field(name: str, text: str) -> Callable[[Path], None]:
    """The good file with `text` as the value of one field."""

    def make(path: Path) -> None:
        record = record_in(path)
        record[name] = "@"
        path.write_text(json.dumps(record).replace('"@"', text))

    return make


HOSTILE_FILES: dict[str, Callable[[Path], Any]] = {
    "missing": Path.unlink,
    "folder": folder,
    "pipe-nobody-writes": pipe,
    "dev-zero": link_to("/dev/zero"),
    "dev-null": link_to("/dev/null"),
    "dangling-link": link_to("nowhere"),
    "link-to-itself": lambda path: (path.unlink(), path.symlink_to(path.name)),
    "empty": holds(b""),
    "not-json": holds(b"alpha: 0.5\n"),
    "nested-brackets": holds(b"[" * 100_000),
    "nested-objects": holds(b'{"a":' * 100_000),
    "long-integer": field("alpha", "1" * 5_000),
    "overflowing-integer": field("alpha", "1" * 4_000),
    "overflowing-float": field("alpha", "1e400"),
    "nan": field("alpha", "NaN"),
    "infinity": field("alpha", "Infinity"),
    "bom": lambda path: path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes()),
    "utf-16": lambda path: path.write_text(path.read_text(), encoding="utf-16"),
    "latin-1": lambda path: path.write_bytes(path.read_bytes() + b"\xe9"),
    "two-mebibyte": lambda path: path.write_bytes(path.read_bytes() + b" " * (2 << 20)),
    "two-objects": lambda path: path.write_bytes(2 * path.read_bytes()),
    "a-list": holds(b"[1, 2]"),
    "a-number": holds(b"3"),
    "pickle": holds(b"\x80\x04\x95\x00\x00\x00"),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("spoil", HOSTILE_FILES.values(), ids=HOSTILE_FILES.keys())
def test_a_hostile_file_is_one_error_that_names_it(path: Path, spoil: Callable[[Path], Any]) -> None:
    """Whatever stands there, it does not hang, fill the memory or end in an exception of the parser."""
    spoil(path)

    refusal(path)


def test_a_link_to_a_hostile_file_is_refused_too(path: Path, tmp_path: Path) -> None:
    """What counts is where a link leads."""
    path.write_bytes(b"[" * 100_000)
    link = tmp_path / "link.json"
    link.symlink_to(path)

    assert "nested too deep" in refusal(link)


def test_a_file_cut_anywhere_is_refused(path: Path) -> None:
    """Truncated at each byte but the newline after the last brace, it is an error and never half a law."""
    for length in reversed(range(len(path.read_bytes()) - 1)):
        os.truncate(path, length)
        with pytest.raises(LawFileError):
            load_law(path)


def test_a_missing_field_is_named(path: Path) -> None:
    """Each of them."""
    whole = record_in(path)
    for name in whole:
        path.write_text(json.dumps({k: v for k, v in whole.items() if k != name}))

        assert f"`{name}`" in refusal(path)


def test_an_unknown_field_is_named_without_its_tricks(path: Path) -> None:
    """A name with a newline and an escape sequence is shown, not obeyed."""
    record = record_in(path) | {"al\n\x1b[2Jpha\ud800": 1}
    path.write_text(json.dumps(record))

    message = refusal(path)
    assert "unknown" in message
    assert "\x1b" not in message
    assert message.encode("utf-8")


def test_a_field_given_twice_is_refused(path: Path) -> None:
    """Which of the two would count, nobody can tell."""
    path.write_text(path.read_text().replace('"alpha":', '"alpha": 0.5, "alpha":', 1))

    assert "twice" in refusal(path)


WRONG_VALUES = ("null", "true", '"0.5"', "[]", "{}", "[0.5]", "-1e31", "1e31", "-1", '"\\ud800"')


@pytest.mark.parametrize("value", WRONG_VALUES)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(path: Path, value: str) -> None:
    """Each field of the file in turn, with a value of a wrong type or beyond its range."""
    whole = path.read_text()
    for name, right in record_in(path).items():
        if name == "left_out" and value == "[]":
            continue
        field(name, value)(path)

        assert f"`{name}" in refusal(path), right
        path.write_text(whole)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("alpha", 0.0, "between"),
        ("run_log_sd", 0.0, "between"),
        ("remaining_log_sd", 0.0, "between"),
        ("parameters", [0, 0, 0, 0], "5 numbers"),
        ("parameters", [800, 0, 0, 0, 0], "between"),
        ("parameters", [0, 0, 0, 0, None], "number"),
        ("covariance", [[1, 0, 0, 0, 0]] * 4, "5 lists"),
        ("covariance", (-np.eye(5)).tolist(), "symmetric and positive"),
        ("covariance", np.triu(np.ones((5, 5))).tolist(), "symmetric and positive"),
        ("sizes", [4e6, 1e6], "least and the most"),
        ("lr_sums", [0, 1e6], "between"),
        ("lr_sum_unit", "epochs", "one of tokens, steps"),
        ("size_kind", "active", "one of total"),
        ("schema", 2, "must be 1"),
        ("schema", True, "must be 1"),
        ("kind", "chinchilla", "not a law file"),
        ("left_out", [1], "sentences"),
        ("left_out", [""] * 20_000, "sentences"),
    ],
)
def test_what_no_law_can_hold_is_refused_with_the_reason(path: Path, name: str, value: Any, reason: str) -> None:
    """The message names the field and says what it must be."""
    path.write_text(json.dumps(record_in(path) | {name: value}))

    message = refusal(path)
    assert f"`{name}" in message
    assert reason in message


# --- what passes as a law and is none ---------------------------------------------------------------

logs = st.floats(-100.0, 100.0)
strange = st.fixed_dictionaries(
    {
        "alpha": st.floats(1e-2, 3.0),
        "alpha_log_sd": st.floats(0.0, 1.0),
        "ratio": st.floats(0.0, 100.0),
        "ratio_log_sd": st.floats(0.0, 1.0),
        "memory_steps": st.floats(1.0, 1e12),
        "reference_lr_sum": st.floats(1e-6, 1e30),
        "reference_size": st.floats(1e-6, 1e18),
        "run_log_sd": st.floats(1e-6, 10.0),
        "remaining_log_sd": st.floats(1e-6, 10.0),
        "misfit": st.floats(0.0, 1.0),
        "row_noise": st.floats(0.0, 10.0),
        "parameters": st.tuples(logs, logs, st.floats(-10.0, 10.0), logs, st.floats(-10.0, 10.0)).map(list),
    }
)


#: Its terms are finite, their squares are not.
HUGE_TERMS = {"parameters": [0.0, 0.0, 0.0, 100.0, 10.0], "reference_size": 1e-6}


@settings(max_examples=40)
@given(strange, st.booleans())
@example(HUGE_TERMS, True)
def test_a_strange_law_gives_finite_forecasts_or_one_clear_refusal(fields: dict[str, Any], has_plan: bool) -> None:
    """Any numbers within the ranges of a file: a ConfigError, or a monitor that never raises and stays finite."""
    file = Path(os.environ.get("TMPDIR", "/tmp")) / f"strange-{os.getpid()}.json"
    save_law(fitted_once(), file)
    try:
        file.write_text(json.dumps(record_in(file) | fields))
        law = load_law(file)
    finally:
        file.unlink()
    rates = cosine(200)
    run = planned(rates) if has_plan else Run("blind", 200, parameters=8_000_000, tokens_per_step=2_000)
    refused = ""
    try:
        monitor = Monitor(run, law)
        watch(monitor, rows(TrueLaw().losses(rates, 8e6), rates))
        told = monitor.forecast()
    except ConfigError as refusal:
        refused, told = str(refusal), None

    if refused:
        assert refused.startswith("The law gives no finite loss for the run")
        return
    if told is None:  # such a law may promise less than nothing, and then there is no number
        return
    low, high = told.interval(0.8)
    assert 0.0 < told.final_loss < math.inf
    assert low <= told.final_loss <= high
    assert bool(np.all(np.isfinite(told.curve()[0])))


_fitted: list[CurveLaw] = []


def fitted_once() -> CurveLaw:
    """One law for all examples of a property."""
    if not _fitted:
        _fitted.append(fitted())
    return _fitted[0]
