"""Rules on one camera's scene, with objects that are put where they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgesdk_agent.cameras.camera import CameraInfo
from edgesdk_agent.events.change_filter import ChangeFilter
from edgesdk_agent.events.event import SceneEvent
from edgesdk_agent.events.message import event_data
from edgesdk_agent.events.scene import Scene
from edgesdk_agent.events.scenes import Scenes
from edgesdk_agent.events.settings import SceneSettings
from edgesdk_agent.frame import FrameResult
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import Event, decode, encode
from edgesdk_targets.messages.scene_event import SceneEventData
from edgesdk_targets.results import Chained, Classification, Detections, Embedding, Result, Text

SIZE = (1000, 500)
DOOR = {"name": "door", "polygon": [(0.2, 0), (0.6, 0), (0.6, 1), (0.2, 1)], "inertia_frames": 1, "unseen_s": 0}


def objects(*feet: float, label: int = 0) -> Detections:
    """Objects of 40 x 80 with their feet at (x, 300)."""
    boxes = np.array([[x - 20, 220, x + 20, 300] for x in feet], np.float32).reshape(-1, 4)
    return Detections(boxes, np.full(len(feet), 0.9, np.float32), np.full(len(feet), label), ("cat", "dog"))


def classified(label: int, score: float = 0.9) -> Classification:
    return Classification(np.array([label, 1 - label]), np.array([score, 1 - score], np.float32), ("shut", "open"))


def scene(*rules: dict[str, Any], **fields: Any) -> Scene:
    line = {"name": "gate", "points": [(0.5, 0), (0.5, 1)]}
    return Scene(SIZE, **{"zones": [DOOR], "lines": [line], "rules": rules, "summary_interval_s": 0, **fields})


def run(watched: Scene, of: Callable[[float], Result], until: float, fps: float = 10) -> list[SceneEvent]:
    told = []
    for index in range(round(until * fps)):
        told += watched.update(of(index / fps), at=index / fps, wall=1e9 + index / fps)
    return told


def test_crossings_are_told_with_their_counts_and_only_those_that_are_asked_for() -> None:
    watched = scene(
        {"name": "both", "kind": "crossing", "line": "gate"},
        {"name": "in", "kind": "crossing", "line": "gate", "directions": ["in"]},
        {"name": "dogs", "kind": "crossing", "line": "gate", "labels": ["dog"]},
    )
    told = run(watched, lambda at: objects(400 + 60 * at if at < 5 else 1000 - 60 * at), 10)
    assert [(e.rule, e.after["direction"]) for e in told] == [("both", "out"), ("both", "in"), ("in", "in")]
    assert told[1].after["counts"] == {"in": 1, "out": 1}
    assert watched.rules["both"].summary() == {"counts": {"in": 1, "out": 1}, "labels": {"cat": 2}}


def test_occupancy_has_to_last_both_ways() -> None:
    rule = {"name": "full", "kind": "occupancy", "zone": "door", "at_least": 2, "for_s": 1}
    feet = {0: (300,), 1: (300, 400), 3: (300, 400, 500), 4: (300,), 4.5: (300, 400), 6: (300,)}

    def at_time(at: float) -> Result:
        return objects(*feet[max(begin for begin in feet if begin <= at)])

    told = run(scene(rule, tracker={"lost_s": 0.1, "confirm_frames": 1}), at_time, 9)
    assert [(e.phase, e.after["count"], e.after["peak"]) for e in told if e.phase != "update"] == [
        ("new", 2, 2), ("end", 1, 3)
    ]  # fmt: skip
    # It began when there were two, not when that had lasted; half a second with one does not end it.
    assert told[0].started_at == pytest.approx(1e9 + 1.0, abs=0.11)
    assert told[-1].duration_s == pytest.approx(6.0, abs=0.3)


def test_who_dwells_and_who_only_walks_through() -> None:
    rule = {"name": "loiter", "kind": "dwell", "zone": "door", "seconds": 3}
    watched = scene(rule)
    walker = run(watched, lambda at: objects(100 + 300 * at), 3)
    stander = run(scene(rule), lambda at: objects(min(300, 100 + 100 * at) if at < 8 else 100 * at - 500), 13)
    assert walker == []
    assert watched.rules["loiter"].summary()["stays"] == 1
    assert [e.phase for e in stander] == ["new", "end"]
    assert stander[0].started_at == pytest.approx(1e9 + 1.0, abs=0.11)
    assert stander[0].occurred_at == pytest.approx(1e9 + 4.0, abs=0.11)
    assert stander[1].after["stayed_s"] == pytest.approx(10.0, abs=0.2)


def test_a_queue_is_who_waits_not_who_passes() -> None:
    queue = {"name": "queue", "kind": "queue", "zone": "door", "wait_s": 2, "at_least": 2}
    occupied = {"name": "occupied", "kind": "occupancy", "zone": "door", "at_least": 3}

    def at_time(at: float) -> Result:
        return objects(500, 580, 210 + 115 * (at % 2))

    told = run(scene(queue, occupied), at_time, 6)
    assert [(e.phase, e.after["length"]) for e in told if e.rule == "queue"] == [("new", 2)]
    assert any(e.rule == "occupied" for e in told)


def test_objects_are_told_from_coming_to_going_and_by_zones() -> None:
    told = run(scene({"name": "all", "kind": "object"}), lambda at: objects(*([100 + 50 * at] if at < 14 else [])), 16)
    assert [(e.phase, e.after["zones"]) for e in told] == [
        ("new", []), ("update", ["door"]), ("update", []), ("end", [])
    ]  # fmt: skip
    assert len({e.id for e in told}) == 1
    inside = run(scene({"name": "in", "kind": "object", "zones": ["door"]}), lambda at: objects(100 + 50 * at), 12)
    assert [e.phase for e in inside] == ["new", "update"]
    assert run(scene({"name": "dogs", "kind": "object", "labels": ["dog"]}), lambda at: objects(100), 3) == []


def test_a_label_changes_when_the_new_one_stands() -> None:
    rule = {"name": "state", "kind": "label", "hold_s": 1.0}
    course = [(0, 0, 0.9), (3, 1, 0.9), (3.5, 0, 0.9), (5, 1, 0.9), (5.5, 0, 0.4), (5.6, 1, 0.9)]

    def at_time(at: float) -> Result:
        _, label, score = max(step for step in course if step[0] <= at)
        return classified(label, score)

    told = run(scene(rule, zones=[], lines=[]), at_time, 8)
    # Half a second of another label changes nothing; an unsure answer does not interrupt.
    assert [(e.before and e.before["label"], e.after["label"]) for e in told] == [(None, "shut"), ("shut", "open")]
    assert told[1].occurred_at == pytest.approx(1e9 + 6.0, abs=0.11)
    texts = scene(rule, zones=[], lines=[]).update
    assert not texts(Text("12", 0.9), at=0.0)
    assert [e.after["label"] for e in texts(Text("12", 0.9), at=1.5)] == ["12"]


def test_summaries_come_at_their_interval_and_begin_anew() -> None:
    rules = [{"name": "full", "kind": "occupancy", "zone": "door", "at_least": 9}, {"name": "all", "kind": "object"}]
    watched = scene(*rules, summary_interval_s=5)
    told = run(watched, lambda at: objects(*([300, 400] if at < 5.05 else [300])), 11.05)
    first, second = [e for e in told if e.kind == "summary"]
    assert first.after["seconds"] == pytest.approx(5.0)
    assert first.after["rules"]["full"]["count"] == {"now": 2, "min": 2, "mean": 2.0, "max": 2}
    assert first.after["rules"]["all"]["objects"] == {"cat": 2}
    assert second.after["rules"]["full"]["count"]["min"] == 1
    assert second.after["rules"]["full"]["count"]["mean"] == pytest.approx(1.0, abs=0.25)
    assert second.after["rules"]["all"]["objects"] == {}
    assert [e.kind for e in watched.close()] == ["object", "object", "summary"][-2:]


def test_places_and_rules_of_other_cameras_are_left_out() -> None:
    rules = ({"name": "g", "kind": "crossing", "line": "gate"}, {"name": "o", "kind": "object", "cameras": ["yard"]})
    lines = [{"name": "gate", "points": [(0.5, 0), (0.5, 1)], "cameras": ["yard"]}]
    assert set(Scene(SIZE, camera="hall", lines=lines, rules=rules).rules) == set()
    assert set(Scene(SIZE, camera="yard", lines=lines, rules=rules).rules) == {"g", "o"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rules": [{"name": "a", "kind": "dwell", "zone": "dor", "seconds": 1}]}, "there is: door"),
        ({"rules": [{"name": "a", "kind": "object"}, {"name": "a", "kind": "object"}]}, "given to two rules"),
        ({"rules": [{"name": "a", "kind": "dwell", "zone": "door"}]}, "seconds"),
        ({"rulez": []}, "rules"),
    ],
)
def test_wrong_rules_are_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        Scene(SIZE, zones=[DOOR], **fields)
    assert said in f"{caught.value.message} {caught.value.hint}"


def test_an_event_travels_as_a_message_and_says_its_schema() -> None:
    (told,) = scene({"name": "all", "kind": "object"}).update(objects(300), at=0.0, wall=1e9)
    event = Event(node="local.d", at=told_at(), epoch="e", seq=1, name="scene_object", data=event_data(told))
    read = decode("edgesdk/1/local.d/up/event", encode(event).payload)
    assert isinstance(read, Event)
    body = SceneEventData.model_validate_json(str(read.model_dump_json()).partition('"data":')[2][:-1])
    assert (body.schema_id, body.id, body.phase, body.after) == ("scene-event/1", told.id, "new", dict(told.after))


def told_at() -> Any:
    from edgesdk_agent.link.presence import utc

    return utc(1e9)


class TestChangeFilter:
    def tracked(self, *feet: float, ids: tuple[int, ...]) -> Detections:
        found = objects(*feet)
        return Detections(found.boxes, found.scores, found.class_ids, found.names, np.array(ids))

    def test_news_is_who_comes_goes_and_moves(self) -> None:
        changes = ChangeFilter(moved=0.5, silence_s=10)
        steps = [
            (self.tracked(100, 200, ids=(1, 2)), True),
            (self.tracked(103, 201, ids=(1, 2)), False),
            (self.tracked(201, 103, ids=(2, 1)), False),
            (self.tracked(103, 201, 500, ids=(1, 2, 0)), False),
            (self.tracked(140, 201, ids=(1, 2)), True),
            (self.tracked(140, ids=(1,)), True),
            (self.tracked(ids=()), True),
            (self.tracked(ids=()), False),
        ]
        assert [changes.is_news(result, at=index / 10) for index, (result, _) in enumerate(steps)] == [
            w for _, w in steps
        ]
        assert changes.unchanged == 4
        assert changes.is_news(self.tracked(ids=()), at=11.0)

    def test_an_answer_that_is_given_once_is_no_news(self) -> None:
        changes = ChangeFilter(moved=0.5, silence_s=10)
        labels = [0, 0, 1, 0, 1, 1, 1]
        assert [changes.is_news(classified(label), at=i / 10) for i, label in enumerate(labels)] == [
            True, False, False, False, False, True, False
        ]  # fmt: skip

    def test_vectors_always_say_something_new(self) -> None:
        changes = ChangeFilter(moved=0.5, silence_s=10)
        assert all(changes.is_news(Embedding(np.ones(3)), at=at) for at in (0.0, 0.1))


class OneCamera:
    """A camera that only describes itself."""

    def __init__(self, *, live: bool = True, fps: float | None = 10.0, size: tuple[int, int] = SIZE) -> None:
        self.info = CameraInfo(*size, fps, live, "test")

    def read(self, out: object) -> None:
        return None

    def close(self) -> None:
        """Nothing to close."""


class TestScenes:
    def frame(self, seq: int, result: Result, at: float | None = None) -> FrameResult:
        at = seq / 10 if at is None else at
        return FrameResult("door", seq, at, 1e9 + at, 0.0, 0.0, 0.0, result)

    def watch(self, camera: OneCamera | None = None, **fields: Any) -> tuple[Scenes, list[SceneEvent], list[float]]:
        told: list[SceneEvent] = []
        clock = [0.0]
        settings = SceneSettings.model_validate(
            {"zones": [DOOR], "rules": [{"name": "all", "kind": "object", "snapshot": True}], **fields}
        )
        scenes = Scenes(settings, {"door": camera or OneCamera()}, told.append, clock=lambda: clock[0])
        return scenes, told, clock

    def test_results_get_the_numbers_of_their_objects(self) -> None:
        scenes, _, _ = self.watch()
        found = scenes.follow(self.frame(0, objects(100, 300))).result
        assert isinstance(found, Detections)
        assert found.track_ids is not None
        assert found.track_ids.tolist() == [1, 2]
        assert found.to_json()["objects"][1]["track_id"] == 2  # type: ignore[index]
        chained = scenes.follow(self.frame(1, Chained(objects(100), (None,)))).result
        assert isinstance(chained, Chained)
        assert chained.detections.track_ids is not None
        embedding = Embedding(np.ones(2))
        assert scenes.follow(self.frame(2, embedding)).result is embedding

    def test_a_fault_costs_no_result_and_is_counted(self) -> None:
        scenes, _, _ = self.watch()
        broken = self.frame(0, Detections(np.zeros((1, 4)), np.array(["a"]), np.zeros(1, np.int64)))
        assert scenes.follow(broken) is broken
        assert scenes.counts()["failed"] == 1

    def test_a_films_time_is_its_own_and_a_cameras_that_of_capture(self) -> None:
        dwell = [{"name": "stay", "kind": "dwell", "zone": "door", "seconds": 2}]
        film, told, _ = self.watch(OneCamera(live=False), rules=dwell)
        for seq in range(25):
            film.follow(self.frame(seq, objects(300), at=seq / 1000))
        assert [(e.phase, e.frame) for e in told] == [("new", 20)]
        live, told, _ = self.watch(rules=dwell)
        for seq in range(25):
            live.follow(self.frame(seq, objects(300), at=seq / 1000))
        assert told == []

    def test_a_camera_that_stands_still_holds_nobody(self) -> None:
        scenes, told, clock = self.watch()
        clock[0] = 5.0
        scenes.follow(self.frame(0, objects(300)))
        clock[0] = 5.5
        scenes.let_time_pass()
        assert [e.phase for e in told] == ["new"]
        clock[0] = 7.0
        scenes.let_time_pass()
        scenes.let_time_pass()
        assert [e.phase for e in told] == ["new", "end"]
        scenes.follow(self.frame(100, objects(300)))
        assert [e.phase for e in told] == ["new", "end", "new"]

    def test_pictures_of_another_size_are_another_scene(self) -> None:
        camera = OneCamera()
        scenes, told, _ = self.watch(camera, summary_interval_s=0)
        scenes.follow(self.frame(0, objects(300)))
        camera.info = CameraInfo(500, 500, 10.0, True, "test")
        scenes.follow(self.frame(1, objects(150)))
        assert [(e.phase, e.after["zones"]) for e in told] == [("new", ["door"]), ("end", ["door"]), ("new", ["door"])]
        assert scenes.counts() == {"told": 3, "held_back": 0, "unchanged": 0}

    def test_the_picture_of_an_event_is_asked_for_once_and_its_failure_loses_nothing(self) -> None:
        scenes, told, _ = self.watch()
        asked: list[tuple[str, float, bool, bool]] = []

        def keep(event: SceneEvent, captured_at: float, *, snapshot: bool, clip: bool) -> SceneEvent:
            asked.append((event.phase, captured_at, snapshot, clip))
            if len(asked) == 2:
                raise OSError("disk full")
            return replace(event, snapshot=f"picture-{event.id}")

        scenes.evidence = keep
        frame = self.frame(0, objects(300, 700))
        scenes.follow(frame)
        scenes.close()
        assert asked[:2] == [("new", frame.captured_at, True, True)] * 2, "by the frame's own time, not by now"
        assert {phase for phase, *_ in asked[2:]} == {"end", "once"}
        assert [e.snapshot for e in told if e.phase == "new"] == [f"picture-{told[0].id}", ""]

    def test_reports_on_change(self) -> None:
        reported: list[int] = []
        scenes, _, _ = self.watch(report="changes")
        report = scenes.reported_when_new(lambda frame: reported.append(frame.seq))
        for seq in range(20):
            report(scenes.follow(self.frame(seq, objects(300 if seq < 10 else 600))))
        # One went, and another one came, which takes two frames to be known as one.
        assert reported == [0, 10, 11]
        assert scenes.counts()["unchanged"] == 17

    def test_other_rules_hold_from_the_next_frame_on_and_what_did_not_change_goes_on(self) -> None:
        scenes, told, _ = self.watch(
            rules=[{"name": "seen", "kind": "object"}, {"name": "full", "kind": "occupancy", "zone": "door"}],
            summary_interval_s=0,
        )
        first = scenes.follow(self.frame(0, objects(300))).result
        before = scenes.settings
        assert {(e.rule, e.phase) for e in told} == {("seen", "new"), ("full", "new")}
        told.clear()
        moved = {**DOOR, "polygon": [(0.7, 0), (1, 0), (1, 1), (0.7, 1)]}
        # Read anew, as from a file: what is equal is not the same.
        fields = SceneSettings.model_validate({**before.model_dump(), "zones": [moved]})
        scenes.take_settings(fields)
        assert told == [], "at the next frame"
        second = scenes.follow(self.frame(1, objects(301))).result
        assert [(e.rule, e.phase) for e in told if e.rule == "full"] == [("full", "end")], "its zone is another one"
        assert all(e.phase == "update" for e in told if e.rule == "seen"), "the story of the object goes on"
        assert isinstance(first, Detections)
        assert isinstance(second, Detections)
        assert first.track_ids is not None
        assert second.track_ids is not None
        assert first.track_ids.tolist() == second.track_ids.tolist()
        told.clear()
        scenes.take_settings(SceneSettings.model_validate({**fields.model_dump(), "rules": [], "report": "changes"}))
        scenes.follow(self.frame(2, objects(302)))
        assert [(e.rule, e.phase) for e in told] == [("seen", "end")]
        scenes.close()
        assert scenes.counts()["told"] == 4
