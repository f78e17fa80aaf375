"""The pipeline against its limit and its peers: programs that are measured, and how they take turns."""
