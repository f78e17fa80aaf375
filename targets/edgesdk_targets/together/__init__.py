"""Several models that answer as one: what a variant says of them, and the session that runs them."""
