"""Laws compete on a table of finished runs: what they foretell, how sure, and which of them are heard."""

from __future__ import annotations

import numpy as np
import pytest

from scalewatch.errors import FitError
from scalewatch.fitting.outcomes.axes import Axes, Outcomes
from scalewatch.fitting.outcomes.candidates import SHAPES, candidates
from scalewatch.fitting.outcomes.contest import compete
from scalewatch.fitting.outcomes.origins import origins
from scalewatch.fitting.outcomes.search import find

SIZES, DATA = np.meshgrid(np.geomspace(1e8, 3e9, 6), np.geomspace(2e9, 2e11, 7))
#: Points with twice the most of each column that a law may read.
MOST = {"n_params": 3e9, "tokens": 2e11, "unique_tokens": 2e11, "experts": 64, "parallel_streams": 8, "vocab": 64e3}


def ladder(moves: float = 0.0, noise: float = 0.001, seed: int = 0) -> Outcomes:
    """Runs of a law whose data exponent falls by `moves` with each e-fold of size, 0 for Chinchilla's."""
    size, tokens = SIZES.ravel(), DATA.ravel()
    loss = law(size, tokens, moves) * np.exp(noise * np.random.default_rng(seed).standard_normal(size.shape))
    return Outcomes({"n_params": size, "tokens": tokens}, loss)


def law(size: np.ndarray, tokens: np.ndarray, moves: float) -> np.ndarray:
    """The loss of runs without noise."""
    x = np.log(size / 5e8)
    exponent = 0.35 * np.exp(-moves * x)
    return 1.7 + 0.5 * np.exp(-0.34 * x) + 0.6 * (tokens / 2e10) ** -exponent


def test_runs_of_chinchillas_law_are_foretold_ten_times_dearer() -> None:
    """To half a percent, and inside an interval that is narrower than the loss falls."""
    runs = ladder()
    asked = {"n_params": np.array([1e10, 2e10]), "tokens": np.array([4e11, 3e11])}

    told = compete(runs, asked).predict(asked)

    came = law(asked["n_params"], asked["tokens"], 0.0)
    assert np.all(np.abs(told.loss / came - 1) < 0.005)
    assert np.all((told.low < came) & (came < told.high))
    assert np.all(told.high - told.low < 0.3)


def test_a_data_exponent_that_moves_with_size_is_heard_and_chinchillas_law_is_not() -> None:
    """On runs that Chinchilla's form cannot follow it is given no weight."""
    runs = ladder(moves=0.15)
    asked = {"n_params": np.array([1e10]), "tokens": np.array([4e11])}

    contest = compete(runs, asked)

    assert "chinchilla" not in contest.weights
    assert sum(weight for name, weight in contest.weights.items() if name.startswith("moving")) > 0.5
    assert contest.predict(asked).loss[0] == pytest.approx(law(asked["n_params"], asked["tokens"], 0.15)[0], rel=0.01)


def test_the_interval_grows_with_the_distance() -> None:
    """A point ten times farther out has a wider one, a point among the runs the narrowest."""
    runs = ladder()
    asked = {"n_params": np.array([5e8, 1e10, 1e11]), "tokens": np.array([2e10, 4e11, 4e12])}

    told = compete(runs, asked).predict(asked)

    width = (told.high - told.low) / told.loss
    assert width[0] < width[1] < width[2]
    assert told.reach[0] == 0.0


def test_runs_are_held_out_in_the_direction_in_which_points_go_beyond() -> None:
    """Points with more experts hold out the runs of most experts, and not the largest."""
    size, experts = (v.ravel() for v in np.meshgrid(np.geomspace(1e7, 1e9, 4), np.array([1.0, 2, 4, 8, 16])))
    runs = Outcomes({"n_params": size, "experts": experts}, 2 + size**-0.1 + experts**-0.1)
    axes = Axes.of(runs)
    asked = axes.points({"n_params": np.array([1e8]), "experts": np.array([64.0])})

    cuts = origins(axes, axes.points(runs.columns), asked)

    assert cuts
    for fitted, held in cuts:
        assert experts[fitted].max() < experts[held].min()
        assert size[fitted].max() == size[held].max()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_law_that_competes_finds_its_own_runs(shape: object) -> None:
    """Runs drawn from its expectation are described to a percent of their spread, and named by its own parameters."""
    rng = np.random.default_rng(1)
    columns = {name: most * np.exp(-3 * rng.random(60)) for name, most in MOST.items()}
    columns |= {
        "learning_rate": 1e-3 * np.exp(rng.normal(0, 0.5, 60)),
        "batch_size": 256 * np.exp(rng.normal(0, 0.5, 60)),
    }
    shares = rng.dirichlet(np.ones(3), 60)
    columns |= {f"proportion_{i}": shares[:, i] for i in range(3)}
    frame = Outcomes(columns, 2 + rng.random(60))
    axes = Axes.of(frame)
    assert shape in [one.shape for one in candidates(axes)]
    names = tuple(shape.expected(axes))  # type: ignore[attr-defined]
    expected = shape.expected(axes)  # type: ignore[attr-defined]
    middle = {name: np.array([[one.middle + 0.1 * one.sd]]) for name, one in expected.items()}
    loss = shape.loss(middle, axes.points(columns), axes)[0]  # type: ignore[attr-defined]
    runs = Outcomes(columns, np.broadcast_to(loss, (60,)).copy())

    found = find(shape, Axes.of(runs), runs)  # type: ignore[arg-type]

    assert names == tuple(found.values)
    assert np.max(np.abs(found.residuals)) < 0.01


def test_too_few_runs_and_equal_runs_are_refused_with_the_reason() -> None:
    """No law is made of three runs, nor of runs that do not differ."""
    with pytest.raises(FitError, match="Too few runs"):
        compete(ladder().take([0, 1, 2]))
    with pytest.raises(FitError, match="No column of the table varies"):
        compete(Outcomes({"n_params": np.full(9, 1e8)}, np.linspace(3, 4, 9)))
    with pytest.raises(FitError, match="All losses are equal"):
        compete(Outcomes({"n_params": np.geomspace(1e8, 1e9, 9)}, np.full(9, 3.0)))


def test_a_short_ladder_says_little_of_a_run_a_thousand_times_dearer() -> None:
    """Six runs over a factor of 30 of compute hold the truth, in an interval wider than that of 30 over 3e4."""
    asked = {"n_params": np.array([3e10]), "tokens": np.array([6e11])}
    came = law(asked["n_params"], asked["tokens"], 0.0)[0]
    widths = []
    for most, count in ((5.5e8, 6), (1.7e10, 30)):
        size = np.geomspace(1e8, most, count)
        tokens = 20 * size * np.exp(0.3 * np.random.default_rng(1).standard_normal(count))
        noise = np.exp(0.002 * np.random.default_rng(count).standard_normal(count))
        runs = Outcomes({"n_params": size, "tokens": tokens}, law(size, tokens, 0.0) * noise)
        told = compete(runs, asked, only=["chinchilla", "compute", "kaplan"]).predict(asked)
        assert told.low[0] < came < told.high[0]
        widths.append(np.log(told.high / told.low)[0])

    assert widths[0] > 4 * widths[1]


def test_of_five_runs_the_tails_are_longer_than_of_thirty() -> None:
    """One of five can be asked about, so little is known of how wrong a law may be: 98 % needs more times 50 %."""
    asked = {"n_params": np.array([1e10]), "tokens": np.array([2e11])}
    longer = []
    for count in (5, 30):
        size = np.geomspace(1e8, 3e9, count)
        tokens = 20 * size * np.exp(0.3 * np.random.default_rng(1).standard_normal(count))
        noise = np.exp(0.002 * np.random.default_rng(count).standard_normal(count))
        runs = Outcomes({"n_params": size, "tokens": tokens}, law(size, tokens, 0.0) * noise)
        contest = compete(runs, asked, only=["compute"])
        wide, narrow = (contest.predict(asked, level=level) for level in (0.98, 0.5))
        longer.append(float(np.log(wide.high / wide.low)[0] / np.log(narrow.high / narrow.low)[0]))

    assert longer[0] > 5.5
    assert longer[1] < 4.5


def test_the_floor_is_expected_the_farther_below_the_shorter_the_ladder() -> None:
    """In spreads of its losses: of a ladder over a factor of ten nearly everything is still to fall."""
    size = np.geomspace(1e8, 1e9, 5)
    short = Outcomes({"n_params": size, "tokens": 20 * size}, law(size, 20 * size, 0.0))
    expected = [SHAPES[0].expected(Axes.of(runs))["floor"].middle for runs in (short, ladder())]

    assert expected[0] > expected[1]
