"""`scalewatch alert`: try a receiver, silence a run, send the state of all runs, watch for killed ones."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalewatch.cli.alert_watch import watch_runs
from scalewatch.cli.options import Logs, RulesFile
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    from scalewatch.alert import Notification, Rules

__all__ = ["alert"]

#: Longest time that one message of these commands may take [s].
SEND_SECONDS = 15.0
#: Runs in one digest; more say nothing on a phone.
MOST_RUNS = 30

alert = typer.Typer(
    name="alert",
    help="Who is told: try a receiver, silence a run, send a digest, watch for runs that were killed.",
    no_args_is_help=True,
)


@alert.command("test")
def try_receiver(
    receiver: Annotated[str, typer.Argument(help="Its name: slack, webhook, email, command, apprise or one of yours.")],
    rules: RulesFile = None,
) -> None:
    """Send a test message, and say what became of it: exit code 0 taken, 1 not taken, 2 wrong settings."""
    from scalewatch.alert import Item, Recommendation, Status
    from scalewatch.finding import Severity

    now = time.time()
    seen = "loss rose from 2.875 to 4.414 (+1.539 nats, 46 sigma) for 2 logged steps"
    notification = _notification(
        Status.TEST,
        headline="this is how an alert looks; nothing is wrong",
        items=(Item("spike", Severity.WARNING, False, seen, 1000, 1001, now),),
        advice=(Recommendation("wait", "Spikes like this often recover alone. Look again at step 1,300.", "B"),),
        curve=tuple((step, 2.5 + 6 * step**-0.4 + 1.5 * (step == 1000)) for step in range(10, 1010, 10)),
    )
    _send(notification, receiver, rules)
    typer.echo(f"scalewatch: {receiver} has taken the test message.")


@alert.command()
def silence(
    folder: Annotated[Path, typer.Argument(help="Folder of the run's journal.")],
    for_: Annotated[str, typer.Option("--for", help="How long: 30m, 2h, 1d.")] = "2h",
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind, such as spike. Repeat.")] = None,
    comment: Annotated[str, typer.Option(help="Why, for those who wonder.")] = "",
    clear: Annotated[bool, typer.Option("--clear", help="End all silences instead.")] = False,
) -> None:
    """Silence the alerts of a run, also while it goes on: it looks every half second.

    Exit code 0 if they are silent, 2 if that could not be written or is no run.
    """
    from scalewatch.alert import Silence, SilenceFile
    from scalewatch.alert.rules import seconds
    from scalewatch.alert.run_files import SILENCES_NAME
    from scalewatch.kinds import KINDS

    if not any(folder.glob("journal-*.jsonl")):
        raise ConfigError(f"`{folder}` must be the folder of a run's journal, and there is none in it.")
    unknown = [name for name in kind or [] if name not in KINDS]
    if unknown:
        raise ConfigError(f"`--kind` must be one of {', '.join(sorted(KINDS))} (got '{unknown[0]}').")
    file, now = SilenceFile(folder / SILENCES_NAME), time.time()
    if clear:
        done, news = file.clear(), "All silences are over"
    else:
        until = now + seconds(for_, "--for")
        done = file.add(Silence(until, now, tuple(kind or ()), comment), now)
        what = ", ".join(kind) if kind else "Everything"
        news = f"{what} is silent until {datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M} UTC"
    if not done:
        raise ConfigError(f"The silence cannot be written to `{folder}`.")
    typer.echo(f"scalewatch: {news}.")


@alert.command()
def digest(
    logs: Logs,
    receiver: Annotated[str, typer.Option("--to", help="Name of the receiver.")] = "slack",
    rules: RulesFile = None,
) -> None:
    """Send the state of all runs as one message, the worst first: for a daily cron job.

    Exit code 0 if it was taken, 1 if not, 2 if there is no run or a setting is wrong.
    """
    from scalewatch.alert import Status
    from scalewatch.errors import LogError
    from scalewatch.offline.replayed import Settings, watch_all

    settings = Settings.of(None, None, None, None)
    opened = settings.open(logs)
    if not opened.logs:
        raise LogError("No log of a run was found there, so there is nothing to send.")
    watched = sorted(watch_all(opened, settings), key=lambda run: -run.tracker.pages)
    bad = sum(run.tracker.pages > 0 for run in watched)
    rows = []
    for run in watched[:MOST_RUNS]:
        verdict = run.tracker.verdict
        loss = f", loss {verdict.last_loss:.3f}" if verdict.last_loss is not None else ""
        rows.append((run.log.name, f"{verdict.headline} (step {verdict.step:,}{loss})"))
    if len(watched) > MOST_RUNS:
        rows.append(("and more", f"{len(watched) - MOST_RUNS} runs"))
    headline = f"{len(watched)} run{'s' if len(watched) != 1 else ''}, {bad} with findings"
    _send(_notification(Status.DIGEST, headline=headline, rows=tuple(rows)), receiver, rules)
    typer.echo(f"scalewatch: {receiver} has taken the digest of {headline}.")


alert.command("watch")(watch_runs)


def _notification(status: str, **parts: object) -> Notification:
    from scalewatch.alert import Notification, Status
    from scalewatch.alert.notification import clean
    from scalewatch.finding import Severity

    rows = parts.get("rows", ())
    if isinstance(rows, Sequence):
        parts["rows"] = tuple((clean(label, 80), clean(text, 300)) for label, text in rows)
    run = "all runs" if status == Status.DIGEST else "test run"
    fixed = {"id": uuid.uuid4().hex, "run": run, "run_id": "none", "step": 1001, "at_unix_s": time.time()}
    return Notification(status=Status(status), severity=Severity.INFO, **{**fixed, **parts})  # type: ignore[arg-type]


def _rules_for(receiver: str, path: Path | None) -> Rules:
    from scalewatch.alert import Rules, load_rules

    loaded = Rules() if path is None else load_rules(path)
    return Rules(routes=Rules.to(receiver).routes, receivers=loaded.receivers, link=loaded.link)


def _send(notification: Notification, receiver: str, path: Path | None) -> None:
    from scalewatch.alert import DeliveryError, make_receivers

    made = make_receivers(_rules_for(receiver, path))[receiver]
    try:
        made.send(notification, SEND_SECONDS)
    except DeliveryError as fault:
        pause = "" if fault.retry_after is None else f"; it asks to wait {fault.retry_after:.0f} s"
        typer.echo(f"scalewatch: {receiver} did not take the message: {fault}{pause}.", err=True)
        raise typer.Exit(1) from None
