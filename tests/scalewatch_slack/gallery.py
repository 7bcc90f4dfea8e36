"""Every shape of message, and hostile ones; as a page to look at: `python gallery.py > page.html`."""

from __future__ import annotations

import html
import re
import sys
from typing import Any

from scalewatch.alert import Item, Notification, Recommendation, Status
from scalewatch.finding import Severity

NOW = 1767578640.0
STOP = Recommendation("stop", "Nothing since step 2,009 helped: the run is lost to the divergence.", "B")
REWIND = Recommendation(
    "rewind", "Restart from a checkpoint from before step 1,909 and skip the next 200 to 500 batches, as PaLM did.", "B"
)
WAIT = Recommendation("wait", "Spikes like this often recover alone. Look again at step 1,300.", "B", 0.004)
DIVERGES = Item(
    "divergence",
    Severity.CRITICAL,
    False,
    "loss does not come back: 3.595 against 2.795 200 steps ago",
    2009,
    2209,
    NOW - 1500,
)
SPIKE = Item(
    "spike",
    Severity.WARNING,
    False,
    "loss rose from 2.875 to 4.414 (+1.539 nats, 46 sigma) for 2 logged steps",
    1000,
    1001,
    NOW - 40,
)
OFF_PLAN = Item(
    "off_plan", Severity.WARNING, False, "learning rate is 3 times its plan", 1990, 2010, NOW - 1600, news=False
)
LINK = "https://tensorboard.example.org/?run=gpt-760m&tab=scalewatch"
VERDICT = (
    ("steps", "20,000 of 20,000"),
    ("predicted at 30 %", "2.611, 80 % interval 2.590 to 2.633"),
    ("final loss", "2.604, inside the interval, prediction 0.27 % too high"),
    ("incidents", "1 spike; first page at step 1,001: loss rose from 2.875 to 4.414"),
)


def shape(status: Status, severity: Severity, **parts: Any) -> Notification:
    made: dict[str, Any] = {"id": "1", "run": "gpt-760m", "run_id": "r", "step": 2209, "at_unix_s": NOW, **parts}
    return Notification(status=status, severity=severity, **made)


SHAPES = {
    "warning": shape(Status.FIRING, Severity.WARNING, items=(SPIKE,), advice=(WAIT,), reason="it is new.", step=1040),
    "critical": shape(
        Status.FIRING,
        Severity.CRITICAL,
        items=(DIVERGES, OFF_PLAN),
        advice=(STOP, REWIND),
        reason="it got worse.",
        link=LINK,
        mentions=("U012AB3CD", "channel"),
        labels=(("team", "pretraining"), ("cluster", "b7")),
    ),
    "resolved": shape(
        Status.RESOLVED,
        Severity.INFO,
        items=(
            Item(
                "spike",
                Severity.WARNING,
                True,
                "loss is back at 2.817 after 40 high rows (peak 4.423)",
                1000,
                1046,
                NOW - 900,
                3,
            ),
        ),
        reason="it is over.",
    ),
    "flood": shape(
        Status.FIRING, Severity.WARNING, items=(SPIKE,), folded=999_980, reason="it is new.", may_repeat=True
    ),
    "started": shape(Status.STARTED, Severity.INFO, headline="watched from step 0", step=0, link=LINK),
    "ended": shape(Status.ENDED, Severity.INFO, headline="as planned; recovered from spike", rows=VERDICT, step=20_000),
    "crashed": shape(
        Status.ENDED,
        Severity.CRITICAL,
        headline="crashed after step 12,345: OutOfMemoryError: CUDA out of memory",
        rows=VERDICT[:2],
    ),
    "digest": shape(
        Status.DIGEST,
        Severity.INFO,
        run="all runs",
        headline="3 runs, 1 with findings",
        rows=(
            ("gpt-760m", "LOST: divergence since step 2,009 (step 2,209, loss 3.595)"),
            ("gpt-350m", "healthy (step 18,400, loss 2.913)"),
            ("gpt-125m", "recovered from spike (step 20,000, loss 3.271)"),
        ),
    ),
}

SHAPES |= {
    "run digest": shape(
        Status.DIGEST,
        Severity.WARNING,
        headline="loss diverges since step 9,990; now step 19,700 of 50,000 (39 %)",
        rows=(
            ("steps", "19,700 in 6.0 h (0.909 a second), 9.3 h left"),
            ("loss", "2.913 (was 3.271 at step 8,640)"),
            ("final loss", "2.611 expected (80 %: 2.59 to 2.633)"),
            ("loss diverges", "since step 9,990, goes on"),
            ("loss spike", "since step 4,100, 3 times, over"),
        ),
        advice=(STOP,),
        step=19_700,
    ),
    "gone": shape(
        Status.FIRING,
        Severity.CRITICAL,
        items=(
            Item(
                "gone",
                Severity.CRITICAL,
                False,
                "its last sign of life came at 01:31 UTC, and it did not say that it ends: killed, or its machine is"
                " down",
                12_345,
                12_345,
                NOW,
            ),
        ),
        advice=(Recommendation("start again", "from the last checkpoint; the log of the system says more.", "C"),),
        reason="it is new.",
        step=12_345,
    ),
    "stalled": shape(
        Status.FIRING,
        Severity.CRITICAL,
        items=(
            Item(
                "stalled",
                Severity.CRITICAL,
                False,
                "no step for 31 minutes (longest pause before: 62 s)",
                12_345,
                12_345,
                NOW,
            ),
        ),
        reason="it is new.",
        step=12_345,
    ),
    "advice": shape(
        Status.FIRING,
        Severity.INFO,
        items=(
            Item(
                "advice",
                Severity.INFO,
                False,
                "decay now: ending in 10 % of the steps loses 0.004 nats and saves 40 % of the compute",
                12_000,
                12_000,
                NOW,
            ),
        ),
        reason="it is new.",
        step=12_000,
    ),
    "target": shape(
        Status.FIRING,
        Severity.WARNING,
        items=(
            Item(
                "target",
                Severity.WARNING,
                False,
                "forecast 2.914 (80 %: 2.89 to 2.93) against a target of 2.85: it ends more than 0.02 above it with"
                " 97 %",
                12_000,
                12_000,
                NOW,
            ),
        ),
        reason="it is new.",
        step=12_000,
    ),
    "test": shape(
        Status.TEST,
        Severity.INFO,
        run="test run",
        headline="this is how an alert looks; nothing is wrong",
        items=(SPIKE,),
        advice=(WAIT,),
        step=1001,
    ),
}

EVIL = (
    "<!channel> <!here> <@U1> <!subteam^S1> <#C1> <http://evil.example|click> &lt; `code` *b* \u202egnp.exe"
    " \x00\x1b[31m \ud800 \u2066x\u2069 a&b"
)
HOSTILE = {
    "names": shape(
        Status.FIRING,
        Severity.CRITICAL,
        run=EVIL,
        items=(Item(EVIL, Severity.CRITICAL, False, EVIL, 1, 2, NOW),),
        advice=(Recommendation(EVIL, EVIL, EVIL),),
        rows=((EVIL, EVIL),),
        labels=((EVIL, EVIL),),
        reason=EVIL,
    ),
    "a megabyte": shape(
        Status.FIRING,
        Severity.CRITICAL,
        run="<&>" * 350_000,
        headline="<" * 1_000_000,
        items=tuple(Item("&" * 100_000, Severity.WARNING, False, "<" * 100_000, 1, 2, NOW) for _ in range(10)),
        advice=tuple(Recommendation("&" * 9_000, ">" * 9_000, "B") for _ in range(3)),
        rows=tuple(("&" * 9_000, "<" * 9_000) for _ in range(30)),
    ),
    "nothing": shape(Status.FIRING, Severity.INFO, run=""),
}


def page(messages: dict[str, dict[str, Any]]) -> str:
    """Messages as Slack would lay them out, near enough to read them as if at night."""
    shown = [f"<h4>{name}</h4><div class=m>{''.join(map(_html, m['blocks']))}</div>" for name, m in messages.items()]
    style = (
        "body{background:#1a1d21;color:#d1d2d3;font:15px/1.46 Lato,Arial,sans-serif;width:400px;margin:12px}"
        ".m{border-left:3px solid #444;padding:2px 0 6px 12px;margin-bottom:18px}h3{font-size:18px;margin:4px 0}"
        "p{margin:6px 0;white-space:pre-wrap;overflow-wrap:anywhere}small{color:#ababad;display:block}"
        "h4{color:#777;margin:0}hr{border:0;border-top:1px solid #444}a,i{color:#1d9bd1}"
    )
    return f"<!doctype html><meta charset=utf-8><style>{style}</style>{''.join(shown)}"


_COLOURS = {"🔴": "#e01e5a", "🟠": "#ecb22e", "🟢": "#2eb67d", "🔵": "#36c5f0", "⚪": "#ddd", "🏁": "#ddd"}


def _html(block: dict[str, Any]) -> str:
    if block["type"] == "divider":
        return "<hr>"
    if block["type"] == "context":
        return "".join(f"<small>{html.escape(element['text'])}</small>" for element in block["elements"])
    text = block["text"]
    shown = html.escape(text["text"]) if text["type"] == "plain_text" else _mrkdwn(text["text"])
    for symbol, colour in _COLOURS.items():  # a machine without such letters would show boxes
        shown = shown.replace(symbol, f"<span style='color:{colour}'>●</span>")
    return f"<h3>{shown}</h3>" if block["type"] == "header" else f"<p>{shown}</p>"


def _mrkdwn(text: str) -> str:
    text = re.sub(r"<(https?://[^|>]*)\|([^>]*)>", r"{a}\2{/a}", text)
    text = re.sub(r"<[@!]([^>]*)>", r"{i}@\1{/i}", text)
    text = re.sub(r"\*([^*\n]+)\*", r"{b}\1{/b}", text)
    return text.replace("<", "&lt;").replace("{", "<").replace("}", ">")


if __name__ == "__main__":
    from scalewatch_slack.message import message, summary

    pages = {name: message(notification) for name, notification in SHAPES.items()}
    pages["summary"] = summary(SHAPES["critical"])
    pages["hostile"] = message(HOSTILE["names"])
    sys.stdout.write(page(pages))
