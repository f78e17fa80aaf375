"""What a recorded timeline says: where each frame's time went, as a table, a drawing, and trace events."""
