"""Points of a picture in pixels: those of places, and the one of each object that counts."""

from __future__ import annotations

import numpy as np

from edgesdk_agent.tracking.tracks import Tracks
from edgesdk_agent.zones.settings import Anchor, Place, Point
from edgesdk_targets.tensor import Array


def in_pixels(place: Place, points: tuple[Point, ...], size: tuple[int, int]) -> Array:
    """Return points of a place as (P, 2) float64 pixels of a picture of this width and height."""
    placed = np.array(points, np.float64)
    return placed * size if place.coordinates == "relative" else placed


def anchors(boxes: Array, anchor: Anchor) -> Array:
    """Return the point of each box that counts, (N, 2) float64; boxes (N, 4) x1 y1 x2 y2."""
    points = np.empty((len(boxes), 2))
    points[:, 0] = (boxes[:, 0] + boxes[:, 2]) / 2
    points[:, 1] = boxes[:, 3] if anchor == "foot" else (boxes[:, 1] + boxes[:, 3]) / 2
    return points


def of_labels(tracks: Tracks, labels: frozenset[str]) -> Array:
    """Tell which objects are of these classes, (T,) bool; all where none are given."""
    if not labels:
        return np.ones(len(tracks), bool)
    return np.array([tracks.label(row) in labels for row in range(len(tracks))], bool)
