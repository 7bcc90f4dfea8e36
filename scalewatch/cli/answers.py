"""The form of what each command prints with `--json`: a table of types, from which schema and documentation are made.

What is answered about logs is typed where it is made (`scalewatch.offline.answers`); here is what stands on tables.
"""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, TypedDict

from scalewatch.advising.race import Step
from scalewatch.finding import Finding
from scalewatch.fitting.approaches import ApproachResult
from scalewatch.forecast.prediction_file import Assumption
from scalewatch.laws.emergence import EmergenceEvidence
from scalewatch.offline.answers import ForecastAnswer, ReplayAnswer, UnreadableFile, WhatifAnswer
from scalewatch.offline.compare import ComparisonOutcome
from scalewatch.offline.fleet.answers import CollectAnswer, FleetAnswer, SqlAnswer
from scalewatch.offline.gains import Gains
from scalewatch.offline.ladders import Ladder
from scalewatch.plan import Plan
from scalewatch.reproduce import Outcome

__all__ = ["ANSWERS", "without_answer"]


class ExplainedLine(TypedDict):
    """One thing that is said of how a log is read."""

    label: Annotated[str, "What it is about."]
    text: Annotated[str, "What is said."]


class ExplainedLog(TypedDict):
    """How one log is read."""

    path: Annotated[str, "The log."]
    format: Annotated[str, "What it was taken for."]
    columns: Annotated[dict[str, str], "Field of an observation -> column that was taken for it."]
    said: Annotated[list[ExplainedLine], "The lines that are printed of it."]
    command: Annotated[str, "The command that reads it the same."]


class ExplainAnswer(TypedDict):
    """How logs are read."""

    exit_code: Annotated[int, "0, or 2 if none can be read."]
    logs: Annotated[list[ExplainedLog], "Those that can be read."]
    unreadable: Annotated[list[UnreadableFile], "Those that cannot."]
    passed_over: Annotated[list[str], "Files that are no logs, with the reason of each."]


class ComparedRun(TypedDict):
    """One run against the reference."""

    run: Annotated[str, "What it is called."]
    reference: Annotated[str, "What it is compared with."]
    differs: Annotated[bool, "Whether its curve is another, in the end or on the way."]
    outcome: Annotated[ComparisonOutcome, "What the comparison comes to at the end of what both share."]
    relative: Annotated[float, "Its loss over that of the reference, less 1, over the last quarter of what they share."]
    low: Annotated[float, "Lower end of the 95 % interval of that."]
    high: Annotated[float, "Upper end of it."]
    nats: Annotated[float, "The same difference, in the unit of the loss."]
    tolerance: Annotated[float, "Relative difference that was taken for none."]
    rows: Annotated[int, "Rows that were compared."]
    paired_by: Annotated[str, "step, tokens, or either interpolated."]
    correlation: Annotated[float, "Of the residuals of both."]
    same_batches: Annotated[bool, "Whether it says that they saw the same batches."]
    first: Annotated[int, "First step of what was judged."]
    last: Annotated[int, "Last step of it."]
    nonfinite: Annotated[int, "Rows without a finite loss where the reference has one."]
    since: Annotated[int | None, "Step from which on they differ to the end."]
    stretches: Annotated[list[tuple[int, int, float]], "First step, last step and difference of what differed before."]


class CompareAnswer(TypedDict):
    """Runs against one reference."""

    exit_code: Annotated[int, "0 the same as far as can be told, 1 another."]
    comparisons: Annotated[list[ComparedRun], "One for each run."]


class SweptRun(TypedDict):
    """One run of a sweep, and what to do with it."""

    run: Annotated[str, "What it is called."]
    step: Annotated[int, "Newest step."]
    total_steps: Annotated[int, "Planned steps."]
    loss: Annotated[float | None, "Loss now."]
    forecast: Annotated[float | None, "Middle of the final loss."]
    interval: Annotated[tuple[float, float] | None, "80 % interval of it."]
    sibling: Annotated[str | None, "The run that has ended by which it was judged."]
    expected_gain: Annotated[float | None, "Part of the loss by which it may come out below the leader, expected."]
    action: Annotated[Step, "What to do with it."]
    lost: Annotated[str | None, "Why it is beyond saving."]
    no_law_holds: Annotated[bool, "Whether no law says where it ends."]
    length_known: Annotated[
        bool, "Whether its planned length is known, or its rates have decayed; else nobody knows whether it has ended."
    ]


class SweepAnswer(TypedDict):
    """What to do with the runs of a sweep now."""

    exit_code: Annotated[int, "1 if a run is to be stopped or paused, else 0."]
    leader: Annotated[str | None, "The best run."]
    budget: Annotated[float, "How far above the best of all to end on average, part of the loss."]
    expected_regret: Annotated[float, "How far above the best of all the best that is left is expected to end."]
    chance_over_budget: Annotated[float, "Probability of more than the budget."]
    saved_steps: Annotated[int, "Steps that stopping saves."]
    runs: Annotated[list[SweptRun], "The runs, as they are printed."]
    notes: Annotated[list[str], "What speaks against it, and what was assumed."]


class FoundLine(TypedDict):
    """One line: a finding of one run, as it is made."""

    run: Annotated[str, "What the run is called."]
    finding: Annotated[Finding, "What was found."]


class LawWeight(TypedDict):
    """One law of several that compete."""

    law: Annotated[str, "Its name."]
    weight: Annotated[float, "In what is foretold."]
    held_out_error: Annotated[float, "Its error on the farthest runs of the table, from the others."]


class ForetoldPoint(TypedDict):
    """One run to come."""

    row: Annotated[int, "Row of the table of points, from 1."]
    prediction: Annotated[float | None, "Loss; null where a number of the row is missing."]
    low: Annotated[float | None, "Lower end of its interval."]
    high: Annotated[float | None, "Upper end of its interval."]
    beyond: Annotated[dict[str, float] | None, "Column -> how many times it lies beyond the runs."]
    fall_beyond: NotRequired[Annotated[float, "Part of the loss between it and the nearest place among the runs."]]


class ForetoldLoss(TypedDict):
    """One loss of the runs to come."""

    loss: Annotated[str, "Its column."]
    runs: Annotated[int, "Runs that it rests on."]
    level: Annotated[float, "Of the intervals."]
    notes: Annotated[list[str], "How the tables were read."]
    laws: Annotated[list[LawWeight], "The laws, the heaviest first."]
    points: Annotated[list[ForetoldPoint], "One for each row of points."]


class PredictAnswer(TypedDict):
    """What finished runs foretell of runs to come."""

    table: Annotated[str, "The finished runs."]
    points: Annotated[str, "The runs to come."]
    losses: Annotated[list[ForetoldLoss], "One for each loss of the table."]


class LawConstant(TypedDict):
    """A constant of a law."""

    name: Annotated[str, "In the formula."]
    value: Annotated[float, "As fitted."]
    interval: Annotated[tuple[float, float] | None, "80 %; null where it has none."]
    meaning: Annotated[str, "What it is."]


class FitAnswer(TypedDict):
    """A law that was fitted."""

    exit_code: Annotated[int, "0 it can be used, 1 its runs do not carry it."]
    family: Annotated[str, "What was fitted."]
    formula: Annotated[str, "Of the law."]
    path: Annotated[str, "The law file that was written."]
    usable: Annotated[bool, "Whether it can be used."]
    runs: Annotated[int, "Runs or rows that it rests on."]
    constants: Annotated[list[LawConstant], "Of the law."]
    notes: Annotated[list[str], "What was printed besides: what was read, used, left out, and what speaks against it."]


class ApproachesAnswer(TypedDict):
    """Chinchilla's three approaches on the same runs."""

    exit_code: Annotated[int, "0 one has an answer, 1 none has."]
    results: Annotated[list[ApproachResult], "One for each approach."]
    best_parameters: Annotated[dict[str, float] | None, "Approach -> size for `--flops`; null without a budget."]
    disagreements: Annotated[list[str], "Where they contradict each other."]
    status: Annotated[str, "Whether to rely on them, a sentence."]
    cautions: Annotated[list[str], "What makes the runs suspicious."]
    notes: Annotated[list[str], "How the tables were read, and what was left out."]


class EmergenceAnswer(TypedDict):
    """Whether a jump is in the models or in the metric."""

    exit_code: Annotated[int, "0 there is an answer, 1 these models cannot tell."]
    found: Annotated[EmergenceEvidence, "The verdict, and what it rests on."]
    notes: Annotated[list[str], "How the tables were read."]


class CollapsePoint(TypedDict):
    """How far curves differ at one part of the run."""

    at: Annotated[float, "Part of the run, in (0, 1]."]
    deviation: Annotated[float, "Relative scatter of the normalised curves."]
    seeds: Annotated[float, "The same among seeds of one size."]


class HeldRun(TypedDict):
    """An unfinished run, held against the largest finished one below it."""

    run: Annotated[str, "What it is called."]
    progress: Annotated[float, "Part of its plan that is done."]
    left: Annotated[bool, "Whether it has left the curve of its siblings."]
    said: Annotated[str, "The same in words."]


class CollapseAnswer(TypedDict):
    """Whether runs of several sizes follow one curve."""

    exit_code: Annotated[int, "0 no run has left the curve, 1 one has."]
    floor: Annotated[float | None, "Loss of endless compute that was used."]
    finished: Annotated[int, "Finished runs that were compared."]
    sizes: Annotated[int, "Sizes among them."]
    points: Annotated[list[CollapsePoint], "How far they differ."]
    held: Annotated[list[HeldRun], "Runs that have not ended."]
    notes: Annotated[list[str], "What was read, left out, and what speaks against it."]


class RegisterAnswer(TypedDict):
    """A prediction that was registered: what its file holds, and where it is."""

    kind: Annotated[str, "What such a file calls itself."]
    schema: Annotated[int, "Version of its form."]
    made_unix_s: Annotated[float, "When, seconds since 1970."]
    run: Annotated[dict[str, Any], "What was said of the run."]
    assumptions: Annotated[list[Assumption], "What was assumed, and how much each moves the prediction."]
    notes: Annotated[list[str], "What lies outside the law's range."]
    law: Annotated[dict[str, Any], "The law."]
    baseline: Annotated[dict[str, Any], "The prediction: `final_loss` is middle, low and high (80 %)."]
    fingerprint: Annotated[str, "SHA-256 of all of it, in hexadecimal."]
    path: Annotated[str, "The file."]


class ScoresSummary(TypedDict):
    """All registered predictions together; null where nothing has ended."""

    registered: Annotated[int, "How many there are."]
    ended: Annotated[int, "Of how many the run has ended."]
    inside_80: Annotated[float | None, "Part of these that ended inside the 80 % interval."]
    mean_error_percent: Annotated[float | None, "Mean distance of what was said from what came."]
    mean_bias_percent: Annotated[float | None, "The same with its sign."]
    mean_pinball: Annotated[float | None, "Mean pinball loss over 10, 50 and 90 %."]


class ScoredPrediction(TypedDict):
    """One registered prediction, and what came."""

    run: Annotated[str, "What the run is called."]
    path: Annotated[str, "The prediction, or the journal of the run that registered it."]
    fingerprint: Annotated[str | None, "Of its file; null of one that was made as the run began."]
    made_unix_s: Annotated[float | None, "When, seconds since 1970."]
    said: Annotated[float, "Middle of the final loss."]
    low: Annotated[float, "Lower end of its 80 % interval."]
    high: Annotated[float, "Upper end of it."]
    outcome: Annotated[float | None, "Final loss; null while the run goes on."]
    inside: Annotated[bool | None, "Whether it lies in the interval."]
    error_percent: Annotated[float | None, "What was said over what came, less 1."]
    pinball: Annotated[float | None, "Pinball loss."]


class ScoresAnswer(TypedDict):
    """The record of registered predictions."""

    exit_code: Annotated[int, "1 if a file could not be read or was changed, else 0."]
    summary: Annotated[ScoresSummary, "All together."]
    predictions: Annotated[list[ScoredPrediction], "Each."]
    unreadable: Annotated[list[str], "Files that could not be read or were changed."]


class ReproducedNumber(TypedDict):
    """One published number."""

    quantity: Annotated[str, "What it is."]
    published: Annotated[float, "As printed."]
    ours: Annotated[float, "Recomputed."]
    tolerance: Annotated[float, "How far apart they may be."]
    how: Annotated[str, "abs or rel difference, or at least or at most the published one."]
    passed: Annotated[bool, "Whether they agree."]


class ReproducedRow(TypedDict):
    """One row of published numbers."""

    row: Annotated[int, "Its number."]
    title: Annotated[str, "What it is about."]
    source: Annotated[str, "Where it was published."]
    outcome: Annotated[Outcome, "Whether all of its numbers agree."]
    seconds: Annotated[float, "It took."]
    missing: Annotated[str | None, "What data are missing, and where they come from."]
    left_out: Annotated[str, "What of the publication is not covered, and why."]
    checks: Annotated[list[ReproducedNumber], "Its numbers."]


class ReproduceAnswer(TypedDict):
    """Published numbers, recomputed."""

    exit_code: Annotated[int, "0 what could be computed agrees, 1 a row does not."]
    rows: Annotated[list[ReproducedRow], "The rows."]


class ReportAnswer(TypedDict):
    """A page that was written."""

    path: Annotated[str, "The page."]
    runs: Annotated[int, "Runs on it."]
    with_findings: Annotated[int, "Of these with findings worth waking someone."]
    unreadable: Annotated[list[UnreadableFile], "Files that could not be read."]


#: What is typed, without options that do not change the form -> the type of what is printed with `--json`.
ANSWERS: dict[str, Any] = {
    "replay": ReplayAnswer,
    "replay --against": CompareAnswer,
    "replay --explain": ExplainAnswer,
    "watch": FoundLine,
    "report": ReportAnswer,
    "forecast": ForecastAnswer,
    "whatif": WhatifAnswer,
    "sweep": SweepAnswer,
    "fleet": FleetAnswer,
    "fleet --sql": SqlAnswer,
    "fleet collect": CollectAnswer,
    "fit": FitAnswer,
    "fit --predict": PredictAnswer,
    "approaches": ApproachesAnswer,
    "ladder": Ladder,
    "gain": Gains,
    "emergence": EmergenceAnswer,
    "collapse": CollapseAnswer,
    "plan": Plan,
    "register": RegisterAnswer,
    "scores": ScoresAnswer,
    "reproduce": ReproduceAnswer,
}


def without_answer() -> dict[str, str]:
    """Return the commands that have no `--json`, and why."""
    return {
        "run": "its standard output is that of the program; `replay FOLDER --json` tells what was found",
        "mcp": "it speaks to an assistant, each answer with its schema (assistants.md)",
        "fleet serve": "it answers Prometheus, in its own form",
        "alert test": "it sends, and says only whether it was taken, as its exit code does",
        "alert silence": "it changes a file, and says no more than its exit code",
        "alert digest": "it sends, and says only whether it was taken, as its exit code does",
        "alert watch": "it sends; the receivers webhook and command get JSON",
    }
