"""The parts of the benchmark, each a question with its rows and its goals."""
