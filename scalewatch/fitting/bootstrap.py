"""The bootstrap by run: how the constants of a law would scatter, had other runs been drawn.

What is drawn is a run with all of its points: checkpoints of one run err together, and drawing them one by one
makes a law look as certain as if each had been trained for itself.

Why not the curvature alone: the constants of a law are skewed and strongly tied to each other, and the curvature
of a robust objective rests on the few points within its threshold.

Source: Efron (1979), Annals of Statistics 7; by cluster, Davison and Hinkley (1997), section 3.8.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.fitting.robust import AbstractResidualModel, minimise

__all__ = ["bootstrap", "group_labels", "resample_weights"]

#: Resamples drawn at a time, so that their weights stay small in memory. By hand.
_BLOCK = 512
#: Most resamples of a fit: beyond, standard errors gain nothing. By hand.
MOST_RESAMPLES = 100_000


def group_labels(groups: ArrayLike | Sequence[object] | None, count: int) -> NDArray[np.int64]:
    """Return the run of each of `count` points, numbered from 0, shape (count,); each its own if `groups` is None.

    Raises:
        FitError: if `groups` is not one label a point.
    """
    if groups is None:
        return np.arange(count)
    labels = np.asarray(groups)
    if labels.shape != (count,):
        raise FitError(f"`groups` must hold one label for each of the {count} points (got shape {labels.shape}).")
    return np.asarray(np.unique(labels, return_inverse=True)[1], dtype=np.int64)


def resample_weights(labels: NDArray[np.int64], count: int, seed: int) -> Iterator[Floats]:
    """Yield how often each point is drawn in each of `count` resamples, in blocks of shape (b, n).

    Args:
        labels: run of each point, shape (n,). count: resamples.
        seed: of `numpy.random.RandomState`, whose stream is frozen: a published bootstrap can be repeated.

    Raises:
        FitError: if `count` is not 1 to 100,000.
    """
    if not 1 <= count <= MOST_RESAMPLES:
        raise FitError(f"`bootstrap` must be 0 to {MOST_RESAMPLES:,} resamples (got {count}).")
    runs = int(labels.max()) + 1
    stream: Any = np.random.RandomState(seed)
    for first in range(0, count, _BLOCK):
        block = min(_BLOCK, count - first)
        drawn = stream.choice(runs, (block, runs))
        place = drawn + np.arange(block)[:, None] * runs
        times = np.bincount(place.ravel(), minlength=block * runs).reshape(block, runs)
        yield times[:, labels].astype(np.float64)


def bootstrap(
    form: AbstractResidualModel,
    log_loss: Floats,
    best: Floats,
    labels: NDArray[np.int64],
    *,
    delta: float,
    count: int,
    seed: int,
) -> Floats:
    """Return the parameters that minimise the objective of each resample, shape (count, p), warm-started at `best`.

    Resamples that do not converge keep the best point they reached.
    """
    found = []
    for weights in resample_weights(labels, count, seed):
        start = np.repeat(best[None, :], len(weights), axis=0)
        found.append(minimise(form, log_loss, start, weights=weights, delta=delta, tolerance=1e-9).theta)
    return np.concatenate(found)
