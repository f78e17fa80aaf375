"""Pictures as numbers: classical features, or what a model sees; choosing among them, and a map."""
