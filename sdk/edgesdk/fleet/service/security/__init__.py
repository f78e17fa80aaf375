"""Who asks, what they may, and how the answer is protected."""
