"""The state of a run in a few lines that a person can rely on."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from scalewatch import Finding, Kind, LawResidual, Phase, Run, Severity, Verdict
from scalewatch.forecast.milestones import Look, Milestone

SPIKE = Finding(Kind.SPIKE, Severity.WARNING, 310, 300, "loss rose from 2.5 to 4.0")
NAN = Finding(Kind.NONFINITE, Severity.CRITICAL, 400, 400, "loss is nan at step 400")
NOTE = Finding(Kind.BAD_BATCH, Severity.INFO, 200, 200, "one high loss")
START = Milestone(0.0, 0, 2.55, 2.45, 2.65)
THIRD = Milestone(0.3, 300, 2.52, 2.48, 2.56)
GAP = LawResidual(950, 2.6, 2.5, 0.02, 0.0, 0.8, 1.9e6)


def looks(*made: Milestone) -> tuple[Look, ...]:
    return tuple(Look(each.progress, each) for each in made)


def verdict(**change: Any) -> Verdict:
    """The verdict on a run of 1,000 steps that ended well, with something changed."""
    of: dict[str, Any] = {
        "run": Run("demo", 1000, parameters=8_000_000, non_embedding_parameters=6_000_000),
        "step": 1000,
        "end_loss": 2.5,
        "stretch_loss": 2.5,
        "looks": looks(START, THIRD),
        "incidents": (),
        "incident_counts": Counter(),
        "open_incidents": (),
        "law_gap": None,
    }
    return Verdict(**(of | change))


def incidents(*found: Finding, still_open: tuple[Finding, ...] = ()) -> Verdict:
    return verdict(incidents=found, incident_counts=Counter(f.kind for f in found), open_incidents=still_open)


def row(of: Verdict, label: str) -> str | None:
    return dict(of.rows()).get(label)


def test_a_run_that_ended_well_reads_like_one() -> None:
    """Every line of it, to the letter."""
    assert [
        ("run", "demo"),
        ("health", "over: healthy to its end"),
        ("steps", "1,000 of 1,000"),
        ("parameters", "8,000,000 (6,000,000 non-embedding)"),
        ("predicted before the start", "2.550   80 % interval 2.450 to 2.650; inside, 2 % too high, pinball 0.0150"),
        ("predicted at 30 %", "2.520   80 % interval 2.480 to 2.560"),
        ("final loss", "2.500   inside the interval, prediction 0.8 % too high"),
        ("incidents", "none"),
    ] == verdict().rows()


@pytest.mark.parametrize(
    ("found", "still_open", "headline", "healthy"),
    [
        ((), (), "over: healthy to its end", True),
        ((NOTE,), (NOTE,), "over: healthy to its end", True),
        ((SPIKE,), (), "recovered from spike", False),
        ((SPIKE, NAN), (), "recovered from non-finite loss, spike", False),
        ((SPIKE,), (SPIKE,), "IN TROUBLE: spike since step 300", False),
        ((SPIKE, NAN), (SPIKE, NAN), "LOST: non-finite loss since step 400", False),
    ],
)
def test_the_headline_is_the_worst_that_is_open(
    found: tuple[Finding, ...], still_open: tuple[Finding, ...], headline: str, healthy: bool
) -> None:
    """Lost before in trouble before recovered before healthy; a note is no illness."""
    of = incidents(*found, still_open=still_open)

    assert (headline, healthy) == (of.headline, of.healthy)


def test_the_first_page_is_quoted() -> None:
    """How many of each kind, and what was said first that was worth waking someone."""
    of = incidents(NOTE, NOTE, SPIKE, NAN)

    assert "2 x bad batch, 1 non-finite loss, 1 spike; first page at step 310: loss rose from 2.5 to 4.0" == row(
        of, "incidents"
    )


@pytest.mark.parametrize(
    ("final", "says"),
    [
        (2.5, "inside the interval, prediction 0.8 % too high"),
        (2.48, "inside the interval"),
        (2.56, "inside the interval"),
        (2.47, "OUTSIDE the interval"),
        (2.7, "OUTSIDE the interval, prediction 6.7 % too low"),
    ],
)
def test_the_outcome_is_held_against_the_prediction_at_a_third(final: float, says: str) -> None:
    """A forecast that failed is said to have failed."""
    assert says in (row(verdict(end_loss=final), "final loss") or "")


def test_without_a_forecast_at_a_third_the_one_before_the_start_counts() -> None:
    """And without any the loss stands alone."""
    assert "inside" in (row(verdict(looks=looks(START), end_loss=2.62), "final loss") or "")
    assert "2.500" == row(verdict(looks=()), "final loss")


def test_a_run_on_its_way_shows_the_loss_now() -> None:
    """No outcome yet."""
    of = verdict(step=400, end_loss=None, stretch_loss=2.9)

    assert ("400 of 1,000", "2.900", None) == (row(of, "steps"), row(of, "loss now"), row(of, "final loss"))


def test_a_run_that_has_seen_nothing_has_a_verdict() -> None:
    """Training may end before its first step."""
    of = verdict(run=Run("demo"), step=0, end_loss=None, stretch_loss=None, looks=())

    assert ["run", "health", "steps", "forecast", "incidents"] == [label for label, _ in of.rows()]


def test_the_law_is_in_the_verdict_where_there_is_one() -> None:
    """With the sentence in tokens."""
    text = row(verdict(law_gap=GAP), "against its law") or ""

    assert text.startswith("0.100 nats (4.0 %) above its law")
    assert "at 1.90 M tokens you are where the law expects 1.52 M, 20 % of the compute so far bought nothing." in text


def test_a_gap_from_before_an_open_incident_says_that_it_is_old() -> None:
    """Rows of an incident are not compared with the law, so the last gap is from before it."""
    late = Finding(Kind.DIVERGENCE, Severity.CRITICAL, 990, 980, "loss rises", phase=Phase.ESCALATED)

    assert "against its law before that" in dict(verdict(law_gap=GAP, open_incidents=(late,)).rows())
    assert "against its law" in dict(verdict(law_gap=GAP, open_incidents=(NAN,)).rows())
