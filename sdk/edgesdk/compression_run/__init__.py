"""A run of a recipe: the passes of `compression`, with the pictures, the training, the gate and the runtimes they ask for."""
