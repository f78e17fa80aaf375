"""Zones and lines, as data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from edgesdk_agent.tracking.settings import Settings

Anchor = Literal["foot", "centre"]
Direction = Literal["in", "out"]
Point = tuple[float, float]
PlaceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Label = Annotated[str, Field(min_length=1, max_length=256)]


class Place(Settings):
    """A zone or a line.

    Attributes:
        coordinates: `relative` points are 0..1 of width and height, from the picture's upper left corner.
        anchor: the point of an object that counts: `foot`, the middle of its box's lower edge, is where people and cars
            touch the ground; `centre` is right where the camera looks down.
        labels: only objects of these classes; all unless given.
        cameras: only pictures of these cameras; all unless given.
    """

    name: PlaceName
    coordinates: Literal["relative", "pixels"] = "relative"
    anchor: Anchor = "foot"
    labels: tuple[Label, ...] = ()
    cameras: tuple[str, ...] = ()

    def check_points(self, points: tuple[Point, ...]) -> None:
        """Raise ValueError if points cannot be meant so."""
        beyond = [p for p in points if self.coordinates == "relative" and not all(-1 <= c <= 2 for c in p)]
        if beyond:
            raise ValueError(f"the point {list(beyond[0])} is far outside 0..1; for pixels write `coordinates: pixels`")


class ZoneSettings(Place):
    """A zone.

    Attributes:
        polygon: its corners, three or more.
        inertia_frames: an object has entered or left when it was inside or outside in so many frames in a row.
        unseen_s: an object that is not seen stays so long where it is expected, and is then taken to be outside.
    """

    polygon: tuple[Point, ...] = Field(min_length=3, max_length=64)
    inertia_frames: int = Field(default=3, ge=1, le=100)
    unseen_s: float = Field(default=0.5, ge=0, le=3600)

    @field_validator("polygon")
    @classmethod
    def _has_an_area(cls, polygon: tuple[Point, ...]) -> tuple[Point, ...]:
        if len(set(polygon)) < 3:
            raise ValueError("has fewer than three different corners")
        return polygon

    @model_validator(mode="after")
    def _points_fit(self) -> ZoneSettings:
        self.check_points(self.polygon)
        return self


class LineSettings(Place):
    """A line.

    Attributes:
        points: both ends. Who stands at the first and looks to the second sees `in` go from the left to the right, and
            `out` from the right to the left.
        margin: an object is on a side when it is so far from the line, in parts of the mean of its width and height.
    """

    points: tuple[Point, Point]
    margin: float = Field(default=0.1, ge=0, le=10)

    @model_validator(mode="after")
    def _is_a_line(self) -> LineSettings:
        if self.points[0] == self.points[1]:
            raise ValueError("both points are the same")
        self.check_points(self.points)
        return self
