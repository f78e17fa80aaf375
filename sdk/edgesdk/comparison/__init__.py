"""Models side by side: all figures of each, timed by turns, within limits; and which one to take."""
