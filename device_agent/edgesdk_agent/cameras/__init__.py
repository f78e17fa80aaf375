"""Where pictures come from: one protocol, one file a kind of camera."""
