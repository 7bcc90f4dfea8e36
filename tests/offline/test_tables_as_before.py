"""Tables that are a row a run as they stand, and look like one of another form: each is read as what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scalewatch.errors import FitError
from scalewatch.offline.finished_runs import from_tables
from scalewatch.offline.outcome_tables import inputs_of
from scalewatch.offline.reading import Reading
from scalewatch.offline.shape_sizes import counted_alike
from scalewatch.offline.tables import Table, read_table
from scalewatch.offline.told_counts import with_counts

SHAPES = [(4, 256), (6, 384), (8, 512), (12, 768)]


def a_table(folder: Path, text: str, name: str = "a.csv") -> Table:
    (folder / name).write_text(text)
    return read_table(folder / name)


def points(**columns: list[float]) -> Table:
    return Table("points", "points", dict(columns))


@pytest.mark.parametrize("told", ["flops", "steps,batch_size,seq_len", "tokens_per_param"])
def test_what_a_dataset_is_called_is_not_what_its_runs_saw(told: str, tmp_path: Path) -> None:
    """`sample-10BT` stands in every name; the columns tell the tokens of each run."""
    runs = [(n, ratio * n) for n in (20e6, 50e6, 120e6) for ratio in (5, 20, 40)]
    cells = {"flops": "{c}", "steps,batch_size,seq_len": "{s},100,1000", "tokens_per_param": "{r}"}[told]
    lines = [
        f"fineweb-10BT-{i},{n}," + cells.format(c=6 * n * d, s=d / 1e5, r=d / n) + ",3.2"
        for i, (n, d) in enumerate(runs)
    ]

    found = from_tables([a_table(tmp_path, "\n".join([f"run,params,{told},loss", *lines]))], {})
    np.testing.assert_allclose(found.tokens, [d for _, d in runs])


def test_steps_of_one_run_are_not_all_at_its_end(tmp_path: Path) -> None:
    """A name that says the tokens of a run says nothing of each of its rows."""
    lines = [f"gpt-{n}-{d}BT,{n}e6,{step},3.{step}" for n, d in ((20, 2), (50, 5)) for step in (1, 2, 3)]

    with pytest.raises(FitError, match="two of parameters, tokens and flops are needed"):
        from_tables([a_table(tmp_path, "\n".join(["run,params,step,loss", *lines]))], {})


def test_a_column_that_somebody_names_stays(tmp_path: Path) -> None:
    """A table with a metric a row is read as it stands where `--where` and `--column` take its metric and value."""
    lines = [f"r{n},{n}e6,{n}e8,{name},3.{n}" for n in (2, 4, 6) for name in ("train_loss", "val_loss")]
    (tmp_path / "a.csv").write_text("\n".join(["run,params,tokens,metric,value", *lines]))

    reading = Reading.of([tmp_path / "a.csv"], ["loss=value"], ["metric=val_loss"], None)
    assert ["3.2", "3.4", "3.6"] == reading.tables[0].words("value")


def test_depth_and_width_that_vary_each_by_itself_are_two_causes(tmp_path: Path) -> None:
    """They are not made one size, and neither are those of a point."""
    lines = [f"{depth},{width},{d},3.{depth}" for depth in (4, 6, 9) for width in (256, 350, 512) for d in (1e9, 4e9)]
    table, _ = with_counts(a_table(tmp_path, "\n".join(["depth,width,tokens,loss", *lines])))

    assert ["depth", "width", "tokens"] == list(inputs_of(table, ["loss"]).columns)
    assert "parameters" not in with_counts(points(depth=[4], width=[512], tokens=[2e9]), table)[0].columns


def test_points_of_several_shapes_of_one_size_have_that_size(tmp_path: Path) -> None:
    """Where the shapes of runs are sizes, those of points are too."""
    lines = [f"{depth},{width},{d},3.{depth}" for depth, width in SHAPES for d in (1e9, 3e9)]
    table, _ = with_counts(a_table(tmp_path, "\n".join(["n_layer,n_embd,tokens,loss", *lines])))

    assert ["parameters", "tokens"] == list(inputs_of(table, ["loss"]).columns)
    asked, _ = with_counts(points(n_layer=[4, 16], n_embd=[512, 256], tokens=[3e9, 3e9]), table)
    assert [12 * 4 * 512**2] * 2 == asked.numbers("parameters").tolist()


def test_points_of_shapes_are_counted_as_the_runs_are(tmp_path: Path) -> None:
    """Of runs with a vocabulary the head counts, also that of points without one; of runs without one none does."""
    rows = [(depth, width, d) for depth, width in SHAPES for d in (1e9, 3e9)]
    bare = a_table(tmp_path, "\n".join(["n_layer,n_embd,tokens,loss", *[f"{a},{b},{d},3.{a}" for a, b, d in rows]]))
    lines = [f"{depth},{width},50257,{d},3.{depth}" for depth, width, d in rows]
    told = a_table(tmp_path, "\n".join(["n_layer,n_embd,vocab_size,tokens,loss", *lines]), "b.csv")
    asked = points(n_layer=[8], n_embd=[512], tokens=[3e9])
    of_both = points(n_layer=[8], n_embd=[512], vocab_size=[32e3], tokens=[3e9])

    def size(point: Table, runs: Table) -> float:
        return float(with_counts(counted_alike(point, runs), with_counts(runs)[0])[0].numbers("parameters")[0])

    assert size(asked, told) > size(asked, bare) == size(of_both, bare)
    assert size(asked, told) == with_counts(told)[0].numbers("parameters")[4]


def test_what_is_varied_at_one_shape_is_a_cause(tmp_path: Path) -> None:
    """The width of a feed-forward layer is not left out as a part of the shape where runs of one shape differ in it."""
    lines = [f"{depth},{width},{k * width},{d},3.{k}" for depth, width in SHAPES for k in (1, 4) for d in (1e9, 4e9)]
    table, _ = with_counts(a_table(tmp_path, "\n".join(["n_layer,n_embd,d_ff,tokens,loss", *lines])))

    assert "d_ff" in inputs_of(table, ["loss"]).columns


def test_total_and_active_parameters_are_two_causes_where_sparsity_varies(tmp_path: Path) -> None:
    """Though both rise together over decades."""
    lines = [f"{n * k},{n},{d},3.{k}" for n in (2e7, 1e8, 5e8, 2.5e9) for k in (3, 4) for d in (2e9, 2e10)]
    table = a_table(tmp_path, "\n".join(["total_params,active_params,tokens,loss", *lines]))

    assert ["total_params", "active_params", "tokens"] == list(inputs_of(table, ["loss"]).columns)


@pytest.mark.parametrize(("heading", "quote"), [("count", '"'), ("word count", ""), ("word count", '"')])
def test_one_column_is_one_whatever_its_heading(heading: str, quote: str, tmp_path: Path) -> None:
    """Its name may be of two words, and its cells in quotes."""
    table = a_table(tmp_path, "\n".join(f"{quote}{cell}{quote}" for cell in (heading, 5, 3, 2)))

    assert [5, 3, 2] == table.numbers(heading).tolist()


def test_words_behind_a_comma_are_no_unit(tmp_path: Path) -> None:
    """A recipe called `80,20 mix` makes no decimal commas of a table whose losses have points."""
    table = a_table(tmp_path, "mix;params;tokens;loss\n80,20 mix;1e6;1e9;3.412\n80,20 mix;2e6;1e9;3.211\n")

    assert [3.412, 3.211] == table.numbers("loss").tolist()


def test_a_remark_with_as_many_commas_as_a_heading_is_none(tmp_path: Path) -> None:
    """The line below it names the columns."""
    table = a_table(tmp_path, "# lr 3e-4, batch 512, seed 1\nparams,tokens,loss\n1e6,1e9,3.4\n")

    assert ["params", "tokens", "loss"] == list(table.columns)
