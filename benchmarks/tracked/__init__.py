"""The parts of benchmarks/tracking.py."""
