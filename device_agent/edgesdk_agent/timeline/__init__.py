"""Where the time of each frame goes, recorded while the pipeline runs."""
