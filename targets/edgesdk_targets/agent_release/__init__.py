"""A release of the agent's own program: what an environment is made of on a device, signed as bundles are."""
