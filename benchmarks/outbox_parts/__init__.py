"""What `benchmarks/outbox.py` measures, one file a question."""
