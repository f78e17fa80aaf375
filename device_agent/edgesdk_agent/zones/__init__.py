"""Places in the picture: who is in them, for how long, and who crosses which line."""
