"""Texts of a run in Markdown, as TensorBoard shows them."""

from __future__ import annotations

from collections.abc import Sequence

from scalewatch.advice import Advice

__all__ = ["advice_markdown", "verdict_markdown"]


def verdict_markdown(rows: Sequence[tuple[str, str]]) -> str:
    """Return rows of label and text as a Markdown table.

    >>> print(verdict_markdown([("health", "a | b")]))
    | scalewatch | |
    |---|---|
    | **health** | a \\| b |
    """
    lines = [f"| **{_cell(label)}** | {_cell(text)} |" for label, text in rows]
    return "\n".join(["| scalewatch | |", "|---|---|", *lines])


def advice_markdown(advice: Sequence[Advice]) -> str:
    """Return advice as a Markdown list; "" if there is none.

    >>> from scalewatch.advice import Action, EvidenceGrade
    >>> print(advice_markdown([Advice(Action.WAIT, "Spikes recover.", EvidenceGrade.B, would_change="it is a NaN.")]))
    - **wait** (evidence B): Spikes recover. _Ignore this if it is a NaN._
    """
    lines = []
    for each in advice:
        what, _, worth = each.headline.partition(" (")
        change = f" _Ignore this if {each.would_change}_" if each.would_change else ""
        lines.append(" ".join(f"- **{what}** ({worth}: {each.reason}{change}".split()))
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
