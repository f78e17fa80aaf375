"""The live picture with what the model found, as a page for whoever holds the token."""
