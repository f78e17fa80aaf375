"""The agent's own program on this device: virtual environments beside the slots, of signed wheels, proven before they run."""
