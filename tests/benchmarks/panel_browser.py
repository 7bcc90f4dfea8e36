"""What a person waits for in the TensorBoard panel, in a real Chromium on a real `tensorboard`.

    python tests/benchmarks/panel_browser.py [--steps 1000000] [--runs 200] [--shots FOLDER]

A run of a million steps with one step that jumps: seconds from opening the tab to its first chart (once it has been
read), milliseconds of later updates and zooms, largest answer; the overview of many runs; and the same run in stock
TensorBoard, whose chart is drawn from 1,000 of the steps: whether the step that jumped is among them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.scalewatch_tensorboard.browser import Board, Panel, open_browser, tensorboard
from tests.scalewatch_tensorboard.logs import long_log, many

SPIKE = 7.5
#: Zooms that are timed, and times that the tab is opened.
ZOOMS, OPENINGS = 8, 5
READ_SECONDS = 600.0
#: Milliseconds since the page of the tab began to load, at which its first chart stood; null before.
FIRST_CHART = (
    "() => performance.getEntriesByType('mark').find((each) => each.name.includes('drawn'))?.startTime ?? null"
)


def row(board: Board, run: str) -> dict[str, Any] | None:
    """The overview's row of a run."""
    with urllib.request.urlopen(board.url + "data/plugin/scalewatch/runs", timeout=60) as answer:
        return next((each for each in json.load(answer)["runs"] if each["name"] == run), None)


def wait_until_read(board: Board, run: str, steps: int) -> float:
    """Seconds until the run has been read."""
    began = time.perf_counter()
    while time.perf_counter() - began < READ_SECONDS:
        found = row(board, run)
        if found is not None and found["step"] >= steps and found["stage"] not in ("reading", "waiting"):
            return time.perf_counter() - began
        time.sleep(0.2)
    raise SystemExit(f"the run was not read in {READ_SECONDS:.0f} s")


def first_charts(browser: Any, board: Board, shots: Path) -> tuple[list[float], Panel]:
    """Milliseconds from the tab's page to its first chart, each in a fresh browser memory; the last page stays open."""
    taken, panel = [], None
    for _ in range(OPENINGS):
        if panel is not None:
            panel.page.context.close()
        panel = Panel(browser.new_context(viewport={"width": 1400, "height": 1000}).new_page(), board, shots)
        panel.open(panel="run", run="long", xscale="linear")
        panel.drawn()
        taken.append(panel.frame.evaluate(FIRST_CHART))
    assert panel is not None
    return taken, panel


def zooms(panel: Panel, steps: int) -> list[float]:
    """Milliseconds from a zoom to its picture: request, answer and drawing."""
    taken = []
    for place in range(ZOOMS):
        panel.frame.focus(".stage")
        before = panel.drawings()
        began = time.perf_counter()
        panel.page.keyboard.press("ArrowRight" if place else "+")
        panel.frame.wait_for_function("n => performance.getEntriesByType('mark').length > n", arg=before, polling="raf")
        taken.append(1e3 * (time.perf_counter() - began))
    return taken


def largest_answer(panel: Panel) -> tuple[int, str]:
    """Bytes of the largest answer that the page asked for, before compression, and its address."""
    sizes = []
    for address in {each for each in panel.asked if each.startswith(("run", "chart", "rows", "whatif"))}:
        with urllib.request.urlopen(f"{panel.board.url}data/plugin/scalewatch/{address}") as answer:
            sizes.append((len(answer.read()), address.partition("?")[0]))
    return max(sizes)


def stock(browser: Any, board: Board, shots: Path, steps: int) -> dict[str, Any]:
    """The same run in TensorBoard's own tab: how many of its steps are drawn, and the greatest of them."""
    address = board.url + "data/plugin/timeseries/timeSeries"
    asked = json.dumps([{"plugin": "scalars", "tag": "train/loss"}])
    body = f'--x\r\nContent-Disposition: form-data; name="requests"\r\n\r\n{asked}\r\n--x--\r\n'.encode()
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    found: dict[str, Any] = {"points": 0, "highest": float("nan")}
    until = time.perf_counter() + 120.0
    while time.perf_counter() < until:
        with urllib.request.urlopen(urllib.request.Request(address, body, headers)) as answer:
            points: list[dict[str, Any]] = next(iter(json.load(answer)[0].get("runToSeries", {}).values()), [])
        late = [point["value"] for point in points if point["step"] > steps // 100]
        if points and points[-1]["step"] >= steps:
            found = {"points": len(points), "highest": max(late)}
            break
        time.sleep(1.0)
    page = browser.new_page(viewport={"width": 1400, "height": 800})
    page.goto(board.url + "#timeseries")
    page.wait_for_timeout(4_000)
    page.screenshot(path=str(shots / "stock_tensorboard.png"))
    page.close()
    return found


def overview(browser: Any, folder: Path, runs: int, shots: Path) -> float:
    """Milliseconds from the tab's page until a table of all runs stands, once they have been read."""
    many(folder / "logs", runs)
    with tensorboard(folder / "logs", folder / "cache") as board:
        last = f"sweep/run_{runs - 1:03}"
        wait_until_read(board, last, 1)
        page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
        panel = Panel(page, board, shots)
        panel.open(panel="overview")
        script = f"() => document.querySelectorAll('.runs tbody tr').length >= {runs} && performance.now()"
        taken = float(panel.frame.wait_for_function(script, polling="raf").json_value())
        page.context.close()
    return taken


def said(name: str, values: list[float]) -> None:
    print(f"{name:46} median {statistics.median(values):7.0f}   worst {max(values):7.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--shots", type=Path, default=None)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, open_browser() as browser:
        folder = Path(made)
        shots = asked.shots or folder
        shots.mkdir(parents=True, exist_ok=True)
        spike_step = round(0.612345 * asked.steps)
        long_log(folder / "logs" / "long", asked.steps, spike_step, SPIKE)
        with tensorboard(folder / "logs", folder / "cache") as board:
            print(f"{asked.steps:,} steps were read in {wait_until_read(board, 'long', asked.steps):.1f} s")
            taken, panel = first_charts(browser, board, shots)
            panel.shot("million_steps")
            said("tab to first chart [ms]", taken)
            said("zoom or move to its picture [ms]", zooms(panel, asked.steps))
            size, route = largest_answer(panel)
            print(f"{'largest answer [bytes]':46} {size:7,} ({route})")
            panel.page.context.close()
            shown = stock(browser, board, shots, asked.steps)
            told = (
                f"stock TensorBoard draws {shown['points']:,} of {asked.steps:,} steps; the highest of them after the"
            )
            print(f"{told} first hundredth: {shown['highest']:.2f}, where step {spike_step:,} was {SPIKE}")
        taken_ms = overview(browser, folder / "many", asked.runs, shots)
        print(f"{f'overview of {asked.runs} runs [ms]':46} {taken_ms:7.0f}")


if __name__ == "__main__":
    main()
