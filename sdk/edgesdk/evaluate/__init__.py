"""How well a model answers on labelled pictures, each figure with its interval."""
