"""Sets of pictures before a model is made of them: checked, cleaned, compressed, divided, described, chosen from."""
