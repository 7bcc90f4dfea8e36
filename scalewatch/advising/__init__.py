"""What to do about a run: advice from its incidents, its forecast and its goals, and which runs of a sweep to stop."""
