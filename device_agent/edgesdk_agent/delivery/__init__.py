"""How results reach the user's own code without it holding the pipeline."""
