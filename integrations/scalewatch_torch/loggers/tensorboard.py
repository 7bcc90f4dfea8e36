"""The run against its law in stock TensorBoard: scalars, a band as a margin chart, the verdict as text.

Goes into the event file of the loop's own `SummaryWriter`, so it stands beside what the user logs.
A second file in the same folder would not do: TensorBoard follows only the newest file of a folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

from scalewatch_torch.loggers.base import (
    EXPECTED,
    FINAL,
    GAP_NATS,
    GAP_TOKENS,
    HIGH,
    LOSS,
    LOW,
    PREFIX,
    AbstractLogger,
    Incident,
    class_names,
)

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary

__all__ = ["TensorBoard"]


@final
class TensorBoard(AbstractLogger):
    """The event file of a `SummaryWriter` of torch.

    Args:
        writer: of torch.
    """

    name = "TensorBoard"

    def __init__(self, writer: Any) -> None:
        # made here: two threads that make it at once would make two files
        self._file = writer._get_file_writer()
        self._has_layout = False

    @classmethod
    def of(cls, thing: Any) -> TensorBoard | None:
        """Return that of a `SummaryWriter`, or of a `TensorBoardLogger`."""
        names = class_names(thing)
        writer = thing.experiment if any(name.endswith(".TensorBoardLogger") for name in names) else thing
        # without tensorboard installed Lightning writes through tensorboardX, whose messages are its own
        return cls(writer) if "torch.SummaryWriter" in class_names(writer) else None

    def point(self, step: int, values: Mapping[str, float]) -> None:
        """Write scalars, and before the first of them the layout of their charts."""
        if not self._has_layout:
            self._has_layout = True
            self._file.add_summary(layout_summary(), 0)
        self._file.add_summary(_scalars_summary(values), step)

    def incident(self, incident: Incident) -> None:
        """Do nothing: the tab shows them from the journal."""

    def text(self, tag: str, step: int, markdown: str) -> None:
        """Write a text."""
        self._file.add_summary(_text_summary(tag, markdown), step)

    def summary(self, step: int, values: Mapping[str, str | float]) -> None:
        """Do nothing: the verdict is a text."""

    def end(self, step: int, incidents: Sequence[Incident]) -> None:
        """Do nothing."""


def _scalars_summary(values: Mapping[str, float]) -> Summary:
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
