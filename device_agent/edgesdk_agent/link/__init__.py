"""Reports on their way: numbered, queued, and delivered to a broker by one connection."""
