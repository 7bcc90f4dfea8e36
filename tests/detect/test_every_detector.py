"""What holds for each detector: adding one to `DETECTORS` or `BLOCK_DETECTORS` adds it to every test here.

Those of other packages have to hold the same: `OUTSIDE` stands for them.
"""

from __future__ import annotations

import copy
import json
import math
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scalewatch.detect import BLOCK_DETECTORS, DETECTORS, AbstractBlockDetector, AbstractDetector, DetectorSet
from scalewatch.detect.state import Stateful
from scalewatch.finding import Finding, Kind
from scalewatch.guard import Guard
from scalewatch.observation import Observation
from scalewatch.run import Run
from tests.detect.outside_detector import FewLosses, LossAbove

OUTSIDE = (LossAbove(), FewLosses())
NAMES = [detector.name for detector in DetectorSet(Run("names"), Guard(), OUTSIDE)._detectors.values()]

#: Bytes that a state may take as JSON, and that memory may grow by after the first rows.
MAX_STATE_BYTES = 65_536
MAX_GROWTH_BYTES = 16_384

#: Values that loggers have been seen to pass.
ODD_VALUES: list[Any] = [
    *(math.nan, math.inf, -math.inf, -0.0, 0.0, -3.0, 5e-324, 1e308, -1e308, 1.7976931348623157e308),
    *(0, 3, 10**400, True, None, "3.1", "abc", 3 + 4j, b"3"),
    *(np.float32(3.1), np.float64(np.nan), np.int64(3), np.array([3.1]), np.array(3.1), np.array([])),
    *(torch.tensor(3.1), torch.tensor([3.1]), torch.tensor([3.1, 3.2]), torch.tensor(math.nan)),
]
odd = st.sampled_from(ODD_VALUES) | st.floats() | st.integers()
odd_steps = st.sampled_from([0, -1, 2**53, 2**70, -(2**70), None, "7", math.nan, 1.5]) | st.integers(-50, 50)


def eventful_rows(seed: int = 0, rows: int = 700) -> list[Observation]:
    """A run in which each detector has something to remember at any row."""
    random, t = np.random.default_rng(seed), np.arange(1, rows + 1)
    loss = 3.2 * t**-0.1 + 1.8 + random.normal(0, 0.03, rows)
    norm = 0.5 * np.exp(random.normal(0, 0.1, rows))
    loss[[90, 250]] += 0.6
    loss[150:160] += 0.8
    loss[300], norm[[40, 310, 311]], norm[400:430] = math.nan, math.inf, 9.0
    loss[500:] += 0.01 * np.arange(rows - 500)
    rate = np.where((t > 420) & (t < 430), 1e-4, 1e-3)
    seconds = np.cumsum(np.where(t > 550, 3.0, 1.0) + 0.1 * random.random(rows))
    held_out = np.where(t % 10 == 0, loss + 0.002 * np.maximum(t - 400, 0), np.nan)
    update = np.exp(random.normal(0, 0.05, rows)) * np.where((t > 300) & (t < 310), 5.0, 1.0)
    return [
        Observation(
            *(int(s), float(a), float(r), float(g), None, None if v != v else float(v), float(w), (a, a, 2.0 * a)),
            {"update_rms": float(u), "log_z": float(a)} if s % 4 == 0 else None,
        )
        for s, a, r, g, v, w, u in zip(t, loss, rate, norm, held_out, seconds, update, strict=True)
    ]


def new_watch() -> DetectorSet:
    return DetectorSet(Run("test"), Guard(), OUTSIDE)


def feed(watch: DetectorSet, rows: list[Observation]) -> list[Finding]:
    return [finding for row in rows for finding in watch.observe(row)]


def named(watch: DetectorSet, name: str) -> AbstractDetector | AbstractBlockDetector:
    return next(detector for detector in watch._detectors.values() if detector.name == name)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """The name of one detector."""
    return str(request.param)


def test_every_table_is_used() -> None:
    """Each entry of both tables, the one of validations and those from outside are part of a watch."""
    assert len(DETECTORS) + len(BLOCK_DETECTORS) + 1 + len(OUTSIDE) == len(NAMES)


def test_has_a_name_of_its_own(name: str) -> None:
    """Its name is not another's, for guard and state are kept by it."""
    assert NAMES.count(name) == 1


def test_is_final_and_says_its_rule(name: str) -> None:
    """A class is abstract or final, and its docstring gives the rule, the memory and an example."""
    kind = type(named(new_watch(), name))

    assert getattr(kind, "__final__", False)
    assert kind.__doc__ is not None
    for word in ("Rule", "Memory", "`restart`", ">>>"):
        assert word in kind.__doc__, f"the docstring of {kind.__name__} has no {word}"


def test_names_all_of_its_memory(name: str) -> None:
    """Each attribute that a run changes is in STATE, or belongs to the shared level."""
    watch = new_watch()
    detector = named(watch, name)
    before = copy.deepcopy(vars(detector))

    feed(watch, eventful_rows())

    changed = {k for k, v in vars(detector).items() if not isinstance(v, Stateful) and v != before[k]}
    assert changed <= set(detector.STATE)


def test_a_fault_switches_off_one_detector_only(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When one raises, the others still see NaN or the divergence, and nothing gets out."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    guard, kind, rows = Guard(), type(named(new_watch(), name)), eventful_rows()
    whole, faults = kind.observe, [None, ZeroDivisionError("on purpose")]

    def observe(self: Any, row: Any) -> Finding | None:
        if faults[0] is not None:
            raise faults[0]
        return whole(self, row)

    monkeypatch.setattr(kind, "observe", observe)
    watch = DetectorSet(Run("test"), guard, OUTSIDE)
    broken = named(watch, name)
    found = feed(watch, rows[:155])
    faults.reverse()

    found += feed(watch, rows[155:])

    assert list(guard.failed) == [f"detector {broken.name}"]
    others = {Kind.NONFINITE, Kind.DIVERGENCE} - {broken.incident.kind}
    assert others <= {finding.kind for finding in found}


def test_memory_is_flat() -> None:
    """The second ten thousand rows take no more memory than the first, and the state stays small."""
    random = np.random.default_rng(0)
    noise = random.normal(0, 0.1, 6001).tolist()
    rows = [Observation(s, 3.0 + noise[s], 1e-3, 0.5, None, 3.0 + noise[-s], 2.0 * s) for s in range(1, 6001)]
    watch = new_watch()
    tracemalloc.start()
    feed(watch, rows[:3000])
    first = tracemalloc.get_traced_memory()[0]

    feed(watch, rows[3000:])

    growth = tracemalloc.get_traced_memory()[0] - first
    tracemalloc.stop()
    assert growth <= MAX_GROWTH_BYTES
    assert len(json.dumps(watch.state_dict())) <= MAX_STATE_BYTES


@given(at=st.integers(0, 699), seed=st.integers(0, 3))
@settings(max_examples=40)
@example(at=91, seed=0)
@example(at=152, seed=0)
@example(at=311, seed=0)
def test_a_state_saved_at_any_row_goes_on_bit_for_bit(at: int, seed: int) -> None:
    """Saved, written as JSON, loaded into a new watch: same findings, same state at the end."""
    rows = eventful_rows(seed=seed)
    whole, first, second = new_watch(), new_watch(), new_watch()
    expected = feed(whole, rows)

    found = feed(first, rows[:at])
    second.load_state_dict(json.loads(json.dumps(first.state_dict(), allow_nan=False)))
    found += feed(second, rows[at:])

    assert expected == found
    assert whole.state_dict() == second.state_dict()
    assert whole.open_incidents == second.open_incidents


odd_ranks = st.sampled_from([None, (), (3.0,), "abc", (None, 1, "x"), 3.0]) | st.lists(odd, max_size=5).map(tuple)


odd_precursors = odd | st.dictionaries(st.sampled_from(["update_rms", "log_z", "attention_logit", 3]), odd)


@given(
    values=st.lists(st.tuples(odd_steps, odd, odd, odd, odd, odd, odd_ranks, odd_precursors), min_size=1, max_size=30)
)
@settings(max_examples=120)
def test_no_value_raises_or_enters_the_state(values: list[tuple[Any, ...]]) -> None:
    """Whatever a row carries, nothing raises (faults are raised in tests) and the state stays finite."""
    watch = new_watch()
    feed(watch, eventful_rows()[:160])

    for step, loss, rate, norm, held_out, seconds, ranks, precursors in values:
        watch.observe(Observation(step, loss, rate, norm, None, held_out, seconds, ranks, precursors))
    feed(watch, eventful_rows()[160:200])

    json.dumps(watch.state_dict(), allow_nan=False)


@given(values=st.lists(odd, min_size=1, max_size=8))
@example(values=[1.0])
@example(values=[1.0, 1.0, 1e308])
@example(values=[5e-324, 5e-324, 1e308, 1.0])
@settings(max_examples=50)
def test_after_odd_values_the_same_spike_is_found(values: list[Any]) -> None:
    """Odd values, then one window of clean rows, then the spike that is found without them."""
    random = np.random.default_rng(0)
    before = (3.0 + random.normal(0, 0.03, 150)).tolist()
    after = (3.0 + random.normal(0, 0.03, 300)).tolist()
    watch = new_watch()
    for step, loss in enumerate([*before, *values, *after], start=1):
        watch.observe(Observation(step, loss))
    step += 1

    found = [f for s in range(step, step + 5) for f in watch.observe(Observation(s, 3.6))]

    assert [Kind.SPIKE] == [f.kind for f in found if f.pages]


def test_alternating_extremes_leave_a_finite_state() -> None:
    """A variance fed +-1e308 is infinite for ever; here nothing is."""
    watch = new_watch()

    feed(watch, [Observation(s, 1e308 if s % 2 else 5e-324, 1e-3, 1e308 if s % 2 else 5e-324) for s in range(1, 500)])

    json.dumps(watch.state_dict(), allow_nan=False)


def test_the_step_path_loads_no_scipy() -> None:
    """Detection imports nothing heavy."""
    import subprocess

    code = "import sys, scalewatch.detect; sys.exit(bool({'scipy', 'torch', 'pandas'} & set(sys.modules)))"

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
