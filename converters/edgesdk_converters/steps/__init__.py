"""The conversion steps: one file each, named `<target>_from_<source>`; each imports its framework when it runs."""
