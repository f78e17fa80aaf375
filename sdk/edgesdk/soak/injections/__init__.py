"""One fault a file: how it is brought about for real, and how it is mended."""
