"""Training: the loop in which a compressed model recovers, and in which reference models are made."""
