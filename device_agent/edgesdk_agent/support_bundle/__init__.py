"""What helps to find a fault from afar, in one zip, without secrets."""
