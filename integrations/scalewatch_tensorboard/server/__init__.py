"""What TensorBoard meets: flags, routes, answers, files."""

__all__ = ["NAME"]

#: Our own name among TensorBoard's plugins.
NAME = "scalewatch"
