"""A notification as a Slack message: Block Kit within its limits, and the same in plain text for the lock screen.

What comes from outside (names, sentences with numbers) stands in `plain_text` objects, which Slack shows as they
are. Where it has to stand in markup it is escaped as Slack asks for: & < >, in that order, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from slack_sdk.models.blocks import (
    Block,
    ContextBlock,
    DividerBlock,
    HeaderBlock,
    MarkdownTextObject,
    PlainTextObject,
    SectionBlock,
)

from scalewatch.alert import Item, Notification, Status
from scalewatch.alert.notification import began, clean
from scalewatch.finding import Severity
from scalewatch.kinds import kind_row

__all__ = ["escape", "message", "summary"]

#: Slack's limits [characters, blocks]; the total from slackapi/bolt-js#2509, with room to spare.
MAX_HEADER, MAX_SECTION, MAX_TOTAL, MAX_BLOCKS, MAX_FALLBACK = 150, 3000, 12_000, 50, 3000
_COLOURS = {Severity.INFO: "⚪", Severity.WARNING: "🟠", Severity.CRITICAL: "🔴"}


def escape(text: object, limit: int = 600) -> str:
    """Return `text` as markup that shows it as it is and calls nobody; at most `limit` characters long.

    >>> escape("<!channel> a & b")
    '&lt;!channel&gt; a &amp; b'
    """
    parts: list[str] = []
    room = limit
    for character in clean(text, limit):
        part = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(character, character)
        room -= len(part)
        if room < 0:  # never through the middle of an entity
            break
        parts.append(part)
    return "".join(parts)


def message(notification: Notification, *, blocks: bool = True) -> dict[str, Any]:
    """Return the arguments of a message: `text`, and `blocks` unless Slack has refused them."""
    call = _mentions(notification.mentions)
    body: dict[str, Any] = {
        "text": " ".join(filter(None, (call, _fallback(notification)))),
        "unfurl_links": False,
        "unfurl_media": False,
    }
    return {**body, "blocks": _fitting(_blocks(notification, call))} if blocks else body


def summary(notification: Notification) -> dict[str, Any]:
    """Return the first message of a run's thread, as it stands after `notification`."""
    head = f"{_symbol(notification)} {clean(notification.run, 80)}"
    what = f"{notification.badge.lower()}: {notification.what}" if notification.what else notification.badge.lower()
    when = (
        f"step {notification.step:,}, {_clock(notification.at_unix_s)}. Alerts of this run are replies to this message."
    )
    blocks: list[Block] = [_header(head), _plain(what), _context([when])]
    if notification.link:
        blocks.insert(2, _link(notification.link))
    text = escape(f"{head}: {what}", MAX_FALLBACK)
    return {"text": text, "blocks": _fitting(blocks), "unfurl_links": False, "unfurl_media": False}


def _fallback(notification: Notification) -> str:
    """What a lock screen and a screen reader get: what, how bad, what to do."""
    parts = [notification.title]
    parts += [item.message for item in notification.items if item.news][:2]
    parts += [f"What to do: {a.text}" for a in notification.advice[:1]]
    parts += [f"{label}: {text}" for label, text in notification.rows[:4]]
    return escape(" — ".join(parts), MAX_FALLBACK)


def _blocks(notification: Notification, call: str) -> list[Block]:
    blocks: list[Block] = [_header(f"{_symbol(notification)} {notification.title}")]
    if call:
        blocks.append(_markup(call))
    for item in notification.items:
        blocks += [_markup(_label(item, notification)), _plain(item.message)]
    if notification.rows:
        blocks.append(_plain("\n".join(f"{clean(a, 60)}: {clean(b, 300)}" for a, b in notification.rows), lines=True))
    if notification.advice:
        blocks += [DividerBlock(), _markup("*What to do*")]
        for place, advice in enumerate(notification.advice):
            blocks.append(_plain(_either(advice.text, first=not place)))
            if advice.would_change:
                blocks.append(_context([f"Ignore this if {advice.would_change}"]))
    if notification.link:
        blocks.append(_link(notification.link))
    notes = [f"sent because {notification.because}"] if notification.because else []
    if notification.may_repeat:
        notes.insert(0, "This may have reached you before: the process was killed while it was sent.")
    if notification.folded:
        notes.append(f"{notification.folded:,} further findings since the last message are in the journal only.")
    notes += [", ".join(f"{name}={value}" for name, value in notification.labels)] if notification.labels else []
    step = "" if notification.status in (Status.DIGEST, Status.TEST) else f" at step {notification.step:,}"
    return [*blocks, _context([*notes, f"scalewatch{step}, {_clock(notification.at_unix_s)}"])]


def _either(text: str, *, first: bool) -> str:
    return text if first else f"Or {text[:1].lower()}{text[1:]}"


def _label(item: Item, notification: Notification) -> str:
    """What, how bad and since when; a message about one thing has said the first two in its title."""
    symbol = "🟢" if item.over else _COLOURS[item.severity]
    state = "over" if item.over else item.severity.value
    what = f"*{escape(kind_row(item.kind).firing, 80)}* · {state}{'' if item.news else ' (goes on)'} · "
    alone = len(notification.items) == 1 and not notification.headline
    clock = _clock(item.since_unix_s, notification.at_unix_s)
    since = f"found at {clock}" if alone else f"{began(item.kind, item.start_step)}, {clock}"
    ago = "" if item.over else _ago(notification.at_unix_s - item.since_unix_s)
    often = f", {item.times:,} times" if item.times > 1 else ""
    return f"{since}{ago}{often}" if alone else f"{symbol} {what}{since}{ago}{often}"


def _ago(seconds: float) -> str:
    if seconds < 60:
        return ""
    if seconds < 2 * 3600:
        return f" ({seconds / 60:.0f} min ago)"
    return f" ({seconds / 3600:.0f} h ago)" if seconds < 48 * 3600 else f" ({seconds / 86400:.0f} days ago)"


def _clock(unix_s: float, today_unix_s: float | None = None) -> str:
    when = datetime.fromtimestamp(unix_s, UTC)
    same_day = today_unix_s is not None and datetime.fromtimestamp(today_unix_s, UTC).date() == when.date()
    return f"{when:%H:%M} UTC" if same_day else f"{when.day} {when:%b %H:%M} UTC"


def _symbol(notification: Notification) -> str:
    if notification.status is Status.FIRING or notification.severity is not Severity.INFO:
        return _COLOURS[notification.severity]
    return {Status.RESOLVED: "🟢", Status.ENDED: "🏁", Status.STARTED: "🔵"}.get(notification.status, "⚪")


def _mentions(who: Sequence[str]) -> str:
    # checked by the rules: ids of members and groups, and two words
    kinds = {"U": "<@{}>", "W": "<@{}>", "S": "<!subteam^{}>"}
    return " ".join(f"<!{name}>" if name in ("channel", "here") else kinds[name[0]].format(name) for name in who)


def _header(text: str) -> Block:
    return HeaderBlock(text=PlainTextObject(text=clean(text, MAX_HEADER) or "scalewatch", emoji=False))


def _plain(text: str, *, lines: bool = False) -> Block:
    shown = text[: MAX_SECTION - 1] if lines else clean(text, MAX_SECTION - 1)
    return SectionBlock(text=PlainTextObject(text=shown or "–", emoji=False))


def _markup(text: str) -> Block:
    return SectionBlock(text=MarkdownTextObject(text=text[: MAX_SECTION - 1]))


def _link(address: str) -> Block:
    return _markup(f"<{address.replace('&', '&amp;')}|Open TensorBoard>")


def _context(texts: Sequence[str]) -> Block:
    return ContextBlock(elements=[PlainTextObject(text=clean(text, 1000), emoji=False) for text in texts[:10]])


def _fitting(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """The blocks as plain data; from the middle, what goes beyond Slack's limits is left out."""
    made: list[dict[str, Any]] = [block.to_dict() for block in blocks]
    while len(made) > MAX_BLOCKS or sum(_length(block) for block in made) > MAX_TOTAL:
        del made[-2]
    return made


def _length(part: Any) -> int:
    if isinstance(part, dict):
        return sum(_length(value) for key, value in part.items() if key != "type")
    return sum(map(_length, part)) if isinstance(part, list) else len(part) if isinstance(part, str) else 0
