"""How the agent does: facts, one small check a question, the watchdog, and who is told."""
