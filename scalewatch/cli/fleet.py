"""`scalewatch fleet`: the worst of very many runs, from one row of verdict each."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalewatch.cli.options import EVERY, AsJson, LogOptions
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from scalewatch.offline.fleet.collect import Collected
    from scalewatch.offline.fleet.query import Fleet, Table

__all__ = ["fleet"]

#: Where the rows lie if nobody says so.
PLACE = "fleet"
#: Days for which the rows of older looks are kept.
KEEP_DAYS = 90
#: Bounds of the time between two looks [s].
LEAST_SECONDS, MOST_SECONDS = 1.0, 86_400.0
#: Runs of each list at most, and runs that Prometheus is told of one by one.
MOST_LISTED, MOST_TOLD = 1_000, 20_000
#: Letters of a run's name in a narrow terminal.
MOST_LETTERS = 20
#: Columns of each list, as SQL.
WORST = ("run", "standing", "sentence", "pages", "progress", "coalesce(action, '') as advice")
SILENT = ("run", 'silent_seconds as "silent for"', 'row_seconds as "a row each"', "progress", "sentence")
OFF_LAW = ("run", 'law_gap as "above its law"', "law_gap_sigmas as sigmas", "progress", "forecast", "sentence")

Place = Annotated[
    str,
    typer.Option("--from", metavar="FOLDER", help="Folder of the fleet; also an address such as s3://bucket/fleet."),
]

fleet = typer.Typer(
    name="fleet",
    help="The worst of very many runs. Without a command: the lost, silent and off-law ones. "
    "Exit code 0 if none is lost or in trouble, 1 if one is, 2 if there is no fleet.",
    invoke_without_command=True,
)


@fleet.callback()
def show(
    context: typer.Context,
    place: Place = PLACE,
    top: Annotated[int, typer.Option(help="Runs of each list.")] = 10,
    sql: Annotated[str | None, typer.Option(help="A question of your own to the tables `runs` and `looks`.")] = None,
    json_: AsJson = False,
) -> None:
    """Print the worst, silent and off-law runs of a fleet, or the answer to a question in SQL."""
    if context.invoked_subcommand is not None:
        return
    from scalewatch.cli.outputs import print_json
    from scalewatch.offline.fleet.answers import fleet_answer, plain_rows
    from scalewatch.offline.fleet.query import Fleet

    if not 1 <= top <= MOST_LISTED:
        raise ConfigError(f"`--top` must lie between 1 and {MOST_LISTED:,} (got {top}).")
    known = Fleet(place)
    if sql is not None:
        table = known.ask(sql)
        if json_:
            print_json({"rows": plain_rows(table)})
        else:
            _print_table(table)
        return
    if json_:
        answer = fleet_answer(known, top)
        print_json(answer)
        raise typer.Exit(answer["exit_code"])
    counts = known.counts()
    _print_fleet(known, counts, top)
    raise typer.Exit(1 if counts["states"].get("lost") or counts["states"].get("in trouble") else 0)


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Who reads."""

    jobs: Annotated[int, typer.Option(help="Logs read at once; -1 for as many as there are cores.")] = -1
    backend: Annotated[
        str, typer.Option(metavar="NAME", help="Who reads: loky (cores), threading, dask or ray (clusters).")
    ] = "loky"
    address: Annotated[str, typer.Option(help="Of the cluster that reads, where it is not found by itself.")] = ""


@fleet.command("collect")
def collect_runs(
    logdir: Annotated[str, typer.Argument(help="Folder of runs; also an address such as s3://bucket/runs.")],
    *,
    place: Annotated[
        str, typer.Option("--output", "-o", metavar="FOLDER", help="Folder or address of the fleet.")
    ] = PLACE,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="What to call the folder, where others have its path.")
    ] = None,
    engine: EngineOptions,
    every: Annotated[float | None, EVERY] = None,
    keep_days: Annotated[int, typer.Option(help="Days for which the rows of older looks are kept.")] = KEEP_DAYS,
    reading: LogOptions,
    json_: AsJson = False,
) -> None:
    """Read what has changed in a folder of runs, and keep a row of verdict for each.

    Exit code 0 if it was read, whatever was found, 2 if the folder is not there or an option is wrong.
    """
    from scalewatch.cli.outputs import print_json
    from scalewatch.logs.remote import is_remote
    from scalewatch.offline.fleet.collect import Engine, collect
    from scalewatch.offline.fleet.store import FleetStore
    from scalewatch.offline.fleet.tree import tree_of

    if every is not None and not LEAST_SECONDS <= every <= MOST_SECONDS:
        raise ConfigError(f"`--every` must lie between 1 and 86,400 seconds (got {every:g}).")
    if keep_days < 1 or engine.jobs == 0 or engine.jobs < -1:
        raise ConfigError(f"`--keep-days` is 1 or more, `--jobs` 1 or more or -1 (got {keep_days} and {engine.jobs}).")
    settings = reading.settings()
    tree = tree_of(logdir if is_remote(logdir) else str(Path(logdir)))
    store = FleetStore(place, source or tree.name, named=source is not None or is_remote(logdir))
    try:
        while True:
            with _Progress() as progress:
                by = Engine(engine.backend, engine.jobs, engine.address)
                found = collect(tree, store, settings, by, keep_days=keep_days, tick=progress.move)
            if json_:
                print_json(found._asdict(), line=every is not None)
            else:
                typer.echo(_collected(found, place))
            if every is None:
                return
            time.sleep(max(every - found.seconds, 0.0))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@fleet.command("serve")
def serve_metrics(
    place: Place = PLACE,
    port: Annotated[int, typer.Option(help="TCP port.")] = 9_464,
    host: Annotated[str, typer.Option(help="Address that answers; 0.0.0.0 for every machine.")] = "127.0.0.1",
    most: Annotated[int, typer.Option(help="Runs that are told of one by one, the worst first.")] = 1_000,
    files: Annotated[
        Path | None, typer.Option(help="Write a Grafana dashboard and alert rules into this folder, and end.")
    ] = None,
) -> None:
    """Tell Prometheus the verdicts and forecasts of the runs that go on, until ctrl-C.

    Never a loss of theirs, and no more series than `--most` runs make. Exit code 0, 2 if it cannot be served.
    """
    from scalewatch.offline.fleet.query import Fleet

    if files is not None:
        _write_files(files)
        return
    if not 1 <= port <= 65_535 or not 1 <= most <= MOST_TOLD:
        raise ConfigError(f"`--port` is 1 to 65,535, `--most` 1 to {MOST_TOLD:,} (got {port} and {most}).")
    try:
        from scalewatch.offline.fleet.exporter import serve
    except ImportError:
        raise ConfigError("Serving needs prometheus-client: pip install 'scalewatch[fleet,prometheus]'.") from None
    Fleet(place)  # a wrong folder is told now, and not at each scrape
    try:
        server = serve(place, host, port, most)
    except OSError as fault:
        raise ConfigError(f"`--host {host} --port {port}` cannot be served: {fault.strerror or fault}.") from None
    typer.echo(f"Verdicts of {place} at http://{host}:{port}/metrics, until ctrl-C", err=True)
    try:
        while True:
            time.sleep(3600.0)
    except KeyboardInterrupt:
        server.shutdown()


def _write_files(folder: Path) -> None:
    from importlib.resources import files

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("dashboard.json", "rules.yml"):
            text = (files("scalewatch.offline.fleet") / "prometheus" / name).read_text("utf-8")
            (folder / f"scalewatch.{name}").write_text(text, "utf-8")
            typer.echo(str(folder / f"scalewatch.{name}"))
    except OSError as fault:
        raise ConfigError(f"`--files`: {str(folder)!r:.200} cannot be written: {fault.strerror}.") from None


class _Progress:
    """A bar on a terminal."""

    def __enter__(self) -> _Progress:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self._bar = Progress(console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("reading", total=None)
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def move(self, done: int, of: int) -> None:
        """Show it."""
        self._bar.update(self._task, completed=done, total=of)


def _collected(found: Collected, place: str) -> str:
    parts = [f"{found.runs:,} runs, {found.read:,} read in {found.seconds:.1f} s"]
    parts += [f"{found.resumed:,} of them from where the last look ended"] if found.resumed else []
    parts += [f"{found.damaged:,} whole, as what was kept of them was damaged"] if found.damaged else []
    parts += [f"{found.unreadable:,} of them cannot be read"] if found.unreadable else []
    parts += [f"logs of {found.gone:,} are gone"] if found.gone else []
    parts += [f"{found.dropped:,} old files of looks dropped"] if found.dropped else []
    return f"{'; '.join(parts)}. Ask with: scalewatch fleet --from {place}"


def _print_fleet(known: Fleet, counts: dict[str, Any], top: int) -> None:
    from rich.console import Console

    from scalewatch.text import duration

    console = Console()
    looked = max(known.looked().values(), default=None)
    ago = "" if looked is None else f", looked at {duration(max(time.time() - looked, 0.0))} ago"
    folders = "" if counts["sources"] == 1 else f" of {counts['sources']:,} folders"
    console.print(f"{counts['runs']:,} runs{folders}{ago}", style="bold", highlight=False)
    for what in ("states", "standings"):
        told = sorted(counts[what].items(), key=lambda item: -item[1])
        console.print("  " + " · ".join(f"{name} {count:,}" for name, count in told), highlight=False)
    if counts["unreadable"]:
        console.print(f"  {counts['unreadable']:,} logs cannot be read", style="yellow", highlight=False)
    trouble = sum(counts["states"].get(state, 0) for state in ("lost", "in trouble", "recovered"))
    _list(console, "worst", known.worst(top, WORST), trouble)
    _list(
        console, "silent: no row for far longer than between two of theirs", known.silent(top, SILENT), counts["silent"]
    )
    _list(console, "off their law", known.off_law(top, OFF_LAW), counts["off_law"])


def _list(console: Console, title: str, table: Table, count: int) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Drawn
    from rich.text import Text

    from scalewatch.text import no_control, shortened

    if not table.rows:
        console.print(f"\n{title}: none", highlight=False)
        return
    more = f" ({len(table.rows)} of {count:,})" if count > len(table.rows) else ""
    console.print(f"\n{title}{more}", style="bold", highlight=False)
    drawn = Drawn(box=SIMPLE_HEAD, pad_edge=False)
    for name in table.columns:
        text = name in ("run", "standing", "sentence", "advice")
        folds = name in ("sentence", "advice")
        drawn.add_column(name, justify="left" if text else "right", overflow="fold", no_wrap=not folds)
    for row in table.rows:
        cells = [_cell(name, value) for name, value in zip(table.columns, row, strict=True)]
        style = "bold red" if any(cell.startswith("LOST") for cell in cells) else ""
        drawn.add_row(
            Text(shortened(cells[0], max(console.width // 4, MOST_LETTERS))),
            *(Text(no_control(cell)) for cell in cells[1:]),
            style=style,
        )
    console.print(drawn)


def _cell(name: str, value: Any) -> str:
    from scalewatch.text import duration, percent

    if value is None:
        return ""
    if name == "progress":
        return percent(value)
    if name in ("silent for", "a row each"):
        return duration(value) if value >= 60 else f"{value:.3g} s"
    if name == "sigmas":
        return f"{value:+.1f}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _print_table(table: Table) -> None:
    import csv
    import sys

    writer = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
