"""How fast a variant is on this host, each measured in a process of its own."""
