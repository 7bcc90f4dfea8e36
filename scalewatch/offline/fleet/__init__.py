"""Very many runs: one row of verdict a run and look in parquet, asked with SQL and told to Prometheus.

What is kept of a run is a row, and what watches it is a monitor of constant size: so nothing of our own is distributed.
Whoever has several machines gives the reading to an engine that is there (`joblib`'s backends), and the rows lie in one
folder that each collector writes files of its own into.
"""
