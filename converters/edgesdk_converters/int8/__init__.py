"""INT8: what it is calibrated on, and how much of a model stays in float."""
