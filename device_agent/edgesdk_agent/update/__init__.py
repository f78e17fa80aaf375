"""Another model, or another agent, without fear: two slots, a launcher that owns the switch, and the rules between them."""
