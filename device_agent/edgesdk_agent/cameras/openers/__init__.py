"""From one kind of source to its open camera; what a kind needs is imported when it is opened."""
