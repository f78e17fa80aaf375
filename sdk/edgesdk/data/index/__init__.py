"""Which pictures a dataset has, with what labels: one file for each layout."""
