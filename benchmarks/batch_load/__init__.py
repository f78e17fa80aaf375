"""The pieces of `batches.py`."""
