"""The page of `scalewatch report`: plain HTML with its style and its pictures inside, and no script."""

from __future__ import annotations

import base64
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from scalewatch.advice import Advice
from scalewatch.charts import save_chart
from scalewatch.charts.theme import DARK, LIGHT, Theme, readable
from scalewatch.cli.replay import forecast_text, loss_text
from scalewatch.errors import ConfigError
from scalewatch.finding import Finding, Phase
from scalewatch.kinds import kind_name
from scalewatch.offline.replayed import ReplayedRun, notes
from scalewatch.offline.run_picture import draw_run
from scalewatch.status import State
from scalewatch.text import no_control

__all__ = ["page"]

#: Runs of which a page has a picture, the worst first: each is two drawings of half a second and 100 KB.
MOST_PICTURES = 40
#: Findings of one run in its table.
MOST_FINDINGS = 200

_STYLE = """
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 Inter,system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:980px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:26px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:20px;margin:0;overflow-wrap:anywhere}
h3{font-size:13px;margin:24px 0 6px;color:var(--text);font-weight:600}
p,.dim{color:var(--text)} p{margin:4px 0}
section{background:var(--card);border:1px solid var(--grid);border-radius:10px;padding:20px 24px;margin:20px 0}
.head{display:flex;gap:12px;align-items:center;flex-wrap:wrap}
.badge{border-radius:14px;padding:2px 12px;font-size:14px;font-weight:600}
.lost{background:#b3261e;color:#fff}.bad{background:#8a5a00;color:#fff}
.past{background:#6b5d00;color:#fff}.fine{background:#1b6e3c;color:#fff}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14.5px;font-variant-numeric:tabular-nums}
th{text-align:left;font-weight:600;color:var(--text);border-bottom:1px solid var(--grey);padding:5px 10px 5px 0}
td{border-bottom:1px solid var(--grid);padding:5px 10px 5px 0;vertical-align:top;overflow-wrap:anywhere}
tr:last-child td{border-bottom:0}
.n{text-align:right;white-space:nowrap;padding-right:18px}.k{color:var(--text);white-space:nowrap;width:1%;padding-right:24px}
.s{white-space:nowrap;width:1%}
.critical{color:var(--lost);font-weight:700}.warning{color:var(--warn);font-weight:600}.info{color:var(--text)}
a{color:var(--link)} img{display:block;width:100%;max-width:860px;height:auto;margin:14px auto 0;border-radius:6px}
td a{display:inline-block;min-width:130px}
td .badge{white-space:normal;display:inline-block;border-radius:12px;min-width:11em;overflow-wrap:normal}
@media(max-width:600px){
main{padding:16px 8px 40px}section{padding:14px 12px}.k{white-space:normal;overflow-wrap:normal;padding-right:12px}
picture{display:block;overflow-x:auto}img{min-width:600px}
.found tr{display:flex;flex-wrap:wrap;border-bottom:1px solid var(--grid);padding:4px 0}
.found tr:last-child{border-bottom:0}
.found :is(td,th){border:0;padding:1px 12px 1px 0;width:auto}
.found td:last-child{flex:1 0 100%}.found th:last-child{display:none}
}
summary{cursor:pointer;padding:6px 0;color:var(--text)} li{margin:4px 0;overflow-wrap:anywhere}
ul{margin:0;padding-left:20px}
footer{color:var(--text);font-size:13px}
@media print{section{break-inside:avoid}}
"""


def page(watched: Sequence[ReplayedRun], unreadable: Sequence[str] = ()) -> str:
    """Return the page about runs, in their order, as HTML.

    Args:
        watched: runs that were read with their curves. unreadable: what is to be said about other files.

    Raises:
        ConfigError: if the extra `charts` is not installed.
    """
    several = len(watched) > 1
    title = f"{len(watched)} runs" if several else no_control(watched[0].log.name)
    bad = sum(run.tracker.pages > 0 for run in watched)
    body = [f"<h1>{escape(title)}</h1>"] if several else []
    if several:
        body.append(f"<p>{bad} with findings worth a page, worst first.</p>")
        body.append(f"<section>{_runs(watched)}</section>")
    for place, run in enumerate(watched):
        body.append(_section(run, place, picture=place < MOST_PICTURES, several=several))
    if unreadable:
        lines = "".join(f"<li>{escape(no_control(line))}</li>" for line in unreadable[:MOST_FINDINGS])
        body.append(f"<section><h2>Not read</h2><ul>{lines}</ul></section>")
    made = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    body.append(f"<footer>scalewatch report, {escape(made)}. A forecast is shown with its 80 % interval.</footer>")
    style = f":root{{color-scheme:light dark;{_colours(LIGHT, '#f5f7fa', '#8a5a00')}}}"
    style += f"@media(prefers-color-scheme:dark){{:root{{{_colours(DARK, '#0b0f14', '#f0b23a')}}}}}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{style}{_STYLE}</style></head>\n"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _colours(theme: Theme, page: str, warn: str) -> str:
    named = {
        "page": page,
        "card": theme.background,
        "ink": theme.ink,
        "text": theme.text,
        "grey": theme.grey,
        "grid": theme.grid,
        "lost": readable(theme.lost, theme),
        "link": readable(theme.forecast, theme),
        "warn": warn,
    }
    return "".join(f"--{name}:{colour};" for name, colour in named.items())


_BADGES = {
    State.LOST: "lost",
    State.IN_TROUBLE: "bad",
    State.RECOVERED: "past",
    State.CANNOT_TELL: "past",
    State.HEALTHY: "fine",
    State.OVER: "fine",
}


def _badge(run: ReplayedRun) -> str:
    status = run.tracker.status
    return f'<span class="badge {_BADGES[status.state]}">{escape(status.sentence)}</span>'


def _runs(watched: Sequence[ReplayedRun]) -> str:
    rows = []
    ends = [forecast_text(run) for run in watched]
    some = any(ends)
    for place, run in enumerate(watched):
        first = "" if run.tracker.first_page is None else f"step {run.tracker.first_page.step:,}"
        rows.append(
            f'<tr><td><a href="#run-{place}">{escape(no_control(run.log.name))}</a></td><td>{_badge(run)}</td>'
            f'<td class="n">{run.tracker.pages or ""}</td><td class="n">{first}</td>'
            + (f'<td class="n">{escape(ends[place])}</td>' if some else "")
            + f'<td class="n">{escape(loss_text(run))}</td></tr>'
        )
    head = '<th>run</th><th>verdict</th><th class="n">pages</th><th class="n">first page</th>'
    head += ('<th class="n">forecast</th>' if some else "") + '<th class="n">loss</th>'
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def _section(run: ReplayedRun, place: int, *, picture: bool, several: bool) -> str:
    verdict, name = run.tracker.verdict, escape(no_control(run.log.name))
    level = "h2" if several else "h1"
    parts = [f'<div class="head"><{level}>{name}</{level}>{_badge(run)}</div>']
    shown = [(label, text) for label, text in verdict.rows() if label not in ("run", "health")]
    table = "".join(f'<tr><td class="k">{escape(k)}</td><td>{escape(_with_commas(v))}</td></tr>' for k, v in shown)
    advice = "".join(map(_advice, run.tracker.advice))
    if advice:
        parts.append(f"<h3>What to do</h3><ul>{advice}</ul>")
    parts.append(_picture(run) if picture else "<p>No picture: the runs above have them.</p>")
    parts.append(f"<h3>Verdict</h3><table>{table}</table>")
    parts.append(f"<h3>Findings</h3>{_findings(run)}")
    parts.append(f"<h3>How the log was read</h3>{_reading(run)}")
    return f'<section id="run-{place}">{"".join(parts)}</section>'


def _advice(advice: Advice) -> str:
    what, _, worth = no_control(advice.headline).partition(" (")
    change = no_control(advice.would_change)
    more = f'<br><span class="dim">Ignore this if {escape(change)}</span>' if change else ""
    reason = escape(no_control(advice.reason))
    return f'<li><b>{escape(what)}</b> <span class="dim">({escape(worth)}</span>: {reason}{more}</li>'


def _with_commas(text: str) -> str:
    # where a terminal has wide gaps, a page has commas
    return ", ".join(part.strip() for part in no_control(text).split("   "))


def _findings(run: ReplayedRun) -> str:
    if not run.tracker.findings:
        return "<p>None.</p>"
    # pages are never the ones left out
    chosen = run.tracker.findings
    if len(chosen) > MOST_FINDINGS:
        order = sorted(range(len(chosen)), key=lambda i: (-chosen[i].severity.rank, i))[:MOST_FINDINGS]
        chosen = [chosen[i] for i in sorted(order)]
    paged = {finding.kind for finding in chosen if finding.pages}
    # what never paged anybody is folded: a spike is not to be looked for under a hundred notes
    folded = [finding for finding in chosen if finding.kind not in paged]
    shown = [finding for finding in chosen if finding.kind in paged]
    left = len(run.tracker.findings) + run.tracker.dropped - len(chosen)
    more = f"<p>And {left:,} more notes.</p>" if left else ""
    kinds = Counter(kind_name(finding.kind) for finding in folded if finding.phase is Phase.OPENED)
    what = ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common())
    notes = f"<details><summary>Notes: {escape(what)}</summary>{_table(folded)}</details>" if folded else ""
    return (_table(shown) if shown else "") + notes + more


def _table(findings: Sequence[Finding]) -> str:
    head = '<th class="n">step</th><th>severity</th><th>kind</th><th>what</th>'
    return f'<div class="wide"><table class="found"><tr>{head}</tr>{"".join(map(_finding, findings))}</table></div>'


def _finding(finding: Finding) -> str:
    kind = kind_name(finding.kind)
    if finding.phase is not Phase.OPENED:
        kind += f", {finding.phase.value}"
    severity = "" if finding.phase is Phase.CLOSED else finding.severity.value
    return (
        f'<tr><td class="n">{finding.step:,}</td><td class="s {finding.severity.value}">{severity}</td>'
        f'<td class="s">{escape(kind)}</td><td>{escape(no_control(finding.message))}</td></tr>'
    )


def _reading(run: ReplayedRun) -> str:
    columns = [f"{field} = {column}" for field, column in run.log.columns.items() if field != column]
    lines = [f"{run.tracker.rows:,} rows of {run.log.path}", *notes(run.log)]
    if columns:
        lines.insert(1, f"columns: {', '.join(columns)}")
    return "<ul>" + "".join(f"<li>{escape(no_control(line))}</li>" for line in lines) + "</ul>"


def _picture(run: ReplayedRun) -> str:
    if run.curve is None or len(run.curve.steps) < 2:
        return "<p>There are too few losses to draw.</p>"
    verdict = run.tracker.verdict
    drawn: dict[bool, str] = {}
    for dark in (False, True):
        try:
            chart = draw_run(run, dark=dark)
        except ConfigError as fault:
            if "extra" in str(fault):
                raise
            return f"<p>{escape(str(fault))}</p>"
        drawn[dark] = _svg(chart)
    alt = escape(f"Training loss against steps of {no_control(run.log.name)}: {verdict.headline}", quote=True)
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{drawn[True]}">'
        f'<img src="{drawn[False]}" alt="{alt}"></picture>'
    )


def _svg(chart: Any) -> str:
    # as a picture of its own, so that nothing in it can run and no name in it meets one of another
    with tempfile.TemporaryDirectory() as folder:
        data = save_chart(chart, Path(folder, "chart.svg")).read_bytes()
    return "data:image/svg+xml;base64," + base64.b64encode(data).decode("ascii")
