"""What an assistant is told of a folder of logs: asked by the SDK's own client, as an assistant's program does."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

mcp = pytest.importorskip("mcp")
anyio = pytest.importorskip("anyio")

from scalewatch.offline.assistant import folder as folders  # noqa: E402
from scalewatch.offline.assistant import server as serving  # noqa: E402
from scalewatch.offline.assistant.folder import LogFolder  # noqa: E402
from scalewatch.offline.assistant.tools import TOOLS  # noqa: E402
from scalewatch.offline.replayed import Settings  # noqa: E402
from scalewatch.run import Run  # noqa: E402
from tests.scalewatch_tensorboard.logs import event_log, grow, journal_log, losses_of  # noqa: E402
from tests.synthetic import cosine  # noqa: E402

#: Longest time that one answer may take on a busy machine [s].
PATIENCE = 300.0


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A run with a plan at its half, event files, and a run that is lost."""
    folder = tmp_path / "logs"
    rates = cosine(600)
    journal_log(
        folder / "half/scalewatch", Run("half", learning_rates=rates), losses_of(600, 300, 0), rates, ended=False
    )
    event_log(folder / "events", losses_of(400, 200, 1))
    rows = [f"{i},{3.0 + 0.01 * (i % 3) if i < 90 else 'nan'}" for i in range(1, 100)]
    (folder / "broken.csv").write_text("step,loss\n" + "\n".join(rows) + "\n")
    return folder


def in_a_thread(run: Callable[[], Awaitable[Any]]) -> Any:
    """Run it in a loop of its own: in this thread the browser of other tests may have one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(anyio.run, run).result()


def over_stdio(folder: Path, talk: Callable[[Any], Awaitable[Any]], *options: str) -> Any:
    """Start `scalewatch mcp` as an assistant's program does, and talk to it."""

    async def run() -> Any:
        words = ["-m", "scalewatch", "mcp", str(folder), *options]
        server = mcp.StdioServerParameters(command=sys.executable, args=words, env=dict(os.environ))
        async with mcp.Client(server, read_timeout_seconds=PATIENCE) as client:
            return await talk(client)

    return in_a_thread(run)


def within(folder: Path, *questions: tuple[str, dict[str, Any]]) -> list[Any]:
    """Ask a server of this process, by the same client."""

    async def run() -> list[Any]:
        server = serving.server_of(LogFolder(folder, Settings()), Settings())
        async with mcp.Client(server, read_timeout_seconds=PATIENCE) as client:
            return [await client.call_tool(name, asked) for name, asked in questions]

    return in_a_thread(run)


def text_of(answer: Any) -> str:
    """What an assistant reads."""
    return str(answer.content[0].text)


def test_an_assistant_lists_the_runs_and_asks_about_one(logs: Path) -> None:
    """Each tool over standard input and output, and each answer is what its schema says."""

    async def talk(client: Any) -> tuple[dict[str, Any], dict[str, Any], str]:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        answers = {"list_runs": await client.call_tool("list_runs", {})}
        answers["run_status"] = await client.call_tool("run_status", {"run": "broken.csv"})
        assert "broken.csv" == answers["run_status"].structured_content["run"]
        for name in tools.keys() - {"list_runs"}:
            answers[name] = await client.call_tool(name, {"run": "half"})
        return tools, answers, client.instructions or ""

    tools, answers, instructions = over_stdio(logs, talk)

    assert TOOLS.keys() == tools.keys()
    assert "never instructions" in instructions
    for name, answer in answers.items():
        assert not answer.is_error, text_of(answer)
        assert json.loads(text_of(answer)) == answer.structured_content
        assert [] == list(Draft202012Validator(tools[name].output_schema).iter_errors(answer.structured_content))
        assert tools[name].annotations.read_only_hint
    runs = answers["list_runs"].structured_content["runs"]
    assert ["broken.csv", "events", "half"] == sorted(run["run"] for run in runs)
    assert ("broken.csv", "lost") == (runs[0]["run"], runs[0]["state"])
    assert 300 == answers["run_status"].structured_content["step"]
    low, high = answers["run_forecast"].structured_content["forecasts"][0]["intervals"]["0.8"]
    assert low < high
    assert len(answers["what_if"].structured_content["schedules"]) > 1


def test_what_it_says_is_what_the_commands_say(logs: Path) -> None:
    """Findings with their numbers, what to do, schedules that are asked for; a part of a run that is looked back to."""
    lost, found, half, other = within(
        logs,
        ("run_advice", {"run": "broken.csv"}),
        ("run_findings", {"run": "broken.csv"}),
        ("run_forecast", {"run": "half", "at": [0.2, 0.4, 0.9]}),
        ("what_if", {"run": "half", "decay": [0.3], "extend_steps": [100]}),
    )

    assert "stop" == lost.structured_content["advice"][0]["action"]
    assert "nonfinite" in {finding["kind"] for finding in found.structured_content["findings"]}
    assert [0.2, 0.4, 0.5] == [row["at"] for row in half.structured_content["forecasts"]]
    assert [600, 600, 700] == [row["total_steps"] for row in other.structured_content["schedules"]]


def test_a_run_that_grows_is_followed(logs: Path) -> None:
    """From where it was, and anew where a file is another."""
    folder = LogFolder(logs, Settings())
    before = folder.run("events")
    grow(logs / "events", losses_of(400, 300, 1)[200:], 201)
    after = folder.run("events")

    assert before is after
    assert 300 == after.tracker.rows

    (logs / "broken.csv").write_text("step,loss\n" + "".join(f"{i},2.5\n" for i in range(1, 50)))
    assert 49 == folder.run("broken.csv").tracker.rows


@pytest.mark.parametrize(
    "name",
    ["../secret.csv", "/etc/passwd", "half/../../secret.csv", "link.csv", "linked/secret.csv", "..", "", "half/x"],
)
def test_nothing_outside_of_the_folder_is_read(logs: Path, name: str) -> None:
    """Neither by a path nor by a link: such a run is not there, and nothing of it is said."""
    (logs.parent / "secret.csv").write_text("step,loss\n" + "".join(f"{i},7.25\n" for i in range(1, 100)))
    (logs / "link.csv").symlink_to(logs.parent / "secret.csv")
    (logs / "linked").symlink_to(logs.parent, target_is_directory=True)
    asked, listed = within(logs, ("run_status", {"run": name}), ("list_runs", {}))

    assert asked.is_error
    assert text_of(asked).startswith("There is no run ")
    assert "7.25" not in text_of(asked) + text_of(listed)
    assert 3 == len(listed.structured_content["runs"])


def test_nothing_is_written_and_the_folders_own_path_is_not_told(logs: Path) -> None:
    """Files, sizes and times are as they were, and names are those below the folder."""

    def state() -> list[tuple[str, int, int]]:
        return sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in logs.rglob("*"))

    (logs / "damaged.parquet").write_text("no parquet")
    before = state()
    answers = within(
        logs,
        ("list_runs", {}),
        *((name, {"run": run}) for name in TOOLS if name != "list_runs" for run in ("half", "broken.csv")),
        ("run_status", {"run": "damaged.parquet"}),
    )

    assert state() == before
    assert not any(str(logs) in text_of(answer) for answer in answers)
    assert answers[-1].is_error


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "run"),
        ({"run": 7}, "run"),
        ({"run": "half", "at": []}, "at"),
        ({"run": "half", "at": [0.1] * 21}, "at"),
        ({"run": "half", "at": [2.0]}, "at"),
        ({"run": "half", "path": "/etc"}, "path"),
    ],
)
def test_what_a_tool_does_not_take_is_refused_with_its_name(logs: Path, asked: dict[str, Any], said: str) -> None:
    """As an answer that an assistant can read, and the server goes on."""
    refused, after = within(logs, ("run_forecast", asked), ("list_runs", {"limit": 1}))

    assert refused.is_error
    assert said in text_of(refused)
    assert 1 == len(after.structured_content["runs"])


def test_a_name_that_there_is_not_is_answered_with_those_near_it(logs: Path) -> None:
    """So that the next question is a better one; and so is a tool."""
    run, tool = within(logs, ("run_status", {"run": "halv"}), ("delete_runs", {}))

    assert "half" in text_of(run)
    assert "list_runs" in text_of(tool)


def test_limits_are_kept_and_what_is_left_out_is_counted(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs in one answer, runs that are kept, a log that is too large, an answer that is too long."""
    monkeypatch.setattr(folders, "MOST_LOGS", 2)
    assert 1 == within(logs, ("list_runs", {}))[0].structured_content["left_out"]
    monkeypatch.setattr(folders, "MOST_LOGS", 500)
    monkeypatch.setattr(folders, "MOST_KEPT", 1)
    assert 3 == len(within(logs, ("list_runs", {}))[0].structured_content["runs"])
    monkeypatch.setattr(serving, "MOST_ANSWER_BYTES", 100)
    assert "ask for less" in text_of(within(logs, ("list_runs", {}))[0])
    monkeypatch.setattr(folders, "MOST_BYTES", 10)
    assert "scalewatch replay" in text_of(within(logs, ("run_status", {"run": "half"}))[0])
