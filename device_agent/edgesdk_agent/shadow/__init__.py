"""A candidate beside the model that runs, on a small share of its frames: does it do as well, before anything depends on it?"""
