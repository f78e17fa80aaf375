"""Verify a bundle: its golden set, and on request its accuracy, on this machine or on an emulated board."""
