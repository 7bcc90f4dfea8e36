"""What is around every chart: its headline, the sentences under it, its colours and its width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

from scalewatch.charts.axes import AXIS_LETTERS
from scalewatch.charts.captions import WIDTH, headline, sentences
from scalewatch.charts.theme import DARK, LIGHT, Theme

if TYPE_CHECKING:
    import altair as alt

__all__ = ["Frame", "finished"]


@final
@dataclass(frozen=True, slots=True)
class Frame:
    """What is around a chart.

    Attributes:
        title: headline. subtitle: sentences under it. dark: colours for a dark page.
        width: of the whole chart [pixels]; the charts of laws have a width of their own.
        unit: what the loss of a run is counted in, such as "nats/token"; "" where nobody knows.
    """

    title: str
    subtitle: Sequence[str] = ()
    dark: bool = False
    width: int = 900
    unit: str = ""

    @property
    def theme(self) -> Theme:
        """Colours."""
        return DARK if self.dark else LIGHT

    def titled(self, quantity: str = "loss", more: str = "") -> str:
        """Return the title of an axis of a loss: the quantity, its unit where one is known, and what follows it.

        >>> Frame("a run", unit="nats/token").titled(), Frame("a run").titled("loss − law", ", 80 %")
        ('loss  [nats/token]', 'loss − law, 80 %')
        """
        return f"{quantity}  [{self.unit}]{more}" if self.unit else f"{quantity}{more}"

    def noting(self, *sentences: str) -> Frame:
        """Return it with more sentences under the headline."""
        return replace(self, subtitle=(*self.subtitle, *sentences))


def finished(chart: Any, frame: Frame, width: int = WIDTH) -> alt.TopLevelMixin:
    """Return an altair chart in its frame, each sentence wrapped to `width` [pixels]."""
    import altair as alt

    theme = frame.theme
    head = alt.TitleParams(
        headline(frame.title, width),
        subtitle=sentences(frame.subtitle, width),
        anchor="start",
        fontSize=17,
        subtitleFontSize=12,
        offset=10,
        limit=width + 40,
    )
    words: dict[str, Any] = {"labelColor": theme.text, "titleColor": theme.text, "titleFontWeight": "normal"}
    words |= {"labelFontSize": AXIS_LETTERS, "titleFontSize": AXIS_LETTERS}
    # at once: altair copies a chart at each call
    config = alt.Config(
        background=theme.background,
        font="Inter, Helvetica, Arial, sans-serif",
        padding=14,
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(**words, domainColor=theme.grey, tickColor=theme.grey, gridColor=theme.grid),
        title=alt.TitleConfig(color=theme.ink, subtitleColor=theme.text),
        legend=alt.LegendConfig(**words),
    )
    styled: alt.TopLevelMixin = chart.properties(title=head, config=config)
    return styled
