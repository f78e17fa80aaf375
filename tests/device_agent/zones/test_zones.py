"""Zones and lines: who is where, since when, and who crossed, whatever boxes waver."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk_agent.tracking.tracks import Tracks, nothing_tracked
from edgesdk_agent.zones.line import Line
from edgesdk_agent.zones.polygon import Polygon
from edgesdk_agent.zones.zone import Zone
from edgesdk_targets.errors import InputError

SIZE = (1000, 500)


def tracks(at: float, *points: tuple[int, float, float], unseen: tuple[int, ...] = (), ended: tuple[int, ...] = (),
           born: tuple[float, float, float] | None = None) -> Tracks:  # fmt: skip
    """Objects of 40 x 80 pixels by number and foot point; `born` is when and where they were seen first."""
    ids = np.array([p[0] for p in points], np.int64)
    boxes = np.array([[x - 20, y - 80, x + 20, y] for _, x, y in points], float).reshape(-1, 4)
    seen = ~np.isin(ids, unseen)
    born_at, *born_foot = born or (at, 0, 0)
    born_box = np.array([[born_foot[0] - 20, born_foot[1] - 80, born_foot[0] + 20, born_foot[1]]])
    return Tracks(
        at, ids, boxes, np.ones(len(ids), np.float32), ids % 2, seen, np.where(seen, at, at - 0.2),
        np.full(len(ids), born_at), np.repeat(born_box, len(ids), 0) if born else boxes, np.zeros(0, np.int64), ended,
        ("even", "odd"),
    )  # fmt: skip


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_a_point_is_inside_where_two_ways_to_tell_agree(points: list[tuple[float, float]]) -> None:
    """A star with a notch: against the sum of the triangles' signs, point by point."""
    corners = np.array([(10, 10), (90, 20), (50, 45), (95, 90), (20, 80), (40, 50)], float)

    def winds(x: float, y: float) -> bool:
        inside = False
        for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
                inside = not inside
        return inside

    assert Polygon(corners).contains(np.array(points)).tolist() == [winds(x, y) for x, y in points]


class TestZone:
    def zone(self, **fields: object) -> Zone:
        return Zone(SIZE, **{"name": "door", "polygon": [(0.2, 0), (0.6, 0), (0.6, 1), (0.2, 1)], **fields})

    def test_a_stay_counts_from_the_first_frame_inside_to_the_first_outside(self) -> None:
        zone, events = self.zone(), []
        for index in range(70):
            zone.update(tracks(index / 10, (1, 10.0 * index, 300)))
            events += [(index, "in")] * len(zone.entered) + [(index, stay) for stay in zone.left]
        (entered, _), (left, stay) = events
        # x is 200 at frame 20, and 600 at frame 60; it is believed two frames later.
        assert (entered, left) == (22, 62)
        assert (stay.since, stay.until) == (2.0, 6.0)
        assert stay.seconds == pytest.approx(4.0)
        assert stay.label == "odd"

    @pytest.mark.parametrize(("inertia", "turns"), [(3, 0), (1, 10)])
    def test_a_box_that_wavers_at_the_edge_neither_enters_nor_leaves(self, inertia: int, turns: int) -> None:
        """Negative control: without inertia the same wavering counts each time."""
        zone, counted = self.zone(inertia_frames=inertia), 0
        for index in range(11):
            zone.update(tracks(index / 10, (1, 190 if index % 2 == 0 else 210, 300)))
            counted += len(zone.entered) + len(zone.left)
        assert counted == turns

    def test_the_time_before_an_object_was_known_to_be_one_counts(self) -> None:
        zone = self.zone()
        for at in (1.0, 1.1):
            zone.update(tracks(at, (1, 300, 300), born=(0.9, 300, 300)))
        assert [stay.since for stay in zone.stays] == [0.9]

    def test_an_object_that_is_not_seen_stays_for_a_while(self) -> None:
        zone = self.zone(inertia_frames=1, unseen_s=0.3)
        zone.update(tracks(1.0, (1, 300, 300)))
        zone.update(tracks(1.2, (1, 300, 300), unseen=(1,)))
        assert len(zone) == 1
        zone = self.zone(inertia_frames=1, unseen_s=0.1)
        zone.update(tracks(1.0, (1, 300, 300)))
        zone.update(tracks(1.2, (1, 300, 300), unseen=(1,)))
        assert (len(zone), zone.left[0].until) == (0, 1.2)

    def test_who_is_followed_no_more_has_left(self) -> None:
        zone = self.zone(inertia_frames=1)
        zone.update(tracks(1.0, (1, 300, 300), (2, 300, 300)))
        zone.update(tracks(1.5, (2, 300, 300), ended=(1,)))
        assert [stay.id for stay in zone.left] == [1]
        zone.update(nothing_tracked(2.0))
        assert (len(zone), [stay.id for stay in zone.left]) == (0, [2])

    def test_anchor_labels_and_pixels(self) -> None:
        low = [(0, 0.5), (1, 0.5), (1, 1), (0, 1)]
        foot, centre = (self.zone(polygon=low, inertia_frames=1, anchor=anchor) for anchor in ("foot", "centre"))
        for zone in (foot, centre):
            zone.update(tracks(0.0, (1, 300, 270), (2, 300, 270)))
        assert (len(foot), len(centre)) == (2, 0)
        odd = self.zone(polygon=[(0, 0), (900, 0), (900, 400)], coordinates="pixels", labels=["odd"], inertia_frames=1)
        odd.update(tracks(0.0, (1, 500, 200), (2, 500, 200)))
        assert [stay.id for stay in odd.stays] == [1]
        assert (odd.holds(1), odd.holds(2)) == (True, False)

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"polygon": [(0, 0), (1, 1)]}, "polygon"),
            ({"polygon": [(0, 0), (1, 1), (0, 0)]}, "three different corners"),
            ({"polygon": [(0, 0), (640, 0), (640, 400)]}, "coordinates: pixels"),
            ({"name": "my door"}, "name"),
            ({"inertia": 3}, "inertia_frames"),
        ],
    )
    def test_a_wrong_zone_is_refused(self, fields: dict[str, object], said: str) -> None:
        with pytest.raises(InputError) as caught:
            self.zone(**fields)
        assert said in f"{caught.value.message} {caught.value.hint}"


class TestLine:
    def line(self, **fields: object) -> Line:
        return Line(SIZE, **{"name": "gate", "points": [(0.5, 0), (0.5, 1)], **fields})

    def walk(self, line: Line, *xs: float, y: float = 300) -> tuple[int, int]:
        for index, x in enumerate(xs):
            line.update(tracks(index / 10, (1, x, y)))
        return line.counts["in"], line.counts["out"]

    def test_directions(self) -> None:
        assert self.walk(self.line(), *range(400, 620, 20)) == (0, 1)
        assert self.walk(self.line(), *range(600, 380, -20)) == (1, 0)
        assert self.walk(self.line(points=[(0.5, 1), (0.5, 0)]), *range(400, 620, 20)) == (1, 0)

    def test_wavering_on_the_line_counts_once_or_not_at_all(self) -> None:
        """Negative control: without a margin each waver counts."""
        waver = [400, 470, *[495, 505] * 20, 540, 600]
        assert self.walk(self.line(), *waver) == (0, 1)
        assert self.walk(self.line(), 400, *[495, 505] * 20, 400) == (0, 0)
        assert sum(self.walk(self.line(margin=0), *waver)) == 39

    def test_to_and_fro_counts_each_way(self) -> None:
        assert self.walk(self.line(), 400, 600, 400, 600) == (1, 2)

    def test_dropped_frames_do_not_hide_a_crossing_and_the_way_matters(self) -> None:
        assert self.walk(self.line(), 100, 900) == (0, 1)
        half = self.line(points=[(0.5, 0), (0.5, 0.5)])
        assert self.walk(half, 400, 600, y=400) == (0, 0)
        line = self.line(points=[(0.5, 0), (0.5, 0.5)])
        line.update(tracks(0.0, (1, 400, 240)))
        line.update(tracks(0.1, (1, 600, 400)))
        assert sum(line.counts.values()) == 0

    def test_who_crossed_before_it_was_known_to_be_an_object_counts(self) -> None:
        line = self.line()
        line.update(tracks(0.1, (1, 530, 300), born=(0.0, 460, 300)))
        assert [(c.id, c.direction, c.label) for c in line.crossed] == [(1, "out", "odd")]

    def test_where_an_object_is_only_expected_it_crosses_nothing(self) -> None:
        line = self.line()
        line.update(tracks(0.0, (1, 400, 300)))
        line.update(tracks(0.1, (1, 600, 300), unseen=(1,)))
        assert line.crossed == []
        line.update(tracks(0.2, (1, 620, 300)))
        assert len(line.crossed) == 1

    def test_labels_and_wrong_lines(self) -> None:
        line = self.line(labels=["even"])
        assert self.walk(line, 400, 600) == (0, 0)
        with pytest.raises(InputError, match="same"):
            self.line(points=[(0.5, 0), (0.5, 0)])
