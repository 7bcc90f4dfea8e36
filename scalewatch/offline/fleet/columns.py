"""What a row of verdict holds: its fields, what each means, and its type in parquet and SQL."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, TypedDict, get_args, get_type_hints

__all__ = ["COLUMNS", "FleetRow"]

#: Behind what a field means: it is a time, in UTC, and as text in JSON.
TIME = "time"


class FleetRow(TypedDict):
    """One run at one look; null where there is nothing to say. Losses are in the unit of the log."""

    run: Annotated[str, "Its path below the folder that was collected, with #name where a file holds several."]
    source: Annotated[str, "What that folder is called."]
    look: Annotated[str | None, "When the row was made, UTC.", TIME]
    written: Annotated[str | None, "When somebody last wrote to the log, UTC.", TIME]
    unit: Annotated[str, "The files that are read together."]
    signature: Annotated[str | None, "Of their sizes and times, and of how they were read."]
    state: Annotated[str | None, "Its state, one of six words."]
    rank: Annotated[int | None, "How bad that is: lost 3, in trouble 2, recovered 1, else 0."]
    sentence: Annotated[str | None, "Its state as a sentence, the one that every screen shows."]
    since: Annotated[int | None, "Step since which it is in that state."]
    pages: Annotated[int | None, "Findings worth waking someone, warning or critical."]
    first_page_step: Annotated[int | None, "Step of the first of them."]
    open_kinds: Annotated[str | None, "Kinds of the incidents that go on, with commas between."]
    not_measured: Annotated[str | None, "What was never logged, so that nothing is said of it."]
    unreadable: Annotated[str | None, "Why the log cannot be read."]
    rows: Annotated[int | None, "Rows that were read."]
    step: Annotated[int | None, "Newest step."]
    total_steps: Annotated[int | None, "Planned steps."]
    progress: Annotated[float | None, "Part of the plan that is done."]
    finished: Annotated[bool | None, "Whether the planned end was reached."]
    row_seconds: Annotated[float | None, "Time between two rows as the log has it, in seconds."]
    loss: Annotated[float | None, "Loss now: the final one of a run that has ended, else the mean of its newest rows."]
    loss_unit: Annotated[str | None, "Unit of the loss, such as nats."]
    final_loss: Annotated[float | None, "Loss at the end; null before it."]
    forecast: Annotated[float | None, "Middle of the final loss."]
    forecast_low: Annotated[float | None, "Lower end of its 80 % interval."]
    forecast_high: Annotated[float | None, "Upper end of it."]
    no_forecast: Annotated[str | None, "Why nothing is said of the end."]
    off_law: Annotated[bool | None, "Whether an incident of that kind goes on."]
    law_gap: Annotated[float | None, "Loss above the law; negative is better."]
    law_gap_sigmas: Annotated[float | None, "The same in standard errors of law and noise together."]
    action: Annotated[str | None, "What to do first."]
    advice: Annotated[str | None, "That, with its evidence and its reason."]
    format: Annotated[str | None, "What the log was taken for."]
    notes: Annotated[str | None, "What is to be said of how it was read."]


def _kind(hint: object) -> str:
    inner, _, *more = get_args(hint)
    if TIME in more:
        return TIME
    parts = set(get_args(inner) or (inner,)) - {type(None)}
    return {str: "text", int: "count", float: "number", bool: "flag"}[parts.pop()]


#: Column -> its type.
COLUMNS: Mapping[str, str] = MappingProxyType(
    {name: _kind(hint) for name, hint in get_type_hints(FleetRow, include_extras=True).items()}
)
