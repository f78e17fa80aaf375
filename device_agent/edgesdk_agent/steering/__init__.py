"""How a running agent is changed from outside: settings on trial, a bundle that takes over, cameras that pause."""
