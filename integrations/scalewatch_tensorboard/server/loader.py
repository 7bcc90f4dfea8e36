"""What TensorBoard's start meets: flags, and a plugin that cannot take TensorBoard down."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING, final

from tensorboard.plugins import base_plugin

from scalewatch_tensorboard.server import NAME

if TYPE_CHECKING:
    from scalewatch_tensorboard.server.plugin import ScaleWatchPlugin

__all__ = ["ScaleWatchLoader"]

_log = logging.getLogger("scalewatch")


@final
class ScaleWatchLoader(base_plugin.TBLoader):  # type: ignore[misc]
    """Defines the flags and makes the plugin; with anything missing TensorBoard goes on without it."""

    def define_flags(self, parser: argparse.ArgumentParser) -> None:
        """Add `--scalewatch_law` and `--scalewatch_cache`."""
        group = parser.add_argument_group(NAME)
        group.add_argument(
            "--scalewatch_law",
            metavar="PATH",
            default="",
            help="A law file, as `scalewatch fit` writes it, to hold every run against.",
        )
        group.add_argument(
            "--scalewatch_cache",
            metavar="DIR",
            default="",
            help="Where replays of finished runs are kept; `off` for nowhere. (default: scalewatch in the user's cache "
            "folder)",
        )

    def fix_flags(self, flags: argparse.Namespace) -> None:
        """Have TensorBoard keep every summary of ours, unless the user said how many."""
        samples = getattr(flags, "samples_per_plugin", None)
        if isinstance(samples, dict):
            samples.setdefault(NAME, 0)

    def load(self, context: base_plugin.TBContext) -> ScaleWatchPlugin | None:
        """Return the plugin; None, and one line in the log, where it cannot be."""
        try:
            from scalewatch_tensorboard.server.plugin import ScaleWatchPlugin

            return ScaleWatchPlugin(context)
        except (ImportError, OSError, ValueError, AttributeError) as fault:
            _log.warning("scalewatch: its tab in TensorBoard is off (%s: %s).", type(fault).__name__, fault)
            return None
