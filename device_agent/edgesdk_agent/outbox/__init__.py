"""The durable outbox: reports wait on disk until a collector has them; see docs/decisions/0010."""
