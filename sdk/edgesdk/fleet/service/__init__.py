"""The fleet's HTTP service: API, live events, metrics, and who may do what."""
