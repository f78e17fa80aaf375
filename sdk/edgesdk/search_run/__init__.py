"""A run of a search: the trials of `search`, with the training, the passes, the conversion and the measuring they ask for."""
