"""The run against its law in stock TensorBoard: scalars, a band as a margin chart, the verdict as text.

Goes into the event file of the loop's own `SummaryWriter`, so it stands beside what the user logs.
A second file in the same folder would not do: TensorBoard follows only the newest file of a folder.

The step path appends to a bounded queue; summaries are built and written on the background thread.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, final

from scalewatch.advice import Advice
from scalewatch.observation import Observation

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary

    from scalewatch.forecast import Forecast

__all__ = ["Board", "advice_markdown", "forecast_values", "verdict_markdown"]

#: Points of one tag in a run of known length; stock TensorBoard draws a sample of 1,000.
POINTS = 1_000
#: Points that wait for the background thread at most; what is beyond them is dropped and counted.
MAX_WAITING = 4_096
#: Level of every band.
LEVEL = 0.8
#: The same in standard deviations of a Gaussian, to either side.
SDS = 1.2816

PREFIX = "scalewatch/"
LOSS, VALIDATION_LOSS = f"{PREFIX}loss", f"{PREFIX}validation_loss"
EXPECTED, FINAL = f"{PREFIX}expected_loss", f"{PREFIX}forecast_final_loss"
GAP_NATS, GAP_TOKENS = f"{PREFIX}gap_nats", f"{PREFIX}gap_token_ratio"
RATE_FACTOR = f"{PREFIX}learning_rate_factor"
LOW, HIGH = "_low_80", "_high_80"


class _Point(NamedTuple):
    step: int
    values: dict[str, float]


class _Text(NamedTuple):
    tag: str
    step: int
    markdown: str


@final
class Board:
    """Writes a run to TensorBoard.

    Memory: at most `MAX_WAITING` points. Raises what the event files raise, on the background thread.

    Args:
        writers: the `SummaryWriter`s to write to.
        total_steps: planned steps, None if unknown.
    """

    def __init__(self, writers: Iterable[Any], total_steps: int | None) -> None:
        # made here: two threads that make it at once would make two files
        self._files = [writer._get_file_writer() for writer in writers]
        self._total_steps = total_steps
        self._waiting: deque[_Point | _Text] = deque()
        self._has_layout = False
        self.dropped = 0

    def wants(self, step: int) -> bool:
        """Whether `step` is one of the about `POINTS` steps that are drawn."""
        if self._total_steps is not None:
            stride = max(1, self._total_steps // POINTS)
        else:  # twice as far apart each time the run has doubled: 500 points a doubling
            stride = 1 << max(0, int(math.log2(max(1.0, 2 * step / POINTS))))
        return step == 1 or step % stride == 0

    def point(
        self,
        observation: Observation,
        expected: tuple[float, float] | None,
        forecast: dict[str, float],
    ) -> None:
        """Draw a step: what was observed, what the law `expected` (loss, its sd), what is forecast."""
        values = {LOSS: observation.loss, **forecast}
        if observation.validation_loss is not None:
            values[VALIDATION_LOSS] = observation.validation_loss
        if expected is not None:
            loss, sd = expected
            values |= _band(EXPECTED, loss, loss - SDS * sd, loss + SDS * sd)
        self._append(_Point(observation.step, values))

    def text(self, tag: str, step: int, markdown: str) -> None:
        """Show a text, such as the verdict, among those of TensorBoard."""
        self._append(_Text(tag, step, markdown))

    def act(self, step: int, text: str, before: float, factor: float) -> None:
        """Show what was done to the run, and the factor on its learning rate."""
        self.text("acts", step, text)
        if before != factor:
            self._append(_Point(step, {RATE_FACTOR: before}))
            self._append(_Point(step + 1, {RATE_FACTOR: factor}))

    def _append(self, item: _Point | _Text) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        self._waiting.append(item)

    def drain(self) -> None:
        """Write what waits. For the background thread."""
        while self._waiting:
            item = self._waiting.popleft()
            if isinstance(item, _Text):
                self._write(_text_summary(item.tag, item.markdown), item.step)
                continue
            if not self._has_layout:
                self._has_layout = True
                self._write(layout_summary(), 0)
            self._write(_scalars_summary(item.values), item.step)

    def _write(self, summary: Summary, step: int) -> None:
        for file in self._files:
            file.add_summary(summary, step)


def forecast_values(forecast: Forecast) -> dict[str, float]:
    """Return the scalars that a forecast is drawn as."""
    values = _band(FINAL, forecast.final_loss, *forecast.interval(LEVEL))
    gap = forecast.law_gap
    if gap is not None:
        values[GAP_NATS] = gap.nats
        if gap.token_ratio is not None:
            values[GAP_TOKENS] = gap.token_ratio
    return values


def _band(tag: str, middle: float, low: float, high: float) -> dict[str, float]:
    return {tag: middle, tag + LOW: low, tag + HIGH: high}


def _scalars_summary(values: dict[str, float]) -> Summary:
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=t, simple_value=v) for t, v in values.items()])


def _text_summary(tag: str, markdown: str) -> Summary:
    from tensorboard.plugins.text.plugin_data_pb2 import TextPluginData

    # one text and not, as in torch's helper, a list of one, which is shown as a table with one cell
    content = TextPluginData(version=0).SerializeToString()
    return _tensor_summary(f"{PREFIX}{tag}/text_summary", markdown.encode(), "text", content)


def _tensor_summary(tag: str, data: bytes, plugin_name: str, content: bytes = b"") -> Summary:
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

    plugin = SummaryMetadata.PluginData(plugin_name=plugin_name, content=content)
    tensor = TensorProto(dtype="DT_STRING", string_val=[data], tensor_shape=TensorShapeProto())
    value = Summary.Value(tag=tag, tensor=tensor, metadata=SummaryMetadata(plugin_data=plugin))
    return Summary(value=[value])


def layout_summary() -> Summary:
    """Return the layout of the Custom Scalars tab.

    Built by hand, because TensorBoard's own helper for it imports TensorFlow. The loss is drawn into the
    margin chart as a band of no width, since a chart is either of lines or of bands.
    """
    from tensorboard.plugins.custom_scalar import layout_pb2 as layout

    def band(*tags: str) -> list[Any]:
        series = layout.MarginChartContent.Series
        return [
            series(value=tag, lower=tag, upper=tag)
            if tag == LOSS
            else series(value=tag, lower=tag + LOW, upper=tag + HIGH)
            for tag in tags
        ]

    def chart(title: str, *tags: str) -> Any:
        margin = layout.MarginChartContent(series=band(*tags))
        return layout.Chart(title=title, margin=margin)

    def lines(title: str, *tags: str) -> Any:
        content = layout.MultilineChartContent(tag=[f"^{tag}$" for tag in tags])
        return layout.Chart(title=title, multiline=content)

    charts = [
        # TensorBoard sorts them by title
        chart("1. The loss, and what its law expects (80 %)", EXPECTED, LOSS),
        chart("2. The final loss, as it was forecast at each step (80 %)", FINAL),
        lines("3. Above its law, nats", GAP_NATS),
        lines("4. Tokens that the law needs for this loss, over tokens used", GAP_TOKENS),
    ]
    content = layout.Layout(category=[layout.Category(title="scalewatch", chart=charts)])
    return _tensor_summary("custom_scalars__config__", content.SerializeToString(), "custom_scalars")


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
    >>> print(advice_markdown([Advice(Action.WAIT, "Spikes recover.", EvidenceGrade.B, would_change="A NaN.")]))
    - **wait** (evidence B): Spikes recover. _Would change it: A NaN._
    """
    lines = []
    for each in advice:
        what, _, worth = each.headline.partition(" (")
        change = f" _Would change it: {each.would_change}_" if each.would_change else ""
        lines.append(" ".join(f"- **{what}** ({worth}: {each.reason}{change}".split()))
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
