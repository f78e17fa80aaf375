"""How a device becomes one of the fleet: an authority of our own, tokens used once, certificates that name a device."""
