"""Each version of the tables, as steps from the one before; `version` runs them."""
