"""The bundle: one file that carries a model to every device, and proves what it is."""
