"""The ways to each family of runtimes: which steps, with which options, and what the artifact's borders are."""
