"""The tools that an assistant has over a folder of logs: what each is for, what it takes and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, TypedDict, final

from scalewatch.advice import Advice
from scalewatch.finding import Finding
from scalewatch.forecast import candidate_schedules
from scalewatch.forecast.candidate_schedules import CandidateSchedule
from scalewatch.forecast.counterfactual import Position
from scalewatch.offline.answers import (
    ForecastAnswer,
    RunAnswer,
    UnreadableFile,
    WhatifAnswer,
    forecast_answer,
    whatif_answer,
)
from scalewatch.offline.assistant.folder import LogFolder
from scalewatch.offline.backtest import backtest
from scalewatch.offline.history import planned, read
from scalewatch.offline.replayed import ReplayedRun, Settings, summary, trouble
from scalewatch.offline.whatif import compare_schedules
from scalewatch.plain import to_plain
from scalewatch.status import State

__all__ = ["TOOLS", "Tool"]

#: Runs and findings in one answer at most, and findings beside a status.
MOST_RUNS, MOST_FINDINGS, FINDINGS_BESIDE = 200, 100, 20
#: Parts of a run, and other schedules, in one question at most.
MOST_PARTS, MOST_SCHEDULES = 20, 10


class RunLine(TypedDict):
    """One run in a line."""

    run: Annotated[str, "Its name, by which the other tools take it."]
    state: Annotated[State, "Its state, one of six words."]
    verdict: Annotated[str, "The same as a sentence."]
    step: Annotated[int, "Newest step."]
    total_steps: Annotated[int | None, "Planned steps; null where the log does not say."]
    pages: Annotated[int, "Findings worth waking someone."]


class RunsAnswer(TypedDict):
    """The runs of the folder, the one in the worst state first."""

    runs: Annotated[list[RunLine], "The runs."]
    left_out: Annotated[int, "Runs beyond those, and logs that were not looked at."]
    unreadable: Annotated[list[UnreadableFile], "Logs that cannot be read."]


class FindingsAnswer(TypedDict):
    """What was found in a run."""

    run: Annotated[str, "Its name."]
    verdict: Annotated[str, "Its state as a sentence."]
    findings: Annotated[list[Finding], "What was found, oldest first."]
    left_out: Annotated[int, "Findings before those."]


class AdviceAnswer(TypedDict):
    """What to do about a run."""

    run: Annotated[str, "Its name."]
    verdict: Annotated[str, "Its state as a sentence."]
    advice: Annotated[list[Advice], "What to do now, the most urgent first; empty: wait and see."]
    no_forecast: Annotated[str | None, "Why nothing is said of its end, where that is so."]


@final
@dataclass(frozen=True, slots=True)
class Tool:
    """One tool.

    Attributes:
        title, text: what it is for, for people and for assistants. takes: JSON Schema of each argument.
        needed: arguments that must be there. answer: type of what it answers.
        ask: makes the answer of the folder, the settings and the arguments.
    """

    title: str
    text: str
    takes: Mapping[str, Mapping[str, Any]]
    needed: tuple[str, ...]
    answer: Any
    ask: Callable[[LogFolder, Settings, Mapping[str, Any]], dict[str, Any]]


def _list_runs(folder: LogFolder, settings: Settings, asked: Mapping[str, Any]) -> dict[str, Any]:
    runs, unreadable, unseen = folder.every()
    wanted = [(name, run) for name, run in runs if asked.get("state") in (None, str(run.tracker.status.state))]
    wanted.sort(key=lambda pair: trouble(pair[1]))
    most = asked.get("limit", MOST_RUNS)
    return {
        "runs": [_line(name, run) for name, run in wanted[:most]],
        "left_out": max(len(wanted) - most, 0) + unseen,
        "unreadable": [{"path": path, "reason": reason} for path, reason in unreadable[:MOST_RUNS]],
    }


def _line(name: str, run: ReplayedRun) -> dict[str, Any]:
    verdict = run.tracker.verdict
    status, total = verdict.status, verdict.run.total_steps
    line = {"run": name, "state": str(status.state), "verdict": status.sentence, "step": verdict.step}
    return {**line, "total_steps": total, "pages": run.tracker.pages}


def _status(folder: LogFolder, settings: Settings, asked: Mapping[str, Any]) -> dict[str, Any]:
    answer = summary(folder.run(asked["run"]))
    findings = answer["findings"][-FINDINGS_BESIDE:]
    dropped = answer["findings_dropped"] + len(answer["findings"]) - len(findings)
    return {**answer, "run": asked["run"], "findings": findings, "findings_dropped": dropped}


def _findings(folder: LogFolder, settings: Settings, asked: Mapping[str, Any]) -> dict[str, Any]:
    tracker = folder.run(asked["run"]).tracker
    found = [each for each in tracker.findings if each.step >= asked.get("since_step", 0)]
    shown = found[-asked.get("limit", MOST_FINDINGS) :]
    left_out = len(found) - len(shown) + tracker.dropped
    verdict = tracker.status.sentence
    return {"run": asked["run"], "verdict": verdict, "findings": to_plain(shown), "left_out": left_out}


def _advice(folder: LogFolder, settings: Settings, asked: Mapping[str, Any]) -> dict[str, Any]:
    tracker = folder.run(asked["run"]).tracker
    about = {"run": asked["run"], "verdict": tracker.status.sentence, "advice": to_plain(tracker.advice)}
    return {**about, "no_forecast": tracker.no_forecast or None}


def _forecast(folder: LogFolder, settings: Settings, asked: Mapping[str, Any]) -> dict[str, Any]:
    past = read(folder.log(asked["run"]), None)
    plan = planned(past, settings, None)
    reached = past.last_step / (plan.run.total_steps or past.last_step)
    parts = sorted({min(part, reached) for part in asked.get("at", [reached])})
    looked = backtest(past, plan, settings, parts)
    answer = forecast_answer(past, plan, looked.rows, looked.final_loss, settings.goals)
    return {**answer, "run": asked["run"]}


def _what_if(folder: LogFolder, settings: Settings, asked: Mapping[str, Any]) -> dict[str, Any]:
    def candidates(now: Position) -> list[CandidateSchedule]:
        of = candidate_schedules
        made = [of.hold_then_decay(now.rate, now.left, now.total_steps, part) for part in asked.get("decay", ())]
        made += [of.extended(now.rest, steps) for steps in asked.get("extend_steps", ())]
        made += [of.scaled(now.rest, factor) for factor in asked.get("rate_factor", ())]
        return made or of.usual(now.rate, now.rest, now.step, now.total_steps)

    compared = compare_schedules(folder.log(asked["run"]), settings, candidates, at=asked.get("at"))
    return whatif_answer(asked["run"], compared.now, compared.outcomes, compared.notes)


_OF_RUN: Mapping[str, Any] = {"run": {"type": "string", "maxLength": 1_000, "description": "Its name, from list_runs."}}
_PART = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}


def _several(kind: Mapping[str, Any], text: str, most: int = MOST_SCHEDULES) -> dict[str, Any]:
    return {"type": "array", "items": kind, "minItems": 1, "maxItems": most, "description": text}


#: Name -> tool.
TOOLS: Mapping[str, Tool] = MappingProxyType(
    {
        "list_runs": Tool(
            "Runs and their states",
            "Names and states of the runs of the folder, the worst first. Begin with it: the others take its names.",
            {
                "state": {"enum": [str(state) for state in State], "description": "Only runs in this state."},
                "limit": {"type": "integer", "minimum": 1, "maximum": MOST_RUNS, "description": "Runs at most."},
            },
            (),
            RunsAnswer,
            _list_runs,
        ),
        "run_status": Tool(
            "How a run stands",
            "Everything about a run: state, losses, forecast with its 80 % interval, newest findings, advice, what was "
            "not measured.",
            _OF_RUN,
            ("run",),
            RunAnswer,
            _status,
        ),
        "run_findings": Tool(
            "What was found in a run",
            "Incidents of a run as they opened, escalated and closed, with the numbers behind each.",
            {
                **_OF_RUN,
                "since_step": {"type": "integer", "minimum": 0, "description": "Only those from this step on."},
                "limit": {"type": "integer", "minimum": 1, "maximum": MOST_FINDINGS, "description": "The newest ones."},
            },
            ("run",),
            FindingsAnswer,
            _findings,
        ),
        "run_advice": Tool(
            "What to do about a run",
            "Recommendations with the grade of their evidence, the expected gain, and what speaks against them.",
            _OF_RUN,
            ("run",),
            AdviceAnswer,
            _advice,
        ),
        "run_forecast": Tool(
            "Where a run will end",
            "Final loss with 50, 80 and 95 % intervals, from the newest row or from parts of the run: what would have "
            "been said there, and how it ended.",
            {**_OF_RUN, "at": _several(_PART, "Parts of the run; without it, its newest row.", MOST_PARTS)},
            ("run",),
            ForecastAnswer,
            _forecast,
        ),
        "what_if": Tool(
            "Other schedules for the rest of a run",
            "Where the plan and other learning-rate schedules for the rest of a run would end, with paired intervals. "
            "Without a schedule, the usual ones: decay now, hold and decay, longer, half the rate.",
            {
                **_OF_RUN,
                "at": {**_PART, "exclusiveMaximum": 1, "description": "Part of the run to look back to."},
                "decay": _several(_PART, "Hold, then decay to 0 over this last part of the run."),
                "extend_steps": _several(
                    {"type": "integer", "minimum": 1, "maximum": 10**9}, "Steps more than planned."
                ),
                "rate_factor": _several(
                    {"type": "number", "exclusiveMinimum": 0, "maximum": 100},
                    "Factor of the planned rates from now on.",
                ),
            },
            ("run",),
            WhatifAnswer,
            _what_if,
        ),
    }
)
