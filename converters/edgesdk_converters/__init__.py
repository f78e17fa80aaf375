"""Converters: a trained model in, an artifact for one kind of hardware out."""
