"""What is known of each run of the log folder."""
