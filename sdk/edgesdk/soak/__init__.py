"""Chaos as a command: a real agent, real cameras and a real broker, broken on purpose, and judged by what the agent did."""
