"""The tracker's benchmark: its machinery on short scenes; the peer is not asked here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgesdk_agent.tracking.tracker import Tracker
from edgesdk_targets.results import Detections
from edgesdk_testkit.moving_objects import SCENES, sequence

pytestmark = pytest.mark.usefixtures("benchmarks_path")


def test_scenes_are_followed_and_summed_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import tracking
    from tracked.rounds import OURS, follow_all, peer_python

    monkeypatch.setenv("EDGESDK_PEERS", str(tmp_path))
    assert peer_python() is None
    scenes = [replace(scene, seconds=2.0) for scene in SCENES[:2]]
    followed, judged = follow_all(scenes, [1], None)
    assert judged == {}
    assert [one.scene for one in followed] == ["crossings", "occlusions"]
    whole = tracking.total(followed, OURS).score
    assert whole.objects == sum(one.score.objects for one in followed)
    assert 0.5 < whole.idf1 <= 1.0
    assert tracking.table(followed).count("\n") == 5


def test_a_frames_cost_is_measured_with_every_object_followed() -> None:
    from tracked.frame_cost import frame_costs

    costs = frame_costs(4)
    assert all(cost_us > 0 for cost_us in costs.values())


def test_weak_detections_that_a_decoder_keeps_apart_continue_objects() -> None:
    """Hidden objects are seen weakly: without what is below the threshold they are taken for new ones."""
    from tracked.decoded import WITH, WITHOUT, follow_decoded

    scenes = [replace(scene, seconds=8.0) for scene in SCENES if scene.name in {"occlusions", "all of it"}]
    followed = {(one.tracker, one.scene): one.score for one in follow_decoded(scenes, [1, 2], 0.7)}
    for scene in ("occlusions", "all of it"):
        before, after = followed[WITHOUT, scene], followed[WITH, scene]
        assert after.objects == before.objects
        assert after.idf1 > before.idf1
        assert after.switches <= before.switches


def test_what_is_weak_is_kept_apart_and_changes_nothing_that_is_strong() -> None:
    from tracked.decoded import as_outputs, decoder

    frame = sequence(SCENES[1], 3)[40]
    plain, split = decoder(0.5, None)(as_outputs(frame), None), decoder(0.5, 0.1)(as_outputs(frame), None)
    assert isinstance(plain, Detections)
    assert isinstance(split, Detections)
    assert plain.weak is None
    assert split.weak is not None
    np.testing.assert_array_equal(split.boxes, plain.boxes)
    np.testing.assert_array_equal(split.scores, plain.scores)
    assert len(split.weak) == int(((frame.scores >= 0.1) & (frame.scores < 0.5)).sum()) > 0
    assert split.to_json() == plain.to_json()
    tracks = Tracker().update(split, 0.0)
    assert len(tracks.detection_ids) == len(plain)
    assert len(tracks) == len(plain), "what is weak begins no object"
    assert decoder(0.05, 0.1)(as_outputs(frame), None).weak is None  # type: ignore[union-attr]
