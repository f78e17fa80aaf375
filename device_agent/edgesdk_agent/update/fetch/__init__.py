"""A release from elsewhere to this disk: in chunks that are checked as they come, and go on where they were cut off."""
