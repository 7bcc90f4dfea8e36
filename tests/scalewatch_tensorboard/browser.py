"""A real `tensorboard` and a real Chromium: what the tests of the panel look through."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final
from urllib.parse import quote

import pytest

from scalewatch_tensorboard.server.vega import kept_bundle, vega_bundle
from tests.ports import free_port

__all__ = ["Board", "Panel", "chromium_path", "open_browser", "open_memory", "settled", "tensorboard"]

#: Words in a drawing, and the middle of the smallest mark of an incident: [x, y] in the frame.
DRAWN_WORDS = """() => {
  const words = [];
  const walk = (mark) => (mark.items ?? []).forEach((item) => {
    if (typeof item.text === "string" || Array.isArray(item.text)) words.push([item.text].flat().join(" "));
    (mark.marktype === "group" ? item.items ?? [] : []).forEach(walk);
    if (item.title) walk(item.title);
  });
  walk(document.querySelector(".stage .picture").view.scenegraph().root);
  return words.join("\\n");
}"""
INCIDENT_PLACE = """(wanted) => {
  const picture = document.querySelector(".stage .picture");
  const found = [];
  const walk = (mark, x, y) => (mark.items ?? []).forEach((item) => {
    const inside = mark.marktype === "group" ? item.items ?? [] : [];
    inside.forEach((each) => walk(each, x + (item.x ?? 0), y + (item.y ?? 0)));
    if (mark.marktype !== "symbol" || item.datum?.incident !== wanted) return;
    found.push([x + (item.bounds.x1 + item.bounds.x2) / 2, y + (item.bounds.y1 + item.bounds.y2) / 2]);
  });
  const [left, top] = picture.view.origin();
  const around = picture.view.padding();
  walk(picture.view.scenegraph().root, left + around.left, top + around.top);
  const canvas = picture.querySelector("canvas");
  const box = canvas.getBoundingClientRect();
  const scale = (box.width * window.devicePixelRatio) / canvas.width;
  return [box.x + scale * found[0][0], box.y + scale * found[0][1]];
}"""
#: How long anything may take before a test gives up [ms].
PATIENCE_MS = 120_000
START_SECONDS = 240.0
WIDTH, HEIGHT = 1_400, 1_000
FLAGS = ["--no-sandbox", "--disable-gpu"]


@final
@dataclass(frozen=True)
class Board:
    """A `tensorboard` that answers."""

    url: str
    process: subprocess.Popen[bytes]

    def link(self, **parameters: object) -> str:
        """The address of a deep link into the panel."""
        parts = [f"p.scalewatch.{name}={quote(str(value), safe='')}" for name, value in parameters.items()]
        return "#" + "&".join(["scalewatch", *parts])


@functools.cache
def _bundle() -> bytes:
    """The Vega bundle, which each server with an empty cache would make anew."""
    return vega_bundle(None)


@contextmanager
def tensorboard(logdir: Path | None, cache: Path, *arguments: str, bundled: bool = True) -> Iterator[Board]:
    """Run `tensorboard` over a folder, or what the arguments say, until the block ends.

    Not `bundled`, it makes the Vega bundle itself, as on the first start of a machine.
    """
    port = free_port()
    where = [] if logdir is None else ["--logdir", str(logdir)]
    command = [sys.executable, "-m", "tensorboard.main", *where, "--port", str(port)]
    prefix = next((flag.partition("=")[2] for flag in arguments if flag.startswith("--path_prefix=")), "")
    surroundings = {**os.environ, "XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": "1"}
    surroundings.pop("SCALEWATCH_STRICT", None)
    log = cache / f"tensorboard-{port}.log"
    kept = kept_bundle(cache / "scalewatch")
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if bundled and not kept.exists():
        kept.write_bytes(_bundle())
    with open(log, "wb") as output:
        process = subprocess.Popen([*command, *arguments], env=surroundings, stdout=output, stderr=output)
    try:
        url = f"http://127.0.0.1:{port}{prefix}/"
        _wait_for(url + "data/plugin/scalewatch/runs", process, log)
        yield Board(url, process)
    finally:
        process.terminate()
        process.wait(120)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text(errors="replace")
        try:
            with urllib.request.urlopen(url, timeout=60):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise AssertionError(f"tensorboard did not answer: {log.read_text(errors='replace')}")


def settled(board: Board, runs: int) -> None:
    """Wait until so many runs have been read to their end."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with urllib.request.urlopen(board.url + "data/plugin/scalewatch/runs", timeout=60) as answer:
            rows = json.load(answer)["runs"]
        if sum(row["stage"] not in ("waiting", "reading") for row in rows) >= runs:
            return
        time.sleep(0.1)
    raise AssertionError(f"{runs} runs were not read in {START_SECONDS} s: {rows}")


def chromium_path() -> str:
    """Where Chromium is; a test that needs it is skipped where there is none."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("needs Chromium (Debian: apt-get install chromium; or CHROMIUM=/path/to/it)")
    return path


@contextmanager
def open_browser() -> Iterator[Any]:
    """A Chromium that lives as long as the block, each of whose pages can have a memory of its own."""
    with _driver() as driver:
        browser = driver.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def open_memory() -> Iterator[Any]:
    """The memory that pages share, of a Chromium that lives as long as the block.

    Only a browser with a profile keeps what it made of TensorBoard's six megabytes of script, and one process a site
    what it knows besides: half the work of opening a page.
    """
    with _driver() as driver, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        memory = driver.chromium.launch_persistent_context(
            profile,
            executable_path=chromium_path(),
            args=[*FLAGS, "--process-per-site"],
            viewport={"width": WIDTH, "height": HEIGHT},
            accept_downloads=True,
        )
        yield memory
        memory.close()


def _driver() -> Any:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright (pip install playwright)")
    return playwright.sync_playwright()


@final
@dataclass
class Panel:
    """One page of TensorBoard with our tab open.

    Attributes:
        page: Playwright's page. board: where it goes. shots: folder for pictures, None for none.
        troubles: what the console, the network or a dialog complained of.
        asked: addresses that our frame fetched.
    """

    page: Any
    board: Board
    shots: Path | None
    troubles: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def server(self) -> str:
        """Where TensorBoard is: behind a proxy its own fonts lie at the root, and ours nowhere."""
        return "/".join([*self.board.url.split("/")[:3], ""])

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        for event, heard in self._heard().items():
            self.page.on(event, heard)

    def _heard(self) -> dict[str, Any]:
        return {
            "pageerror": self._error,
            "dialog": self._dialog,
            "console": self._console,
            "request": self._request,
            "response": self._response,
        }

    def _error(self, error: Any) -> None:
        self.troubles.append(f"error: {error}")

    def _dialog(self, dialog: Any) -> None:
        self.troubles.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _console(self, message: Any) -> None:
        ours = "plugin/scalewatch" in str(message.location.get("url", ""))
        if ours and message.type in ("error", "warning"):
            self.troubles.append(f"{message.type}: {message.text}")

    def _request(self, request: Any) -> None:
        if "/plugin/scalewatch/" in request.url:
            self.asked.append(request.url.partition("/plugin/scalewatch/")[2])
        elif not request.url.startswith((self.server, "data:", "blob:", "about:")):
            self.troubles.append(f"outside: {request.url}")

    def _response(self, response: Any) -> None:
        if response.status >= 400 and "/plugin/scalewatch/" in response.url:
            self.troubles.append(f"{response.status}: {response.url}")

    def open(self, *, dark: bool = False, **link: object) -> Any:
        """Open a deep link, wait until the panel stands, and return its frame.

        Where TensorBoard stands already, our frame alone begins anew: half the work of opening a page. Who went Back
        has to `leave`: TensorBoard then answers with the link that it came to, whatever the address says.
        """
        theme = "?darkMode=true" if dark else "?darkMode=false"
        address, place = f"{self.board.url}{theme}", self.board.link(**link)
        if self.page.url.partition("#")[0] == address:
            self.page.evaluate("place => window.history.replaceState(null, '', place)", place)
            frame = self.frame
            with self.page.expect_event("framenavigated", lambda moved: moved == frame):
                frame.evaluate("window.location.reload()")
        else:
            self.page.goto("about:blank")
            self.page.goto(f"{address}{place}")
        self.page.wait_for_selector("iframe[src*='name=scalewatch']", state="attached")
        self.frame.wait_for_selector(".panel > :not(.empty), .panel > .empty")
        return self.frame

    @property
    def frame(self) -> Any:
        """Our frame."""
        until = time.monotonic() + PATIENCE_MS / 1000
        while time.monotonic() < until:
            found = next((frame for frame in self.page.frames if "name=scalewatch" in frame.url), None)
            if found is not None:
                return found
            self.page.wait_for_timeout(20)
        raise AssertionError("TensorBoard shows no frame of ours")

    def drawn(self, *, or_empty: bool = False) -> Any:
        """Wait until every chart that is seen is drawn, or says why it is not, and return the frame."""
        frame = self.frame
        frame.wait_for_selector(".stage canvas, .stage .empty" if or_empty else ".stage canvas")
        frame.wait_for_function("!document.querySelector('[aria-busy]')")
        return frame

    def leave(self) -> None:
        """Go away before the board ends: the browser complains of a server that is gone."""
        self.page.goto("about:blank")

    def hand_over(self) -> None:
        """Leave the page as another test may find it: nothing stored, nothing pointed at, of the usual size."""
        for event, heard in self._heard().items():
            self.page.remove_listener(event, heard)
        if self.page.url.startswith(self.board.url):
            self.page.evaluate("window.localStorage.clear()")
        if self.troubles:
            self.leave()
        self.page.unroute_all()
        self.page.mouse.move(0, 0)
        self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})

    def shot(self, name: str) -> None:
        """Save what is seen, the whole height of the panel, if somebody wants pictures: each draws all charts twice."""
        if self.shots is None:
            return
        height = self.frame.evaluate("document.documentElement.scrollHeight")
        self.page.set_viewport_size({"width": WIDTH, "height": min(max(height + 64, 600), 3_000)})
        path = self.shots / f"{re.sub('[^a-z0-9_]+', '_', name)}.png"
        self.page.screenshot(path=str(path))
        self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})

    def polls(self) -> int:
        """How often the list of runs was asked for."""
        return sum(1 for address in self.asked if address.partition("?")[0] == "runs")

    def drawings(self) -> int:
        """How many charts were drawn so far."""
        return int(self.frame.evaluate("performance.getEntriesByType('mark').length"))

    def words(self) -> str:
        """What is written in the first chart: a canvas has no text to be read."""
        return str(self.frame.evaluate(DRAWN_WORDS))

    def place_of_incident(self, index: int) -> tuple[float, float]:
        """Where on the page the symbol of an incident is."""
        box = self.page.query_selector("iframe[src*='name=scalewatch']").bounding_box()
        x, y = self.frame.evaluate(INCIDENT_PLACE, index)
        return box["x"] + x, box["y"] + y

    def drag(self, begin: float, end: float) -> None:
        """Drag over the chart's plot, from one part of its width to another."""
        box = self.page.query_selector("iframe[src*='name=scalewatch']").bounding_box()
        plot = self.frame.evaluate(
            "() => { const r = document.querySelector('.stage canvas').getBoundingClientRect();"
            " return [r.x, r.y, r.width, r.height]; }"
        )
        left, top = box["x"] + plot[0], box["y"] + plot[1] + min(0.4 * plot[3], 260)
        self.page.mouse.move(left + begin * plot[2], top)
        self.page.mouse.down()
        self.page.mouse.move(left + 0.5 * (begin + end) * plot[2], top, steps=4)
        self.page.mouse.move(left + end * plot[2], top, steps=4)
        self.page.mouse.up()
