"""Make a trained torch model smaller: passes, recipes, and how what they did is written down as data."""
