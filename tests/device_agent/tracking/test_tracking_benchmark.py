"""The tracker's benchmark: its machinery on short scenes; the peer is not asked here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgesdk_testkit.moving_objects import SCENES

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
