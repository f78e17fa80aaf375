"""The ground of edgesdk: what workstation, device and fleet agree on.

Targets, bundles, sessions, preprocessing, results and messages live here; nothing in this package imports
another package of edgesdk, a training framework or a converter.
"""
