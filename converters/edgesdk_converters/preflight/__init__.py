"""What can be told of a model before anything is converted."""
