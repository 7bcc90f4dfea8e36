"""Who is told: one receiver a file."""
