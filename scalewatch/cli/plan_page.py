"""A plan as a page for the terminal: 80 columns do, 100 have room for every interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from scalewatch.cli.fitting_table import Column, fitting_table
from scalewatch.laws.size import SizeKind
from scalewatch.plan.quantities import count, interval, number, percent, ratio, span, with_interval

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scalewatch.plan.loss_model import Estimate
    from scalewatch.plan.result import Deployment, Plan, Point, Repeats, Schedule

__all__ = ["page"]

Cell = Callable[["Estimate", object], str]

#: Columns from which tables have room for intervals.
WIDE = 100
#: Other sizes that have no finite answer.
NEVER = "not on any data"
_KINDS = {SizeKind.TOTAL: "total", SizeKind.NON_EMBEDDING: "without embeddings", SizeKind.ACTIVE: "active"}
#: Name, getter and form of each line of the first table; a form is a format or a function.
_LINES: tuple[tuple[str, Callable[[Point], Estimate | None], object], ...] = (
    ("parameters ({kind})", lambda p: p.parameters, count),
    ("tokens", lambda p: p.tokens, count),
    ("tokens per parameter", lambda p: p.tokens_per_parameter, ratio),
    ("loss, nats/token", lambda p: p.loss, ".4f"),
    ("  of a single run", lambda p: p.run_loss, ".4f"),
    ("compute, FLOP", lambda p: p.flops, number),
    ("time", lambda p: p.hours, span),
)


def page(plan: Plan, title: str, width: int = 100) -> Iterator[RenderableType]:
    """Yield the parts of the page, in the order in which they are read.

    Args:
        plan: to be shown. title: its head. width: of the terminal [columns]; narrow tables leave intervals out.
    """
    cell = with_interval if width >= WIDE else _bare
    yield Text(title, style="bold")
    yield Text(f"{plan.law.label}. {plan.law.errors}", style="dim")
    if plan.law.faults:
        yield Text("This law is not to be relied on, and neither is the plan:", style="bold red")
        yield from (_bullet(fault, "red") for fault in plan.law.faults)
    yield Text()
    yield _runs(plan)
    yield Text()
    yield from (_bullet(note, "yellow") for note in plan.chosen.notes)
    yield from _lines(plan)
    yield _heading("Same compute, other sizes: what they lose (isoFLOP)")
    yield _others(plan, cell, width)
    yield _heading("Same loss, other sizes: what they cost (isoLoss)")
    yield _same_loss(plan, cell, width)
    yield _heading(f"What others would train with {number(plan.best.flops.value)} FLOP, judged by this law")
    yield _baselines(plan, cell, width)
    if plan.deployment is not None:
        yield from _deployment(plan.deployment, plan)
    if plan.repeats is not None:
        yield from _repeats(plan.repeats, plan)
    yield from _schedule(plan.schedule)
    if plan.notes:
        yield _heading("Before you trust it")
        yield from (_bullet(note, "yellow") for note in plan.notes)


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim underline")
    for name in columns:
        left = not name or name in ("rule", "size")
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    return table


def _indented(table: Table) -> Padding:
    return Padding(table, (0, 0, 0, 2))


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _bullet(text: str, style: str = "") -> Padding:
    return Padding(Text(text, style=style), (0, 0, 0, 2))


def _interval_column(plan: Plan) -> str:
    return f"{100 * plan.level:.3g} % interval"


def _runs(plan: Plan) -> Padding:
    table = _table("")
    columns = [("best", plan.best)] if plan.own is None else [("yours", plan.own.point), ("best", plan.best)]
    known = any(_known(point) for _, point in columns)
    for name, _ in columns:
        table.add_column(name, justify="right", no_wrap=True)
        if known:
            table.add_column(_interval_column(plan), justify="left", style="dim", no_wrap=True)
    for name, get, form in _LINES:
        cells = []
        for _, point in columns:
            estimate = get(point)
            # a single run is expected where the law is: what is new is its interval
            same = estimate is point.run_loss
            cells.append("" if estimate is None or same else _bare(estimate, form))
            if known:
                cells.append("" if estimate is None else interval(estimate, form))
        if any(cells):
            table.add_row(name.format(kind=_KINDS[plan.law.kind]), *cells)
    return _indented(table)


def _known(point: Point) -> bool:
    return any(estimate is not None and estimate.low is not None for estimate in (get(point) for _, get, _ in _LINES))


def _lines(plan: Plan) -> Iterator[RenderableType]:
    if plan.own is not None and plan.own.same == "loss":
        more = percent(plan.own.point.flops.value / plan.best.flops.value - 1.0)
        yield _bullet(f"Yours takes {more} more compute than the best run to this loss.")
    elif plan.own is not None:
        yield _bullet(
            f"Yours ends {with_interval(plan.own.extra_nats, '.4f')} nats above the best of its compute; "
            f"{with_interval(plan.own.wasted_share, percent)} of that compute is not needed for its loss."
        )
    near = plan.trade_offs.near_best
    yield _bullet(
        f"Any size from {count(near[0])} to {count(near[1])} ends within 0.01 nats of the best at its compute."
    )
    if plan.trade_offs.regret_nats.high is not None:
        yield _bullet(
            "If the best size lies elsewhere, as the law's errors allow, this one loses up to "
            f"{plan.trade_offs.regret_nats.high:.4f} nats by it."
        )
    price = plan.price
    if price.share.value == float("inf"):
        yield _bullet(f"The next {price.nats:g} nats cannot be bought: they lie below the irreducible loss.")
        return
    time = "" if price.hours is None else f", {span(price.hours.value)}"
    yield _bullet(
        f"The next {price.nats:g} nats cost {with_interval(price.share, percent)} more compute: "
        f"{number(price.flops.value)} FLOP{time}."
    )


def _bare(estimate: Estimate, form: object) -> str:
    return with_interval(type(estimate)(estimate.value), form)


def _times(factor: float) -> str:
    return "best" if factor == 1.0 else f"{factor:g} x"


def _others(plan: Plan, cell: Cell, width: int) -> RenderableType:
    columns = (
        *(Column("size"), Column("params"), Column("tokens", goes=1), Column("tok/param", goes=3), Column("loss")),
        *(Column("extra nats", goes=2), Column("wasted compute", goes=4)),
    )
    rows = [
        (
            *(_times(row.factor), count(row.parameters), count(row.tokens), ratio(row.tokens_per_parameter)),
            f"{row.loss:.4f}",
            "" if row.factor == 1.0 else cell(row.extra_nats, ".4f"),
            "" if row.factor == 1.0 else cell(row.wasted_share, percent),
        )
        for row in plan.trade_offs.same_compute
    ]
    return fitting_table(
        columns, rows, width, _best_bold([row.factor for row in plan.trade_offs.same_compute]), edge=False
    )


def _same_loss(plan: Plan, cell: Cell, width: int) -> RenderableType:
    columns = (
        *(Column("size"), Column("params"), Column("tokens", goes=1), Column("tok/param", goes=3)),
        *(Column("compute, FLOP", goes=2), Column("more compute")),
    )
    rows = []
    for row in plan.trade_offs.same_loss:
        if not row.flops < float("inf"):
            rows.append((_times(row.factor), count(row.parameters), NEVER, "", "", ""))
            continue
        more = "" if row.factor == 1.0 else cell(row.extra_share, percent)
        tokens = (count(row.tokens), ratio(row.tokens_per_parameter))
        rows.append((_times(row.factor), count(row.parameters), *tokens, number(row.flops), more))
    return fitting_table(
        columns, rows, width, _best_bold([row.factor for row in plan.trade_offs.same_loss]), edge=False
    )


def _best_bold(factors: list[float]) -> list[str]:
    return ["bold" if factor == 1.0 else "" for factor in factors]


def _baselines(plan: Plan, cell: Cell, width: int) -> RenderableType:
    best = plan.best
    columns = (
        *(Column("rule", "words"), Column("params"), Column("tokens", goes=2), Column("tok/param", goes=3)),
        *(Column("loss"), Column("extra nats", goes=1)),
    )
    tokens = (count(best.tokens.value), ratio(best.tokens_per_parameter.value))
    rows = [("this law", count(best.parameters.value), *tokens, f"{best.loss.value:.4f}", "")]
    for row in plan.baselines:
        tokens = (count(row.tokens), ratio(row.tokens_per_parameter))
        rows.append((row.name, count(row.parameters), *tokens, f"{row.loss:.4f}", cell(row.extra_nats, ".4f")))
    return fitting_table(columns, rows, width, ["bold", *[""] * len(plan.baselines)], edge=False)


def _pairs(plan: Plan, rows: list[tuple[str, Estimate, object]]) -> Padding:
    table = _table("")
    table.add_column("value", justify="right", no_wrap=True)
    if any(estimate.low is not None for _, estimate, _ in rows):
        table.add_column(_interval_column(plan), justify="left", style="dim", no_wrap=True)
    for name, estimate, form in rows:
        cells = [_bare(estimate, form), interval(estimate, form)]
        table.add_row(name, *cells[: len(table.columns) - 1])
    return _indented(table)


def _deployment(made: Deployment, plan: Plan) -> Iterator[RenderableType]:
    yield _heading(
        f"Served {count(made.served_tokens)} tokens: the cheapest model of loss {made.loss:.4f} over its life"
    )
    yield _pairs(
        plan,
        [
            ("parameters", made.parameters, count),
            ("tokens to train on", made.tokens, count),
            ("tokens per parameter", made.tokens_per_parameter, ratio),
            ("compute to train, FLOP", made.training_flops, number),
            ("compute to serve, FLOP", made.serving_flops, number),
            ("saved against training alone", made.saved_share, percent),
        ],
    )
    yield from (_bullet(note, "yellow") for note in made.notes)


def _repeats(repeats: Repeats, plan: Plan) -> Iterator[RenderableType]:
    yield _heading(f"Only {count(repeats.unique_tokens)} different tokens: the best of the same compute")
    rows: list[tuple[str, Estimate, object]] = [
        ("parameters", repeats.parameters, count),
        ("tokens, repeats included", repeats.tokens, count),
        ("epochs", repeats.epochs, ratio),
        ("loss, nats/token", repeats.loss, ".4f"),
        ("above fresh data, nats", repeats.extra_nats, ".4f"),
    ]
    if repeats.own_loss is not None:
        rows.append(("loss of yours with these repeats", repeats.own_loss, ".4f"))
    if repeats.epochs.value <= 1.0 and repeats.own_loss is None:
        yield _bullet("There are enough: the best run sees no token twice.")
        return
    yield _pairs(plan, rows)
    yield from (_bullet(note, "yellow") for note in repeats.notes)


def _schedule(schedule: Schedule) -> Iterator[RenderableType]:
    yield _heading("Schedule")
    tokens = with_interval(schedule.tokens, count)
    if schedule.steps is None:
        line = f"Let the learning rate end its decay with the tokens: {tokens}."
        if schedule.batch_band is not None:
            low, high = schedule.batch_band
            value = schedule.tokens.value
            line += (
                f" At {count(low)} to {count(high)} tokens a step (advice: Step Law, Li et al. 2025) that is "
                f"{count(value / high)} to {count(value / low)} steps."
            )
        yield _bullet(line)
        return
    batch = schedule.batch_tokens or 1.0
    yield _bullet(f"{schedule.steps:,.0f} steps of {count(batch)} tokens: let the decay end there.")
    if schedule.batch_band is not None and not schedule.batch_band[0] <= batch <= schedule.batch_band[1]:
        low, high = schedule.batch_band
        yield _bullet(
            f"The batch is outside of the usual {count(low)} to {count(high)} tokens a step (advice: Step Law)."
        )
    if schedule.warning is not None:
        yield _bullet(schedule.warning, "bold red")
    elif schedule.asked_steps is not None:
        yield _bullet(f"The cosine of {schedule.asked_steps:,.0f} steps ends with the tokens, as it should.")
