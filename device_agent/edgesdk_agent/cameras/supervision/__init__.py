"""Whether a live camera does what it should: rules apart from reading, and the camera that follows them."""
