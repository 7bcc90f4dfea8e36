"""scalewatch as a tab of TensorBoard: `tensorboard --logdir RUNS` finds it by its entry point.

Imported by every start of TensorBoard, with or without runs of ours: so it takes the standard library and
TensorBoard's own base class, and nothing else. What is heavy is imported by a thread once the server is up.
"""

from scalewatch_tensorboard.server.loader import ScaleWatchLoader

__all__ = ["ScaleWatchLoader"]
