"""What goes into a journal comes out of it: records, lines and learning-rate plans."""

from __future__ import annotations

import io
import json
import math
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalewatch.advice import Action, Advice, EvidenceGrade
from scalewatch.arrays import KnottedRates
from scalewatch.errors import JournalError
from scalewatch.finding import Finding, Kind, Phase, Severity
from scalewatch.journal import (
    advice_from,
    advice_record,
    finding_from,
    finding_record,
    observation_from,
    observation_record,
    run_from,
    run_record,
)
from scalewatch.journal.lines import MAX_LINE_BYTES, Line, decode, encode, scan
from scalewatch.journal.schedule import MAX_KNOTS, restored, simplified
from scalewatch.observation import Observation
from scalewatch.run import Run

HUGE = st.integers(min_value=-(10**400), max_value=10**400)
NUMBERS = st.floats() | HUGE
TEXT = st.text(st.characters(exclude_categories=()), max_size=40)  # surrogates and controls too


def through_json(record: dict[str, Any]) -> dict[str, Any]:
    return decode(encode(record))


def same(expected: object, actual: object) -> bool:
    """Equal, and of the same type and sign, where NaN equals NaN."""
    return repr(expected) == repr(actual)


# --- there and back -------------------------------------------------------------------------------


@given(
    st.builds(
        Observation,
        step=HUGE,
        loss=NUMBERS,
        learning_rate=st.none() | NUMBERS,
        grad_norm=st.none() | NUMBERS,
        tokens=st.none() | NUMBERS,
        validation_loss=st.none() | NUMBERS,
        seconds=st.none() | NUMBERS,
        rank_losses=st.none() | st.lists(NUMBERS, max_size=4).map(tuple),
        precursors=st.none() | st.dictionaries(TEXT, NUMBERS),
        phase=st.none() | TEXT,
    )
)
def test_an_observation_comes_back_as_it_was(observation: Observation) -> None:
    """Whatever its numbers are: not finite, negative zero, beyond 2^53, with 400 digits."""
    assert same(observation, observation_from(through_json(observation_record(observation))))


@given(
    st.builds(
        Finding,
        kind=st.sampled_from(Kind),
        severity=st.sampled_from(Severity),
        step=HUGE,
        start_step=HUGE,
        message=TEXT,
        evidence=st.dictionaries(TEXT, NUMBERS | TEXT | st.sampled_from(["nan", "-inf"]) | st.booleans() | st.none()),
        phase=st.sampled_from(Phase),
    )
)
def test_a_finding_comes_back_as_it_was(finding: Finding) -> None:
    """In its evidence, a NaN and the word "nan" stay two things."""
    assert same(finding, finding_from(through_json(finding_record(finding))))


@given(
    st.builds(
        Advice,
        action=st.sampled_from(Action),
        reason=TEXT,
        evidence_grade=st.sampled_from(EvidenceGrade),
        expected_gain=st.none() | NUMBERS,
        step=HUGE,
        gain_interval=st.none() | st.tuples(NUMBERS, NUMBERS),
        would_change=TEXT,
    )
)
def test_an_advice_comes_back_as_it_was(advice: Advice) -> None:
    """Also one whose gain nobody knows, and one whose gain is not a number."""
    assert same(advice, advice_from(through_json(advice_record(advice))))


def test_an_advice_of_an_older_journal_is_read_without_what_it_did_not_have() -> None:
    """Before gains had intervals; and an interval that is none is refused."""
    record = through_json(advice_record(Advice(Action.WAIT, "r", EvidenceGrade.C, 0.1, 5)))
    old = {name: value for name, value in record.items() if name not in ("gain_interval", "would_change")}

    assert Advice(Action.WAIT, "r", EvidenceGrade.C, 0.1, 5) == advice_from(old)
    with pytest.raises(JournalError, match="`gain_interval`"):
        advice_from(record | {"gain_interval": [0.1]})


@given(TEXT, st.none() | st.integers(1, 10**15), st.none() | st.floats(1e-3, 1e15))
def test_a_run_comes_back_as_it_was(name: str, parameters: int | None, tokens: float | None) -> None:
    """With any name that Python can hold."""
    run = Run(name, 10, np.linspace(1, 0, 10), parameters, None, tokens)
    back = run_from(through_json(run_record(run)))

    assert (name, 10, parameters, None, tokens) == (
        back.name,
        back.total_steps,
        back.parameters,
        back.non_embedding_parameters,
        back.tokens_per_step,
    )
    assert back.learning_rates == pytest.approx(run.learning_rates, abs=1e-6)


def test_an_observation_leaves_out_what_was_not_measured() -> None:
    """The record of a step holds short names and no nulls: there are millions of them."""
    assert (
        b'{"type":"o","s":3,"l":2.5,"g":"inf"}\n'
        == encode(observation_record(Observation(3, 2.5, grad_norm=math.inf))).partition(b" ")[2]
    )


def test_numbers_of_numpy_are_written_as_numbers() -> None:
    """Also those that are not finite, alone or inside of lists."""
    record = {"a": np.int64(3), "b": np.float32("nan"), "c": [np.float64("-inf"), (np.bool_(True),)]}

    assert {"a": 3, "b": "nan", "c": ["-inf", [True]]} == through_json(record)


def test_a_finding_with_numpy_evidence_comes_back() -> None:
    """A NaN of numpy in the evidence is a NaN when it is read."""
    finding = Finding(Kind.SPIKE, Severity.INFO, 1, 1, "", {"x": np.float32("nan")})  # type: ignore[dict-item]

    assert same({"x": math.nan}, finding_from(through_json(finding_record(finding))).evidence)


# --- lines ----------------------------------------------------------------------------------------


@given(TEXT)
def test_a_line_is_one_line_of_plain_ascii(text: str) -> None:
    """Newlines, escape sequences, NUL and lone surrogates are escaped, and come back."""
    line = encode({"name": text})

    assert all(32 <= byte < 127 for byte in line[:-1])
    assert {"name": text} == decode(line)


def test_a_non_finite_number_is_never_written_as_json_does_it() -> None:
    """A browser would refuse the whole file."""
    line = encode({"a": math.nan, "b": {"c": [math.inf]}})

    assert {"a": "nan", "b": {"c": ["inf"]}} == json.loads(line[9:], parse_constant=lambda word: pytest.fail(word))


def itself() -> dict[str, Any]:
    record: dict[str, Any] = {}
    record["record"] = record
    return record


def deep() -> dict[str, Any]:
    record: dict[str, Any] = {}
    for _ in range(100_000):
        record = {"record": record}
    return record


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(lambda: {"a": object()}, id="object"),
        pytest.param(lambda: {"a": b"bytes"}, id="bytes"),
        pytest.param(lambda: {(1, 2): 3}, id="tuple as key"),
        pytest.param(lambda: {math.nan: 3}, id="nan as key"),
        pytest.param(lambda: {"a": 1j}, id="complex"),
        pytest.param(lambda: {"a": np.complex128(1j)}, id="complex of numpy"),
        pytest.param(lambda: {"a": 10**5000}, id="integer of 5000 digits"),
        pytest.param(itself, id="holds itself"),
        pytest.param(deep, id="nests too deeply"),
        pytest.param(lambda: {"a": "x" * MAX_LINE_BYTES}, id="longer than 4 MiB"),
        pytest.param(lambda: None, id="no record"),
    ],
)
def test_what_json_cannot_hold_is_refused(record: Callable[[], Any]) -> None:
    """With one exception of ours, whatever JSON says to it."""
    with pytest.raises(JournalError, match="A record"):
        encode(record())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"00000000",
        b"00000000 {}",
        encode({"a": 1}).upper(),
        b" " + encode({"a": 1}),
        encode({"a": 1}) + b"\n",
        encode({"a": 1})[:-2],
    ],
)
def test_a_line_that_is_not_right_to_the_letter_is_refused(data: bytes) -> None:
    """The checksum is compared as text: `int` would also take capitals and blanks."""
    with pytest.raises(JournalError):
        decode(data)


@pytest.mark.parametrize("data", [b"[]", b"1", b"NaN", b'{"a":NaN}', b"{", b"[" * 100_000, b"9" * 5000, b'"\xff"'])
def test_a_right_checksum_is_not_enough(data: bytes) -> None:
    """What is under it may have been written by anybody."""
    with pytest.raises(JournalError):
        decode(b"%08x %b" % (zlib.crc32(data), data))


def test_scanning_says_where_each_line_is() -> None:
    """Offset and length of each, also of a torn last one; empty lines are passed over."""
    one, two = encode({"a": 1}), encode({"a": 2})
    lines = list(scan(io.BytesIO(one + b"\n\n" + b"junk\n" + two[:-1])))

    assert [
        Line(0, 17, {"a": 1}, ""),
        Line(19, 5, None, "not a record"),
        Line(24, 16, {"a": 2}, ""),
    ] == lines


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    """Longer than 4 MiB is damage; what follows it is read."""
    junk = b"\0" * (2 * MAX_LINE_BYTES + 5)
    lines = list(scan(io.BytesIO(junk + b"\n" + encode({"a": 1}) + junk)))

    assert [(0, len(junk) + 1), (len(junk) + 1, 17), (len(junk) + 18, len(junk))] == [line[:2] for line in lines]
    assert [None, {"a": 1}, None] == [line.record for line in lines]


# --- records that are none ------------------------------------------------------------------------

GOOD: list[tuple[Callable[[Any], Any], dict[str, Any]]] = [
    (observation_from, observation_record(Observation(1, 2.0, 3.0, 4.0, 5.0, 6.0))),
    (finding_from, finding_record(Finding(Kind.SPIKE, Severity.INFO, 1, 1, "m", {"a": math.nan}))),
    (advice_from, advice_record(Advice(Action.STOP, "r", EvidenceGrade.A, 0.1, 1))),
    (run_from, run_record(Run("r", learning_rates=[1.0, 2.0, 1.0], parameters=2, tokens_per_step=1.0))),
]


@pytest.mark.parametrize(("read", "record"), GOOD, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize(
    "value", [None, True, "word", -1, 0, 1.5, math.nan, [], [1], {}, {"a": []}, 10**400], ids=lambda v: repr(v)[:10]
)
def test_a_record_with_a_wrong_value_is_refused_or_read(
    read: Callable[[Any], Any], record: dict[str, Any], value: object
) -> None:
    """Any value in any field: a JournalError in one line of plain ASCII, or a value that fits."""
    refusals = []
    for name in record:
        try:
            read({**record, name: value})
        except JournalError as refusal:
            refusals.append(str(refusal))

    assert [] == [text for text in refusals if not (text.isprintable() and text.isascii() and len(text) < 400)]


@pytest.mark.parametrize(("read", "record"), GOOD[:3], ids=lambda value: getattr(value, "__name__", ""))
def test_a_record_of_another_type_is_refused(read: Callable[[Any], Any], record: dict[str, Any]) -> None:
    """The message says what was expected and what was got."""
    with pytest.raises(JournalError, match=r"`type` must be \"\w+\" \(got 'x', str\)"):
        read({**record, "type": "x"})


@pytest.mark.parametrize(
    "plan",
    [
        "plan",
        {"steps": [1, 2, 3]},
        {"steps": [1, 2, 3], "rates": [1.0, 1.0]},
        {"steps": [], "rates": []},
        {"steps": [1, 1, 3], "rates": [1.0] * 3},
        {"steps": [1, 2.5, 3], "rates": [1.0] * 3},
        {"steps": [0, 3], "rates": [1.0] * 2},
        {"steps": [1, 10**12], "rates": [1.0] * 2},
        {"steps": [1, 3], "rates": [1.0, "nan"]},
        {"steps": [1, 3], "rates": [1.0, math.inf]},
        {"steps": [1, 3], "rates": [1.0, -1.0]},
        {"steps": [1, 3], "rates": [0.0, 0.0]},
    ],
)
def test_a_plan_that_cannot_be_is_refused(plan: object) -> None:
    """Before memory is taken for it."""
    with pytest.raises(JournalError):
        run_from({"name": "r", "total_steps": 3, "learning_rates": plan})


def test_a_plan_takes_no_more_memory_than_a_run_may() -> None:
    """A header of 100 bytes cannot ask for a terabyte: a long plan stays the knots that it is."""
    run = run_from({"name": "r", "total_steps": 10**12, "learning_rates": {"steps": [1, 10**12], "rates": [1.0, 0.0]}})

    assert isinstance(run.learning_rates, KnottedRates)
    assert run.learning_rates[5 * 10**11] == pytest.approx(0.5)


# --- plans ----------------------------------------------------------------------------------------


def cosine(n: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    steps = np.arange(1, n + 1)
    return 3e-4 * np.minimum(steps / (n / 100), 0.55 + 0.45 * np.cos(np.pi * steps / n))


N = 300_000
STEPS = np.arange(1, N + 1)


@pytest.mark.parametrize(
    ("plan", "most_knots"),
    [
        pytest.param(np.ones(N), 2, id="constant"),
        pytest.param(np.linspace(1.0, 0.0, N), 2, id="linear"),
        pytest.param(cosine(N), 1_000, id="cosine"),
        pytest.param(cosine(1_234), 1_000, id="short cosine"),
        pytest.param(np.minimum(STEPS / 1e3, np.sqrt(1e3 / STEPS)), 1_500, id="inverse root"),
        pytest.param(1 - np.sqrt(np.clip((STEPS - 2e5) / 1e5, 0, 1)), 1_000, id="decay by a root"),
        pytest.param(0.5 ** (STEPS // 30_000), 25, id="steps"),
        pytest.param(np.where(STEPS == 77_777, 2.0, 1.0), 6, id="one step apart"),
        pytest.param(np.exp(-STEPS / 3e4), 1_500, id="exponential"),
        pytest.param(np.ones(1), 1, id="one step"),
        pytest.param(np.array([0.0, 1.0]), 2, id="two steps"),
    ],
)
def test_a_plan_is_restored_within_a_millionth_of_its_peak(plan: Any, most_knots: int) -> None:
    """The schedules that people use, with few knots."""
    knots = simplified(plan)
    error = float(np.max(np.abs(restored(knots.steps, knots.rates) - plan)))

    assert error <= 1e-6 * plan.max()
    assert len(knots.steps) <= most_knots


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(np.random.default_rng(0).random(N), id="noise"),
        pytest.param(0.999 ** (STEPS // 100), id="3000 steps"),
        pytest.param(np.tile([0.0, 1.0], N // 2), id="saw"),
    ],
)
def test_a_plan_that_knots_cannot_follow_says_how_far_it_is_off(plan: Any) -> None:
    """Two thousand knots, and the largest error beside them."""
    knots = simplified(plan)
    error = float(np.max(np.abs(restored(knots.steps, knots.rates) - plan)))

    assert len(knots.steps) == MAX_KNOTS
    assert pytest.approx(error) == knots.max_error
    assert pytest.approx(error) == run_record(Run("r", learning_rates=plan))["learning_rates"]["max_error"]
