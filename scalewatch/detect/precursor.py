"""What is measured inside the model jumps, before the loss says anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, final

from scalewatch.detect.base import AbstractDetector, Sample, amount
from scalewatch.detect.grad_norm import NOTE_EXCESS, NOTE_SIGMAS
from scalewatch.detect.incident_state import IncidentState
from scalewatch.detect.robust_scale import Window
from scalewatch.detect.state import Stateful
from scalewatch.finding import Finding, Kind, Severity

__all__ = ["Precursor"]

#: Rows whose median is the level and whose median deviation is the scale; the rule speaks when they are full [rows].
#: Not the level of the loss: that is 8 kB of state for each of some 15 names, and these rows are few. By hand.
WINDOW_ROWS = 32
#: Scale of a normal distribution over its median absolute deviation. By definition.
MAD = 1.4826
#: A row so far above its level [scales] and by such a factor [log units: 1.5 times] is worth a note; for gradient norms
#: it takes what `GradNorm` asks of the norm as a whole (10 scales, 3 times), for one odd batch doubles that of a group.
#: By hand.
SIGMAS, LEAST_EXCESS = 6.0, math.log(1.5)
#: Part of what a note asks for above which it goes on. By hand.
BACK = 0.5
#: Updates of less than this times their due are none that a spike follows (Wortsman 2023, arXiv 2304.13013).
LEAST_UPDATE_RMS = 2.3
#: Attention logits from which the loss degrades, and above which every run diverged (Wortsman 2023, arXiv 2309.14322,
#: section 3.3).
LOGIT_LIMITS = ((1e3, "the loss degrades from 1,000 on"), (1e4, "every run above 10,000 is known to diverge"))
#: Rows without any of them up after which it is over [rows]. By hand.
CALM_ROWS = 8
#: Notes that one name may be the reason of in a run, and names that are followed [count]. By hand.
MAX_NOTES, MAX_NAMES = 3, 32
#: Values beyond this are no measurement. By hand.
MOST = 1e300
#: Names in one message. By hand.
SHOWN_NAMES = 3


class _Sign(NamedTuple):
    """One name that is up: its value now and usually, how far above in scales, and why if by an absolute limit."""

    name: str
    value: float
    level: float
    sigmas: float
    limit: str

    def text(self) -> str:
        if self.limit:
            return f"{self.name} is {amount(self.value)} ({self.limit})"
        return f"{self.name} is {amount(self.value)} against {amount(self.level)} ({min(self.sigmas, 999):.0f} sigma)"


@final
class _Track(Stateful):
    """The last rows of one name: median, median deviation, and what was said of it. Memory: twice 32 floats."""

    STATE = ("window", "notes", "limits")

    def __init__(self) -> None:
        self.window = Window(WINDOW_ROWS)
        self.notes = 0
        self.limits = 0

    def look(self, name: str, value: float) -> tuple[_Sign | None, bool]:
        """Take one value in; what it is a sign of, and whether it is new."""
        family = name.partition("/")[0]
        linear = family == "log_z"  # a logarithm already, of either sign
        y = min(abs(value), 1e6) if linear else math.log(value)
        sigmas, least = (NOTE_SIGMAS, NOTE_EXCESS) if family == "grad_norm" else (SIGMAS, LEAST_EXCESS)
        window, sign, is_new = self.window, None, False
        if len(window.values) == WINDOW_ROWS:
            level = window.quantile(0.5)
            excess = y - level
            # the deviation is sorted for only where it may matter
            if excess > BACK * least and not (family == "update_rms" and value < LEAST_UPDATE_RMS):
                scale = MAD * sorted(abs(v - level) for v in window.values)[WINDOW_ROWS >> 1]
                bar = max(sigmas * scale, least)
                if excess > BACK * bar:
                    before = level if linear else math.exp(level)
                    sign = _Sign(name, value, before, excess / max(scale, least / sigmas), "")
                    is_new = excess > bar
        window.push(y, WINDOW_ROWS)
        if family == "attention_logit":
            over = sum(value >= limit for limit, _ in LOGIT_LIMITS)
            if over:
                sign = _Sign(name, value, LOGIT_LIMITS[over - 1][0], math.inf, LOGIT_LIMITS[over - 1][1])
                is_new = over > self.limits
                self.limits = max(over, self.limits)
        return sign, is_new

    def reset(self) -> None:
        """The run starts anew elsewhere; what was said stays said."""
        self.window = Window(WINDOW_ROWS)


@final
class _Tracks(Stateful):
    """A track for each name, as many as there may be."""

    STATE = ("by_name",)

    def __init__(self) -> None:
        self.tracks: dict[str, _Track] = {}

    @property
    def by_name(self) -> dict[str, Any]:
        """The memory of all of them."""
        return {name: track.state_dict() for name, track in self.tracks.items()}

    @by_name.setter
    def by_name(self, states: Mapping[str, Any]) -> None:
        self.tracks = {}
        for name, state in states.items():
            self.tracks[name] = track = _Track()
            track.load_state_dict(state)

    def of(self, name: str) -> _Track | None:
        """The track of this name, None where there are too many."""
        track = self.tracks.get(name)
        if track is None and len(self.tracks) < MAX_NAMES:
            track = self.tracks[name] = _Track()
        return track


@final
class Precursor(AbstractDetector):
    """Something measured inside the model is far above its level: a note, for it often comes before the loss.

    Rule, for each name with y = log value (log Z: its distance from 0): y above the median of its last 32 rows by 6
    scaled median deviations and by 1.5 times (gradient norms: 10, and 3 times); update sizes also above 2.3; the
    attention logit also at 1e3 and at 1e4. Always info: one finding opens, one follows for each further name, one
    closes when none has been up for 8 rows; at most 3 a run for each name. Memory: 32 numbers a name, 32 names.
    `restart` forgets levels, not what was said.

    Attributes:
        up: names that are up or were when any was last, also where enough was said of them.
        high_step, high_last: first and last step at which one of them was up.

    >>> detector, row = Precursor(), Sample()
    >>> for row.step in range(8, 401, 8):
    ...     row.precursors = {"update_rms": 1.0 + 0.01 * (row.step % 5) + (4.0 if row.step == 320 else 0.0)}
    ...     finding = detector.observe(row)
    ...     if finding is not None:
    ...         print(finding.step, finding.severity, finding.message)
    320 info update_rms is 5.000 against 1.020 (24 sigma)
    384 info precursors are back to usual (update_rms)
    """

    name = "precursor"
    STATE = ("incident", "tracks", "up", "high_step", "high_last", "calm")

    def __init__(self) -> None:
        super().__init__(IncidentState(Kind.PRECURSOR))
        self.tracks = _Tracks()
        self.up: list[str] = []
        self.high_step = 0
        self.high_last = 0
        self.calm = CALM_ROWS

    def observe(self, sample: Sample) -> Finding | None:
        given = sample.precursors
        if given is None or not isinstance(given, Mapping):
            return None
        signs, new = self._look(given)
        before = self._mark(sample, signs, new)
        incident = self.incident
        worth = [sign for sign in new if sign.limit or (sign.name not in before and self._has_notes(sign.name))]
        if worth:
            message, evidence = self._tell(worth)
            if incident.is_open:
                return incident.escalate(Severity.INFO, sample.step, message, evidence)
            return incident.open(Severity.INFO, sample.step, sample.step, message, evidence)
        if incident.is_open and self.calm >= CALM_ROWS:
            message = f"precursors are back to usual ({', '.join(self.up[:SHOWN_NAMES])})"
            return incident.close(sample.step, message, {"names": ", ".join(self.up)})
        return None

    def _mark(self, sample: Sample, signs: list[_Sign], new: list[_Sign]) -> list[str]:
        """Keep what is up, for whoever asks what came before an incident; the names that were up before this row."""
        goes_on = self.calm < CALM_ROWS
        before = list(self.up) if goes_on else []
        if not (new or (signs and goes_on)):
            self.calm = min(self.calm + 1, CALM_ROWS)
            return before
        if not goes_on:
            self.high_step = sample.step
        self.up = before + [sign.name for sign in new if sign.name not in before]
        self.high_last, self.calm = sample.step, 0
        return before

    def _has_notes(self, name: str) -> bool:
        track = self.tracks.of(name)
        return track is not None and track.notes < MAX_NOTES

    def _look(self, given: Mapping[str, float]) -> tuple[list[_Sign], list[_Sign]]:
        """What is up in this row, and what of it is worth a word; the farthest first."""
        signs, new = [], []
        for name, value in given.items():
            if not isinstance(name, str) or not isinstance(value, float | int) or not -MOST < value < MOST:
                continue
            if not name.startswith("log_z") and value <= 0.0:
                continue
            track = self.tracks.of(name)
            if track is None:
                continue
            sign, is_new = track.look(name, float(value))
            if sign is not None:
                signs.append(sign)
                if is_new:
                    new.append(sign)
        new.sort(key=lambda sign: -sign.sigmas)
        return signs, new

    def _tell(self, new: list[_Sign]) -> tuple[str, dict[str, Any]]:
        for sign in new:
            track = self.tracks.of(sign.name)
            if track is not None:
                track.notes += 1
        first = new[0]
        more = len(new) - SHOWN_NAMES
        message = ", ".join(sign.text() for sign in new[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
        evidence: dict[str, Any] = {"precursor": first.name, "value": first.value, "level": first.level}
        if not first.limit:
            evidence["sigmas"] = first.sigmas
        return message, {**evidence, "names": ", ".join(self.up)}

    def restart(self) -> None:
        self.incident.reset()
        self.calm, self.up = CALM_ROWS, []
        for track in self.tracks.tracks.values():
            track.reset()
