"""The pieces of `models_table.py`."""
