"""What watches a run on the process that reads it, whatever loop trains: journal, terminal, alerts, TensorBoard."""
