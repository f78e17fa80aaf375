"""The golden set: pictures and answers by which a device proves itself."""
