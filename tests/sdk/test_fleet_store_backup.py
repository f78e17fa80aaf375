"""A store in one file, and back: whole or not at all, from either kind of database to either."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from edgesdk.cli.app import run
from edgesdk.fleet.store import devices, rollups, series
from edgesdk.fleet.store.engine import open_store, reading, writing
from edgesdk.fleet.store.ingest import Ingest
from edgesdk.fleet.store.selection import Selection
from edgesdk.fleet.store.tables import metadata
from edgesdk_targets.messages.snapshot import Snapshot, encode_snapshot
from edgesdk_testkit.postgresql import PostgresqlServer
from edgesdk_testkit.reports import NOW_MS, birth, event, moment, reading_of, telemetry
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]

JPEG = b"\xff\xd8 a picture"


def _snapshot() -> Snapshot:
    return Snapshot(
        node="shop.a", at=moment(NOW_MS), epoch="e1", seq=9, id="s1", camera="door", frame=3, captured_at=moment(NOW_MS),
        width=4, height=4,
    )  # fmt: skip


def _filled(url: str, media: Path) -> None:
    from edgesdk.fleet.collect.reading import read
    from edgesdk.fleet.gmqtt_client import Received

    store = Ingest(url, media=media, wall=lambda: NOW_MS / 1000)
    store.commit(
        reading_of(birth("shop.a", NOW_MS), *(telemetry("shop.a", n, NOW_MS - n * 1000) for n in range(1, 60)))
    )
    store.commit(reading_of(event("shop.a", 99, NOW_MS, "door", 'said "ä \u0000 \U0001f600"')))
    store.commit(read(Received("edgesdk/1/shop.a/up/result", b"\xff no json \x00", "")))
    store.commit(read(Received("edgesdk/1/shop.a/up/snap", encode_snapshot(_snapshot(), JPEG).payload, "image/jpeg")))
    rollups.roll(store.engine)
    with writing(store.engine) as connection:
        devices.set_tags(connection, "shop.a", ["till"])
    store.close()


def _everything(url: str) -> dict[str, list[Any]]:
    engine = open_store(url, create=False)
    found = {}
    with reading(engine) as connection:
        for table in metadata.sorted_tables:
            rows = connection.execute(table.select()).all()
            found[table.name] = sorted(json.dumps(list(row), default=repr) for row in rows)
    engine.dispose()
    return found


def test_a_backup_becomes_the_same_store_and_goes_on(
    store_url: str, tmp_path: Path, postgresql: PostgresqlServer
) -> None:
    _filled(store_url, tmp_path / "media")
    backup = tmp_path / "fleet.backup"
    made = ["fleet", "backup", "--db", store_url, "-o", str(backup), "--media", str(tmp_path / "media"), "--with-media"]
    assert run(made) == 0
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    targets = [
        str(tmp_path / "other.db"),
        postgresql.new_database(f"restored_{Path(store_url).name.replace('.', '_')}"),
    ]
    for number, target in enumerate(targets):
        media = tmp_path / f"media{number}"
        assert run(["fleet", "restore", str(backup), "--db", target, "--media", str(media)]) == 0
        found = _everything(target)
        assert "store.restore" in found.pop("audit")[0]
        assert found == {name: rows for name, rows in _everything(store_url).items() if name != "audit"}
        (picture,) = media.rglob("*.jpg")
        assert picture.read_bytes().endswith(JPEG[2:])
        # It is a store like any other: what was settled is, and new rows get new numbers.
        store = Ingest(target, media=media, wall=lambda: NOW_MS / 1000)
        done = store.commit(reading_of(telemetry("shop.a", 59, NOW_MS), telemetry("shop.b", 1, NOW_MS)))
        assert (sum(done.stored.values()), done.duplicates) == (1, 1)
        assert rollups.roll(store.engine) == 1
        with reading(store.engine) as connection:
            assert [one["name"] for one in devices.find(connection, Selection(), NOW_MS).items] == ["shop.a", "shop.b"]
            (line,) = series.of_device(connection, 1, ["fps"], NOW_MS - 120_000, NOW_MS, points=2).lines
            assert set(line.mean) <= {10.0, None}
        store.close()


def test_a_store_whose_samples_are_all_forgotten_is_restored_and_counts_on(
    store_url: str, tmp_path: Path, postgresql: PostgresqlServer
) -> None:
    from edgesdk.fleet.store import retention
    from edgesdk.fleet.store.backup import back_up
    from edgesdk.fleet.store.restore import restore

    store = Ingest(store_url, wall=lambda: NOW_MS / 1000)
    for seq in range(1, 20):
        store.commit(reading_of(telemetry("shop.a", seq, NOW_MS - 9 * 86_400_000 + seq)))
    assert retention.forget_old(store.engine, retention.Keep(), NOW_MS)["samples"] > 0
    back_up(store.engine, tmp_path / "whole", 0)
    store.close()
    # One that was made before backups told how far numbers are.
    with zipfile.ZipFile(tmp_path / "whole") as source, zipfile.ZipFile(tmp_path / "earlier", "w") as target:
        for entry in source.infolist():
            body = source.read(entry)
            if entry.filename == "manifest.json":
                body = json.dumps({k: v for k, v in json.loads(body).items() if k != "numbers"}).encode()
            target.writestr(entry, body)
    kind = "file" if store_url.endswith(".db") else "server"
    for name in ("whole", "earlier"):
        for url in (str(tmp_path / f"{name}.db"), postgresql.new_database(f"counts_on_{name}_{kind}")):
            engine = open_store(url)
            restore(engine, tmp_path / name, NOW_MS)
            engine.dispose()
            restored = Ingest(url, wall=lambda: NOW_MS / 1000)
            restored.commit(reading_of(telemetry("shop.a", 20, NOW_MS)))
            assert rollups.roll(restored.engine) == 1, (name, url)
            restored.close()


def test_a_backup_is_one_state_of_a_store_that_is_written_meanwhile(store_url: str, tmp_path: Path) -> None:
    from edgesdk.fleet.store.backup import back_up

    store = Ingest(store_url, wall=lambda: NOW_MS / 1000)
    store.commit(reading_of(telemetry("shop.a", 1, NOW_MS)))

    def meanwhile(table: str, rows: int) -> None:
        store.commit(reading_of(telemetry("shop.a", 2, NOW_MS + 1)))

    made = back_up(store.engine, tmp_path / "b", 0, progress=meanwhile)
    assert made.tables["records"] == made.tables["samples"] == 1
    store.close()


def test_what_is_no_whole_backup_is_refused_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _filled(str(tmp_path / "fleet.db"), tmp_path / "media")
    whole = tmp_path / "whole"
    assert run(["fleet", "backup", "--db", str(tmp_path / "fleet.db"), "-o", str(whole)]) == 0
    assert run(["fleet", "backup", "--db", str(tmp_path / "fleet.db"), "-o", str(whole)]) == 2
    capsys.readouterr()
    content = whole.read_bytes()
    cut, text, later, fewer, flipped = (tmp_path / name for name in ("cut", "text", "later", "fewer", "flipped"))
    cut.write_bytes(content[: len(content) // 2])
    text.write_text("no zip at all")
    middle = content.index(b"tables/samples.jsonl") + 60
    flipped.write_bytes(content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :])
    for changed, change in (
        (later, {"version": "9999"}),
        (fewer, {"tables": {"samples": 7}}),
    ):
        with zipfile.ZipFile(whole) as source, zipfile.ZipFile(changed, "w") as target:
            for entry in source.infolist():
                body = source.read(entry)
                if entry.filename == "manifest.json":
                    body = json.dumps({**json.loads(body), **change}).encode()
                target.writestr(entry, body)
    for backup, words in (
        (cut, "damaged"),
        (text, "damaged"),
        (flipped, "damaged"),
        (later, "later edgesdk"),
        (fewer, "59 rows of samples"),
        (tmp_path / "none", "no backup"),
    ):
        assert run(["fleet", "restore", str(backup), "--db", str(tmp_path / "new.db")]) == 2, backup
        assert words in capsys.readouterr().err
        assert not (tmp_path / "new.db").exists()
    assert run(["fleet", "restore", str(whole), "--db", str(tmp_path / "fleet.db")]) == 2
    assert "not empty" in capsys.readouterr().err


def test_a_backup_writes_nowhere_but_into_its_folder(tmp_path: Path) -> None:
    _filled(str(tmp_path / "fleet.db"), tmp_path / "media")
    whole, evil = tmp_path / "whole", tmp_path / "evil"
    assert run(["fleet", "backup", "--db", str(tmp_path / "fleet.db"), "-o", str(whole)]) == 0
    evil.write_bytes(whole.read_bytes())
    with zipfile.ZipFile(evil, "a") as archive:
        archive.writestr("media/../../escaped", b"x")
    assert run(["fleet", "restore", str(evil), "--db", str(tmp_path / "in" / "x.db")]) == 2
    assert run(["fleet", "restore", str(evil), "--db", str(tmp_path / "x.db")]) == 2
    assert not list(tmp_path.rglob("escaped"))
