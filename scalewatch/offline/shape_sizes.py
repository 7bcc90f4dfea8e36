"""Sizes of transformers from their shapes: settings and columns called n_layer, d_model, vocab_size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError, FitError
from scalewatch.laws.size import SizeKind, Transformer
from scalewatch.objective import words_of
from scalewatch.offline.tables import Table

__all__ = [
    "LAYERS",
    "VOCABULARY",
    "WIDTH",
    "counted_alike",
    "has_shapes",
    "shapes_studied",
    "size_of_shape",
    "sizes_of_shapes",
]

#: Names, letters and digits only, lower case -> what they say.
LAYERS = frozenset({"nlayer", "nlayers", "numlayers", "numhiddenlayers", "layers", "depth"})
WIDTH = frozenset({"nembd", "dmodel", "hiddensize", "dim", "width", "embeddim", "modeldim", "embeddingdim"})
VOCABULARY = frozenset({"vocabsize", "paddedvocabsize", "nvocab", "vocabularysize"})
#: What follows from a shape, and is no cause of its own beside the size.
_PARTS = frozenset(
    {"nhead", "nheads", "numheads", "heads", "numattentionheads", "dff", "ffndim", "ffnsize", "intermediatesize"}
    | {"headdim", "dhead", "nkvheads", "numkeyvalueheads", "mlpdim"}
)
#: Least width that is one of a transformer. By hand.
LEAST_WIDTH = 8
#: Correlation of the logarithms of depth and width from which on they grow together. By hand.
GROW_TOGETHER = 0.5


def size_of_shape(layers: float | None, width: float | None, words: float | None) -> tuple[float, SizeKind] | None:
    """Return how many parameters a shape has, 12 n_layer d_model^2 and with a vocabulary its head; None of no shape.

    Source: Kaplan et al. (2020), arXiv 2001.08361, section 2.1.

    >>> size_of_shape(12, 768, None)
    (84934656.0, <SizeKind.NON_EMBEDDING: 'non_embedding'>)
    """
    if layers is None or width is None or not width > LEAST_WIDTH:
        return None
    kind = SizeKind.NON_EMBEDDING if words is None else SizeKind.TOTAL
    try:
        return float(np.asarray(Transformer(layers, width, words).size(kind).count)), kind
    except ConfigError:
        return None


def sizes_of_shapes(table: Table, *, alike: bool = False) -> tuple[Floats, SizeKind, list[str]] | None:
    """Return the parameters of a table's runs by their shapes, shape (n,), what they count, and which columns say it.

    None where a table has no columns of layers and width, where a row lacks one, and where runs of one size differ in
    their shape, or those of one depth and width in their heads: then the shape is what was studied.

    Args:
        table: of runs. alike: whether one size of several shapes is one, as in points of runs whose shapes are sizes.
    """
    found = [_column(table, names) for names in (LAYERS, WIDTH, VOCABULARY)]
    if found[0] is None or found[1] is None:
        return None
    names = [name for name in found if name is not None]
    try:
        rows = np.array([table.numbers(name) for name in names]).T
    except FitError:
        return None
    sizes = [size_of_shape(*row, *([None] * (3 - len(row)))) for row in rows.tolist()]
    counts = [size[0] for size in sizes if size is not None]
    if len(counts) < len(sizes) or not counts:
        return None
    parts = [name for name in table.columns if _plain(name) in _PARTS]
    shapes = set(zip(*map(tuple, rows.T.tolist()), *map(table.words, parts), strict=True))
    if not alike and len(set(counts)) < len(shapes):
        return None
    return np.array(counts), SizeKind.TOTAL if len(names) == 3 else SizeKind.NON_EMBEDDING, [*names, *parts]


def shapes_studied(table: Table) -> bool:
    """Return whether depth and width of a table's runs vary each by itself, and do not grow together as sizes do."""
    found = [_column(table, names) for names in (LAYERS, WIDTH)]
    try:
        rows = {tuple(row) for row in np.array([table.numbers(name) for name in found if name is not None]).T.tolist()}
    except FitError:
        return False
    spread = np.array(sorted(rows)).T
    if len(spread) < 2 or not np.isfinite(spread).all() or not (spread > 0).all() or not np.ptp(spread, axis=1).all():
        return False
    return bool(np.corrcoef(np.log(spread))[0, 1] < GROW_TOGETHER)


def has_shapes(table: Table) -> bool:
    """Return whether a table has columns of layers and width."""
    return _column(table, LAYERS) is not None and _column(table, WIDTH) is not None


def counted_alike(points: Table, runs: Table) -> Table:
    """Return points whose shapes are sizes of the kind that those of the runs are: with a vocabulary, or without.

    Args:
        points: of shapes. runs: as they were read; their vocabulary counts where they have one, and points none.
    """
    own, of_runs = (_column(table, VOCABULARY) for table in (points, runs))
    if not has_shapes(points) or not has_shapes(runs) or (own is None) == (of_runs is None):
        return points
    if of_runs is None:
        return replace(points, columns={name: cells for name, cells in points.columns.items() if name != own})
    words = set(runs.words(of_runs))
    return replace(points, columns={**points.columns, of_runs: [*words] * len(points)}) if len(words) == 1 else points


def _column(table: Table, names: Sequence[str] | frozenset[str]) -> str | None:
    return next((name for name in table.columns if _plain(name) in names), None)


def _plain(name: str) -> str:
    return "".join(words_of(name.rpartition(".")[2] or name))
