"""Several models made one: a cascade with its calibrated threshold, an average, a vote."""
