"""Find cameras, and say what one delivers or why it does not."""
