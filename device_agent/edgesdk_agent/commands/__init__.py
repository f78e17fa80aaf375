"""What may be asked of this device by a message: taken at the border, run in a thread of its own, answered by id."""
