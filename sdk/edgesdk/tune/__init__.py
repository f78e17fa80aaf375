"""What tuning found, for people: rows and a page."""
