"""What is counted, in one registry, and shown in Prometheus' text format."""
