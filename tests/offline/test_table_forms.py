"""Tables of finished runs in the forms that people keep them: the same law from each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scalewatch.laws.size import SizeKind
from scalewatch.offline.finished_runs import Rows, from_tables
from scalewatch.offline.shape_sizes import sizes_of_shapes
from scalewatch.offline.tables import read_table

RUNS = [
    (size, ratio * size, round(1.7 + 406 * size**-0.34 + 410 * (ratio * size) ** -0.28, 4))
    for size in (20e6, 50e6, 120e6, 300e6)
    for ratio in (5, 10, 20, 40)
]
SIZES = list(dict.fromkeys(n for n, _, _ in RUNS))
GRID = sorted({d for _, d, _ in RUNS})
AT = {(n, d): x for n, d, x in RUNS}


def table(head: str, row: Callable[[float, float, float], str]) -> str:
    """A heading and a line for each run."""
    return "\n".join([head, *(row(*run) for run in RUNS)]) + "\n"


FORMS: dict[str, tuple[str, str]] = {
    "the letters of the law": ("a.csv", table("N,D,L", lambda n, d, x: f"{n:.0f},{d:.0f},{x}")),
    "units in brackets": (
        "a.csv",
        table("Parameters (M),Tokens (B),Final Loss (nats)", lambda n, d, x: f"{n / 1e6},{d / 1e9},{x}"),
    ),
    "units behind a line": ("a.csv", table("model_size_B,tokens_B,loss", lambda n, d, x: f"{n / 1e9},{d / 1e9},{x}")),
    "units in the cells": ("a.csv", table("params,tokens,val_loss", lambda n, d, x: f"{n / 1e6}M,{d / 1e9}B,{x}")),
    "PF-days": (
        "a.csv",
        table("Params,Compute (PF-days),Loss", lambda n, d, x: f"{n},{6 * n * d / 8.64e19!r},{x}"),
    ),
    "tokens for each parameter": ("a.csv", table("params,tokens_per_param,loss", lambda n, d, x: f"{n},{d / n},{x}")),
    "steps, batches and lengths": (
        "a.csv",
        table("params,steps,batch_size,seq_len,loss", lambda n, d, x: f"{n},{d / 100_000},100,1000,{x}"),
    ),
    "commas in numbers": ("a.csv", table("N,D,loss", lambda n, d, x: f'"{n:,.0f}","{d:,.0f}",{x}')),
    "decimal commas": ("a.csv", table("N;D;loss", lambda n, d, x: f"{n:.0f};{d:.0f};{str(x).replace('.', ',')}")),
    "a column of models called by their size": (
        "a.csv",
        table("model,tokens,loss", lambda n, d, x: f"{n / 1e6:.0f}M,{d},{x}"),
    ),
    "names that say their sizes, and one that says its tokens": (
        "a.csv",
        table("run,tokens,loss", lambda n, d, x: f"gpt-{n / 1e6:.0f}m-{d / 1e6:.0f}m,{d},{x}"),
    ),
    "a line of units": (
        "a.csv",
        table("params,tokens,loss\n[M],[B],[nats]", lambda n, d, x: f"{n / 1e6},{d / 1e9},{x}"),
    ),
    "bars between the cells": ("a.txt", table("N|D|loss", lambda n, d, x: f"{n}|{d}|{x}")),
    "units in words, marks of a page, and about": (
        "a.md",
        table(
            "| **Params** | `Training data` | Loss |\n|---|---|---|",
            lambda n, d, x: f"| **{n / 1e6} M** | ~{d / 1e9} B tokens | {x} |",
        ),
    ),
    "a paper's table": (
        "a.tex",
        "\\begin{tabular*}{\\textwidth}{l@{ }rr}\n\\toprule\n"
        + table(
            r"\textbf{N} & \textbf{Tokens} & Loss \\ \midrule",
            lambda n, d, x: rf"{n / 1e6}M & \textbf{{{d / 1e9}B}} & {x} \\",
        )
        + "\\end{tabular*}\n",
    ),
    "runs under their names": (
        "a.json",
        json.dumps({f"r{i}": {"n_params": n, "n_tokens": d, "loss": x} for i, (n, d, x) in enumerate(RUNS)}),
    ),
    "lines of comment above a heading": (
        "a.csv",
        "# a ladder\n# in nats\n" + table("N,D,loss", lambda n, d, x: f"{n},{d},{x}"),
    ),
    "a heading that begins with a cross": (
        "a.tsv",
        table("# Params\t# Tokens (B)\tLoss", lambda n, d, x: f"{n}\t{d / 1e9}\t{x}"),
    ),
    "a number in the unit": (
        "a.csv",
        table('Params (M),Compute (1e18 FLOPs),"L(N,D)"', lambda n, d, x: f"{n / 1e6},{6 * n * d / 1e18},{x}"),
    ),
    "tokens of a batch": (
        "a.csv",
        table("Model,Steps,Batch size (tokens),loss", lambda n, d, x: f"{n / 1e6}M,{d / 5e5},0.5M,{x}"),
    ),
    "points between thousands": (
        "a.csv",
        table(
            "N;D;loss",
            lambda n, d, x: ";".join(
                (f"{n:,.0f}".replace(",", "."), f"{d:,.0f}".replace(",", "."), f"{x:.4f}".replace(".", ","))
            ),
        ),
    ),
    "names as a program's metrics have them": (
        "a.csv",
        table(
            "run_name,parameter_count,throughput/total_tokens,eval/loss",
            lambda n, d, x: f"r{n:.0f}-{d:.0f},{n:.0f},{d:.0f},{x}",
        ),
    ),
    "the spread over seeds beside the loss": (
        "a.csv",
        table("N,D,loss,loss_std", lambda n, d, x: f"{n},{d},{x},0.004"),
    ),
    "the mean over seeds and its spread": ("a.csv", table("N,D,loss", lambda n, d, x: f"{n},{d},{x} ± 0.005")),
    "the last loss and the best": (
        "a.csv",
        table("N,D,loss_best,loss_last", lambda n, d, x: f"{n},{d},{x - 0.01},{x}"),
    ),
    "units in words": (
        "a.csv",
        table("Model Size [M params],Tokens seen (B),loss", lambda n, d, x: f"{n / 1e6},{d / 1e9},{x}"),
    ),
    "steps as they were set": (
        "a.csv",
        table("params,max_steps,batch_size,seq_len,loss", lambda n, d, x: f"{n},{d / 100_000},100,1000,{x}"),
    ),
    "epochs of different tokens": (
        "a.csv",
        table("params,unique_tokens,epochs,loss", lambda n, d, x: f"{n},{d / 2},2,{x}"),
    ),
    "German": ("a.csv", table("Parameter;Token;Verlust", lambda n, d, x: f"{n};{d};{str(x).replace('.', ',')}")),
    "an export of W&B, a row a run": (
        "a.csv",
        table(
            "Name,State,config.n_params,config.lr,_step,tokens_seen,val/loss",
            lambda n, d, x: f"r{n}x{d},finished,{n},1e-3,{d / 1e5},{d},{x}",
        ),
    ),
    "remarks below the rows, and columns of nothing": (
        "a.csv",
        "N,D,loss,,\n" + table("", lambda n, d, x: f"{n},{d},{x},,").lstrip() + "* trained twice\n# end\n",
    ),
    "columns below each other": ("a.txt", table("N  D    val loss", lambda n, d, x: f"{n:.0f}  {d:.0f}    {x}")),
    "what pandas prints": (
        "a.txt",
        "      params  tokens   loss\n" + "\n".join(f"{i}  {n:.0f}  {d:.0f} {x}" for i, (n, d, x) in enumerate(RUNS)),
    ),
    "what NumPy saves under a heading": ("a.txt", table("# N D loss", lambda n, d, x: f"{n:.18e} {d:.18e} {x:.18e}")),
    "a unit behind a decimal comma": (
        "a.csv",
        table("N;D;loss", lambda n, d, x: f"{n / 1e6:.1f} M;{d / 1e9:.2f} B;{x}".replace(".", ",")),
    ),
    "a page": (
        "a.html",
        "<html><body><h1>Runs</h1><table><tr><th>Params</th><th>Tokens</th><th>Loss</th></tr>"
        + "".join(f"<tr><td>{n / 1e6}M</td><td>{d / 1e9}B</td><td>{x}</td></tr>" for n, d, x in RUNS)
        + "</table></body></html>",
    ),
    "a grid of sizes and tokens for each, in a heading of tokens": (
        "a.csv",
        "N \\ D,"
        + ",".join(f"{d:.0f}" for d in GRID)
        + "\n"
        + "\n".join(f"{n / 1e6}M," + ",".join(str(AT.get((n, d), "")) for d in GRID) for n in SIZES),
    ),
    "a run a column": (
        "a.csv",
        "\n".join(
            ",".join(map(str, row))
            for row in (
                ("", *(f"r{i}" for i in range(len(RUNS)))),
                *zip(("params", "tokens", "loss"), *RUNS, strict=True),
            )
        ),
    ),
    "a metric a row": (
        "a.csv",
        "run,params,tokens,metric,value\n"
        + "\n".join(
            f"r{i},{n},{d},{name},{value}"
            for i, (n, d, x) in enumerate(RUNS)
            for name, value in (("lr", 1e-3), ("train_loss", x - 0.1), ("val_loss", x))
        ),
    ),
    "names that say sizes and tokens": (
        "a.csv",
        table("model,loss", lambda n, d, x: f"gpt-{n / 1e6:.0f}m-{d / 1e9}B-tok,{x}"),
    ),
    "Markdown": (
        "a.md",
        "# Runs\n\n" + table("| Params | Tokens | Loss |\n|---|---:|---|", lambda n, d, x: f"| {n} | {d} | {x} |"),
    ),
    "JSON": ("a.json", json.dumps([{"params": n, "tokens": d, "loss": x} for n, d, x in RUNS])),
    "JSON lines with sections": (
        "a.jsonl",
        "\n".join(json.dumps({"config": {"n_params": n}, "summary": {"tokens": d, "loss": x}}) for n, d, x in RUNS),
    ),
}


def rows(folder: Path, name: str, text: str) -> Rows:
    (folder / name).write_text(text)
    return from_tables([read_table(folder / name)], {})


@pytest.mark.parametrize("form", FORMS)
def test_a_table_of_any_form_holds_the_same_runs(form: str, tmp_path: Path) -> None:
    """Sizes, tokens and losses are those that were written, in counts and nats."""
    found = rows(tmp_path, *FORMS[form])

    size, tokens, loss = np.array(RUNS).T
    np.testing.assert_allclose(found.size.count, size, rtol=1e-9)
    np.testing.assert_allclose(found.tokens, tokens, rtol=1e-9)
    np.testing.assert_allclose(found.loss, loss)


def test_a_feather_file_holds_the_same_runs(tmp_path: Path) -> None:
    """As the parquet file of the same table does."""
    feather = pytest.importorskip("pyarrow.feather")
    arrow = pytest.importorskip("pyarrow")
    columns = [list(column) for column in zip(*RUNS, strict=True)]
    feather.write_feather(arrow.table(dict(zip(("N", "D", "loss"), columns, strict=True))), tmp_path / "a.feather")

    found = from_tables([read_table(tmp_path / "a.feather")], {})
    assert [n for n, _, _ in RUNS] == list(found.size.count)


def test_a_table_of_shapes_says_its_sizes(tmp_path: Path) -> None:
    """Layers and width are a size, counted without embeddings where no vocabulary is told; a note says so."""
    found = rows(tmp_path, "a.csv", "n_layer,n_embd,tokens,loss\n12,768,1e9,3.3\n24,1024,2e9,3.0\n")

    assert [12 * 12 * 768**2, 12 * 24 * 1024**2] == list(found.size.count)
    assert SizeKind.NON_EMBEDDING is found.size.kind
    assert "parameters are those of the shapes" in " ".join(found.notes)


def test_shapes_that_differ_at_one_size_are_what_was_studied(tmp_path: Path) -> None:
    """Deep and narrow beside wide and flat: the columns stay."""
    (tmp_path / "a.csv").write_text("depth,width,tokens,loss\n4,512,1e9,3.3\n16,256,1e9,3.4\n8,512,1e9,3.2\n")

    assert sizes_of_shapes(read_table(tmp_path / "a.csv")) is None


def test_a_column_in_millions_whose_cells_are_counts_is_not_multiplied_again(tmp_path: Path) -> None:
    """`70M` below `params (M)` is seventy million."""
    found = rows(tmp_path, "a.csv", "params (M),tokens,loss\n70M,1e9,3.0\n140M,2e9,2.9\n")

    assert [70e6, 140e6] == list(found.size.count)
