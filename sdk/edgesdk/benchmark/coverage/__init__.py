"""What a runtime made of a model, node by node: which precision, on what, and for how long."""
