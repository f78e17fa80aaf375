"""How the field's exporters lay out a detector's outputs: one file a family, `registry.HEADS` names them."""
