"""kill -9 at any line of a send: each alert is seen, at most twice, and never again once it is recorded as sent."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.alert.fake_server import FakeServer

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("kill_driver.py")


def killed(server: FakeServer, folder: Path, seeds: range) -> dict[int, Counter[str]]:
    """How often each alert of the scene was seen, for each seed."""
    words = [sys.executable, str(DRIVER), str(server.port), str(folder), *map(str, seeds)]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'integrations'}"}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=280)
    assert (0, "") == (done.returncode, done.stderr)
    rows = [[int(word) for word in line.split()] for line in done.stdout.splitlines()]
    died = sum(row[2] == -1 for row in rows)
    assert died >= 0.8 * len(rows), "the places of the kills are drawn beyond the end of the scene"
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
