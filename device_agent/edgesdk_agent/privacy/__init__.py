"""What must not be seen is gone before a picture leaves memory: masks, and blurred objects."""
