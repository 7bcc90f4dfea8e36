"""What a run may have done to it by itself, when, and with what limits; nothing here knows a framework."""
