"""Snapshots: asked for, made within their budget, kept for a time, and what a message of one says."""

from __future__ import annotations

import contextlib
import os
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk_agent.evidence.picture_store import PictureStore
from edgesdk_agent.evidence.snapshot_messages import SnapshotMessages
from edgesdk_agent.evidence.snapshots import SnapshotRequest, Snapshots
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.frame_data.jpeg_budget import JpegBudget
from edgesdk_agent.link.presence import Publication
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages.snapshot import Snapshot, decode_snapshot, encode_snapshot
from edgesdk_targets.results import Text
from edgesdk_targets.topics import Node

TOPIC = "edgesdk/1/local.yard/up/snap"


def seen(camera: str = "gate", seq: int = 7) -> FrameResult:
    image = np.random.default_rng(1).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    return FrameResult(camera, seq, 1.0, 1.7e9, 0.1, 0.01, 0.02, Text("x", 1.0), image)


def test_a_snapshot_is_taken_of_the_next_picture_kept_and_published(tmp_path: Path) -> None:
    sent: list[SnapshotRequest] = []
    store = PictureStore(tmp_path / "pictures", keep_s=60, max_bytes=1 << 20, wall=lambda: 1.7e9)
    snapshots = Snapshots(
        JpegBudget(20_000),
        annotate=lambda result: result.image.fill(9),  # type: ignore[union-attr]
        per_minute=5,
        store=store,
        publish=lambda one: bool(sent.append(one)) or True,
    )
    snapshots.start()
    assert not snapshots.wants("gate")
    asked = snapshots.ask("gate", event="e1")
    assert asked is not None
    assert snapshots.wants("gate")
    assert not snapshots.wants("yard")
    result = seen()
    assert result.image is not None
    before = result.image.copy()
    snapshots(result)
    assert asked.done.wait(10)
    snapshots.close()
    assert (result.image == before).all(), "the pipeline's own picture is not drawn into"
    assert sent == [asked]
    assert (asked.frame, asked.problem) == (7, None)
    [file] = (tmp_path / "pictures").iterdir()
    assert file.name == f"gate-20231114T221320-{asked.id}.jpg"
    assert int(cv2.imread(str(file)).max()) < 20
    counts = snapshots.counts()
    assert (counts["asked"], counts["taken"], counts["sent"], counts["stored"]) == (1, 1, 1, 1)


def test_a_folder_that_stays_closed_is_told_once_until_it_opens(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "pictures"
    folder.write_text("a file where the folder should be")
    store = PictureStore(folder, keep_s=60, max_bytes=1 << 20)
    snapshots = Snapshots(JpegBudget(20_000), annotate=None, per_minute=60, store=store)
    snapshots.start()

    def take() -> None:
        asked = snapshots.ask("gate")
        assert asked is not None
        snapshots(seen())
        assert asked.done.wait(30)

    for _ in range(3):
        take()
    folder.unlink()
    take()
    snapshots.close()
    once, again = (message for message in caplog.messages if "napshot" in message.split(":")[0])
    assert once.startswith("A snapshot is not kept: ")
    assert again == "Snapshots are kept again; 3 were not"
    assert (snapshots.counts()["failed"], snapshots.counts()["stored"]) == (3, 1)


def test_events_may_ask_so_often_a_minute_and_commands_always() -> None:
    now = [0.0]
    snapshots = Snapshots(JpegBudget(9_000), annotate=None, per_minute=2, clock=lambda: now[0])
    assert [snapshots.ask("gate") is not None for _ in range(3)] == [True, True, False]
    assert snapshots.ask("gate", limited=False) is not None
    now[0] = 61
    assert snapshots.ask("gate") is not None
    assert snapshots.counts()["limited"] == 1


def test_who_waits_for_a_camera_that_gives_nothing_is_told() -> None:
    snapshots = Snapshots(JpegBudget(9_000), annotate=None, per_minute=2)
    with pytest.raises(InputError, match="gave no picture"):
        snapshots.take("gate", 0.01)


def test_a_failure_is_told_to_who_asked_and_the_next_is_made() -> None:
    def fails(result: FrameResult) -> None:
        if result.seq == 1:
            raise ZeroDivisionError

    snapshots = Snapshots(JpegBudget(9_000), annotate=fails, per_minute=9)
    snapshots.start()
    first = snapshots.ask("gate")
    assert first is not None
    snapshots(seen(seq=1))
    assert first.done.wait(10)
    assert first.problem is not None
    second = snapshots.ask("gate")
    assert second is not None
    snapshots(seen(seq=2))
    assert second.done.wait(10)
    assert second.problem is None
    snapshots.close()


def test_what_is_old_goes_and_above_the_quota_the_oldest_goes(tmp_path: Path) -> None:
    now = 1_000_000.0
    store = PictureStore(tmp_path, keep_s=100, max_bytes=2500, wall=lambda: now)
    ages = {
        "old.jpg": 101,
        "a.jpg": 50,
        "b.ts": 40,
        "c.jpg": 30,
        "mine.txt": 9999,
        ".writing-x": 4000,
        "future.jpg": -999,
    }
    for name, age in ages.items():
        (tmp_path / name).write_bytes(bytes(1000))
        os.utime(tmp_path / name, (now - age, now - age))
    store.sweep()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.jpg", "future.jpg", "mine.txt"]
    assert store.counts() == {"stored": 0, "stored_bytes": 0, "expired": 1, "over_quota": 2}


def message() -> Snapshot:
    at = datetime(2026, 1, 2, tzinfo=timezone.utc)
    return Snapshot(
        node="local.yard",
        at=at,
        epoch="e",
        seq=3,
        id="abc",
        camera="gate",
        frame=7,
        captured_at=at,
        width=320,
        height=240,
    )


def test_a_message_is_a_picture_that_says_what_it_shows() -> None:
    jpeg = JpegBudget(150_000).compress(seen().image).data  # type: ignore[arg-type]
    encoded = encode_snapshot(message(), jpeg)
    assert encoded.content_type == "image/jpeg"
    assert decode_snapshot(TOPIC, encoded.payload) == message()
    image = cv2.imdecode(np.frombuffer(encoded.payload, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (240, 320, 3)
    with pytest.raises(InputError, match="speaks only for itself"):
        decode_snapshot(TOPIC.replace("yard", "other"), encoded.payload)
    with pytest.raises(InputError, match="larger"):
        encode_snapshot(message(), jpeg + bytes(300_000))


def test_a_snapshot_is_said_while_there_is_a_connection_and_only_then() -> None:
    said: list[Publication] = []
    connected = [False]
    say = SnapshotMessages(
        Node("yard"), epoch="e", next_seq=lambda: 9, say=said.append, connected=lambda: connected[0], wall=lambda: 1.7e9
    )
    request = SnapshotRequest("gate", event="e1", frame=7, wall_at=1.7e9)
    assert not say(request)
    request.jpeg = JpegBudget(150_000).compress(seen().image)  # type: ignore[arg-type]
    assert not say(request)
    connected[0] = True
    assert say(request)
    [one] = said
    shown = decode_snapshot(one.topic, one.body.payload)
    assert (shown.id, shown.camera, shown.frame, shown.event, shown.seq) == (request.id, "gate", 7, "e1", 9)
    assert len(one.body.payload) < 256 * 1024


@given(st.binary(max_size=200), st.integers(0, 120))
def test_a_damaged_snapshot_is_refused_or_read_and_never_more(noise: bytes, at: int) -> None:
    payload = bytearray(encode_snapshot(message(), b"\xff\xd8\xff\xd9").payload)
    payload[at : at + len(noise)] = noise
    with contextlib.suppress(InputError):
        decode_snapshot(TOPIC, bytes(payload))
