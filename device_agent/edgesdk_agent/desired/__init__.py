"""What a device shall become, retained at the broker, and what it says of how far it is."""
