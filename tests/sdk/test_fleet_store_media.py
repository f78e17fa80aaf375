"""Pictures and clips: kept once, found by device and time, gone with their age."""

from __future__ import annotations

import hashlib
import logging
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesdk.fleet.collect.reading import read
from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.store import media, retention
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.events import Wanted
from edgesdk.fleet.store.failures import StoreBusy
from edgesdk.fleet.store.ingest import Ingest
from edgesdk.fleet.store.retention import Keep
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import Event
from edgesdk_targets.messages.snapshot import Snapshot, encode_snapshot
from edgesdk_testkit.reports import NOW_MS, moment, reading_of
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]

DAY = 86_400_000


@pytest.fixture
def store(store_url: str, tmp_path: Path) -> Iterator[Ingest]:
    opened = Ingest(store_url, media=tmp_path / "media", wall=lambda: NOW_MS / 1000)
    yield opened
    opened.close()


def _picture(store: Ingest, name: str, at_ms: int, node: str = "shop.a", content: str = "") -> None:
    shown = Snapshot(
        node=node, at=moment(at_ms), epoch="e1", seq=1, id=name, camera="door", frame=1, captured_at=moment(at_ms),
        width=640, height=480,
    )  # fmt: skip
    body = encode_snapshot(shown, b"\xff\xd8" + (content or name).encode())
    made = read(Received(f"edgesdk/1/{node}/up/snap", body.payload, body.content_type, received_ms=NOW_MS))
    assert not made.refusals
    store.commit(made)


def test_a_picture_is_a_file_and_a_row_and_comes_twice_to_no_harm(store: Ingest) -> None:
    for _ in range(2):
        _picture(store, "p1", NOW_MS)
    _picture(store, "p2", NOW_MS - 1000, "shop.b")
    with reading(store.engine) as connection:
        found = media.find_snapshots(connection, Wanted()).items
        assert [one["snapshot"] for one in found] == ["p1", "p2"]
        assert [one["node"] for one in media.find_snapshots(connection, Wanted(node="shop.b")).items] == ["shop.b"]
        assert media.find_snapshots(connection, Wanted(until_ms=NOW_MS - 5000)).items == []
    place = store.media.place_of(found[0]["path"])
    assert place.read_bytes().endswith(b"p1")
    assert place.stat().st_size == found[0]["size_bytes"]


def _file_name(store: Ingest, snapshot: str) -> str:
    with reading(store.engine) as connection:
        found = media.find_snapshots(connection, Wanted()).items
    return next(Path(one["path"]).name for one in found if one["snapshot"] == snapshot)


def test_another_picture_by_a_name_that_was_used_changes_nothing(store: Ingest) -> None:
    _picture(store, "p1", NOW_MS, content="the first")
    _picture(store, "p1", NOW_MS, content="forged")
    (file,) = (path for path in store.media.root.rglob("*") if path.is_file())
    assert file.read_bytes().endswith(b"the first")
    with reading(store.engine) as connection:
        (row,) = media.find_snapshots(connection, Wanted()).items
    assert row["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_only_its_owner_may_read_a_store_and_its_pictures(
    store: Ingest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _picture(store, "p1", NOW_MS)
    made = [*store.media.root.rglob("*"), store.media.root, *tmp_path.glob("fleet.db*")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_file()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_dir()} == {0o700}
    assert _warnings(caplog) == []
    # What was made by an earlier edgesdk is told.
    store.close()
    store.media.root.chmod(0o755)
    Ingest(store.place, media=store.media.root).close()
    assert [text.rpartition(": ")[2] for text in _warnings(caplog)] == [f"chmod 700 {store.media.root}"]


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [told.getMessage() for told in caplog.records if told.levelno >= logging.WARNING]


def test_files_that_no_row_names_go_with_their_day(store: Ingest) -> None:
    _picture(store, "kept", NOW_MS)
    left = [store.media.path_of("shop.a", f"{n}.jpg", NOW_MS - n * DAY) for n in (1, 29, 31, 40)]
    for path in left:
        store.media.write(path, b"of a commit that failed")
    foreign = store.media.root / "2001-01-01" / "notes here" / "a b.txt"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("somebody's")
    retention.forget_old(store.engine, Keep(), NOW_MS, media=store.media)
    there = {path.relative_to(store.media.root).as_posix() for path in store.media.root.rglob("*") if path.is_file()}
    assert {path for path in left if path in there} == set(left[:2])
    assert len(there) == 4
    assert foreign.exists()


def test_a_picture_that_cannot_be_written_is_waited_for(store: Ingest) -> None:
    store.media.root.parent.mkdir(exist_ok=True)
    store.media.root.write_text("a file where the folder should be")
    with pytest.raises(StoreBusy):
        _picture(store, "p1", NOW_MS)
    store.media.root.unlink()
    _picture(store, "p1", NOW_MS)
    with reading(store.engine) as connection:
        assert len(media.find_snapshots(connection, Wanted()).items) == 1


def test_what_is_no_picture_is_refused(store: Ingest) -> None:
    for payload in (b"", b"\xff\xd8\xff", b"\x00" * 100):
        made = read(Received("edgesdk/1/shop.a/up/snap", payload, "image/jpeg", received_ms=NOW_MS))
        assert len(made.refusals) == 1
        store.commit(made)
    assert not store.media.root.exists()


def test_a_device_tells_of_its_clips(store: Ingest) -> None:
    kept = {"id": "c1", "event": "e", "filename": "door-1.mp4", "bytes": 12, "complete": True}
    told = [("clip_kept", kept), ("clip_failed", {"id": "c2"}), ("clip_kept", {"id": 7}), ("door", {"id": "c3"})]
    for seq, (name, data) in enumerate(told, 1):
        event = Event(node="shop.a", at=moment(NOW_MS + seq), epoch="e1", seq=seq, name=name, camera="door", data=data)
        store.commit(reading_of(event))
    with reading(store.engine) as connection:
        found = media.find_clips(connection, Wanted(node="shop.a")).items
    assert [(one["clip"], one["state"], one["size_bytes"]) for one in found] == [
        ("c2", "failed", 0),
        ("c1", "told", 12),
    ]


def test_old_pictures_go_with_their_files_and_empty_folders(store: Ingest) -> None:
    _picture(store, "old", NOW_MS - 40 * DAY)
    _picture(store, "new", NOW_MS)
    gone = retention.forget_old(store.engine, Keep(), NOW_MS, media=store.media)
    assert gone["snapshots"] == 1
    assert [path.name for path in store.media.root.rglob("*") if path.is_file()] == [_file_name(store, "new")]
    assert len(list(store.media.root.iterdir())) == 1


@pytest.mark.parametrize("path", ["", "..", "a/../b", "/etc/passwd", "a//b", "a/b\0", "a/b c", "a\\b"])
def test_no_path_leads_out_of_the_folder(path: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        media.MediaFolder(tmp_path).place_of(path)
