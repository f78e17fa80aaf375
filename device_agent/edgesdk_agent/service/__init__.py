"""The agent as a service of the device: systemd's unit, and how it is put there and taken away."""
