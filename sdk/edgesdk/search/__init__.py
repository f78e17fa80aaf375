"""Search: a space of settings as data, the trials that optuna proposes in it, and what follows from them."""
