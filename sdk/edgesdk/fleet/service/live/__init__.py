"""What is seen as it happens: server-sent events, from the store and from the broker."""
