"""kill -9 at any line of a send: each alert is seen, at most twice, and never again once it is recorded as sent."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.alert.fake_server import FakeServer, Got, answers

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("kill_driver.py")


def play(kind: str, server: FakeServer, folder: Path, seeds: range) -> None:
    """Play the scene three times for each seed, the first time not to its end."""
    words = [sys.executable, str(DRIVER), kind, str(server.port), str(folder), *map(str, seeds)]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'integrations'}"}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=600)
    assert (0, "") == (done.returncode, done.stderr)
    rows = [[int(word) for word in line.split()] for line in done.stdout.splitlines()]
    died = sum(row[2] == -1 for row in rows)
    assert died >= 0.8 * len(rows), "the places of the kills are drawn beyond the end of the scene"


def killed(server: FakeServer, folder: Path, seeds: range) -> dict[int, Counter[str]]:
    """How often each alert of the scene was seen, for each seed."""
    play("webhook", server, folder, seeds)
    seen: dict[int, Counter[str]] = {seed: Counter() for seed in seeds}
    for got in server.got:
        data = got.json["data"]
        for item in data["items"]:
            if item["news"]:
                what = f"{item['kind']} {'over' if item['over'] else item['severity']}"
                seen[int(got.path.strip("/"))][what] += 1
    return seen


def check(server: FakeServer, folder: Path, seeds: range) -> int:
    """Check every seed; the number of messages that arrived twice."""
    wanted = {"spike warning", "spike over", "throughput warning", "divergence critical"}
    for seed, counts in killed(server, folder, seeds).items():
        assert wanted == set(counts), f"seed {seed}"
        assert max(counts.values()) <= 2, f"seed {seed}: {counts}"
        # one message was on its way when the process was killed: only what it said can have been seen twice
        assert sum(count == 2 for count in counts.values()) <= 2, f"seed {seed}: {counts}"
    by_id: dict[str, list[bool]] = {}
    for got in server.got:
        by_id.setdefault(got.json["id"], []).append(got.json["data"]["may_repeat"])
    # what was on its way is marked when it is sent again, and carries the id that it had
    assert {(False,), (True,), (False, True)} >= {tuple(marks) for marks in by_id.values()}
    return sum(len(marks) == 2 for marks in by_id.values())


def test_a_kill_at_any_line_loses_nothing_and_repeats_at_most_one_message(server: FakeServer, tmp_path: Path) -> None:
    """Killed, resumed, and resumed again: a few places out of thousands; the soak has two hundred."""
    check(server, tmp_path, range(10))


@pytest.mark.soak
def test_two_hundred_kills(server: FakeServer, tmp_path: Path) -> None:
    """The same for two hundred seeds."""
    assert check(server, tmp_path, range(1000, 1200)) > 0, "no kill fell between the arrival and the record of it"


def slack(server: FakeServer) -> Callable[[socket.socket, Got], None]:
    """A workspace for each seed; a message's `ts` says which request it was."""

    def behave(connection: socket.socket, got: Got) -> None:
        answer = {"ok": True, "ts": f"17.{len(server.got)}", "channel": "C9", "file_id": "F1"}
        answer["upload_url"] = f"http://127.0.0.1:{server.port}{got.path.split('/api/')[0]}/upload"
        answers(200, json.dumps(answer).encode())(connection, got)

    return behave


def check_bot(server: FakeServer, folder: Path, seeds: range) -> tuple[int, int]:
    """Check every seed of the bot; how many alerts were seen twice, and how many threads were opened twice."""
    server.behave = slack(server)
    play("bot", server, folder, seeds)
    repeated = opened_again = 0
    wanted = {
        "WARNING gpt: loss spike",
        "RESOLVED gpt: spike",
        "WARNING gpt: steps",
        "CRITICAL gpt: loss diverges",
    }
    for seed in seeds:
        mine = [got for got in server.got if got.path.startswith(f"/{seed}/")]
        posts = [got.json for got in mine if got.path.endswith("chat.postMessage")]
        replies = [post for post in posts if "thread_ts" in post]
        titles = Counter(text for post in replies for text in wanted if post["text"].startswith(text))
        opened = len(posts) - len(replies)
        assert wanted == set(titles), f"seed {seed}"
        assert max(titles.values()) <= 2, f"seed {seed}: {titles}"
        assert sum(count == 2 for count in titles.values()) <= 1, f"seed {seed}: {titles}"
        assert len(replies) == sum(titles.values()), f"seed {seed}: {[post['text'] for post in replies]}"
        assert 1 <= opened <= 2, f"seed {seed}"
        assert any(got.path.endswith("files.completeUploadExternal") for got in mine), f"seed {seed}"
        marked = [post for post in replies if "may have reached you before" in json.dumps(post["blocks"])]
        assert len(marked) <= 1, f"seed {seed}"
        repeated += len(replies) - len(wanted)
        opened_again += opened - 1
    return repeated, opened_again


def test_a_bot_that_is_killed_at_any_line_repeats_at_most_one_reply(server: FakeServer, tmp_path: Path) -> None:
    """Thread, reply, summary and picture: a kill between two of them has the reply seen, twice at most."""
    check_bot(server, tmp_path, range(10))


@pytest.mark.soak
def test_two_hundred_kills_of_a_bot(server: FakeServer, tmp_path: Path, record_property: Any) -> None:
    """The same for two hundred seeds: few replies are seen twice, as each is on record once Slack has answered."""
    repeated, opened_again = check_bot(server, tmp_path, range(2000, 2200))
    record_property("repeated", repeated)
    record_property("opened_again", opened_again)
    sys.stdout.write(f"200 kills of a bot: {repeated} replies seen twice, {opened_again} threads opened twice\n")

    assert repeated <= 30
