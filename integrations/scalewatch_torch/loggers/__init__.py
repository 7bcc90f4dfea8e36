"""Where people log: what is found, forecast and concluded of a run goes there too, in the background."""
