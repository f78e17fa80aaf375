"""The golden set: a few pictures with known answers in every bundle, by which a device proves itself."""
