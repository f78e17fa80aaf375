"""The pictures on which INT8 ranges are measured: read, cleaned of duplicates, and chosen to differ."""
