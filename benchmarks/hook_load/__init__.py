"""The pieces of `hooks.py` and `switch_interval.py`."""
