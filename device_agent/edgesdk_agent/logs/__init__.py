"""The agent's log: as text or as one JSON object a line, without secrets, and with its last errors remembered."""
