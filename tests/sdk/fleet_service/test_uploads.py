"""Clips on their way from the agent's own uploader into the service: cut off and gone on with, whole, shown, and nobody else's."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import insert, select, update
from typer.testing import CliRunner

from edgesdk.cli.fleet import app as command_line
from edgesdk.fleet.service.uploads import incoming as arriving
from edgesdk.fleet.service.uploads.incoming import Incoming
from edgesdk.fleet.service.uploads.tus import upload_router
from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.tables import clips, nodes
from edgesdk_agent.evidence.tus_upload import TusUpload, UploadGone, UploadRefused
from edgesdk_agent.evidence.uploader import Uploader
from edgesdk_agent.server_address import ServerAddress
from edgesdk_targets.errors import FetchFailed
from edgesdk_testkit.fleet_service import FleetService

CONTENT = bytes(range(256)) * 3000  # three times what any other request may hold
SAID = {"filename": "door-1.ts", "id": "clip1", "camera": "door", "event": "e1"}
PATH = "/api/v1/uploads"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetService]:
    folder = tmp_path_factory.mktemp("fleet")
    made = FleetService(folder, open_routers=[upload_router(Incoming(folder / "media/.incoming"))])
    with writing(made.engine) as connection:
        rows = [{"name": f"shop.{name}", "created_ms": 1} for name in ("a", "b", "gone", "empty")]
        connection.execute(insert(nodes), rows)
        told = {
            "node": 1,
            "clip": "clip1",
            "camera": "door",
            "event": "e1",
            "state": "told",
            "at_ms": 5,
            "received_ms": 6,
        }
        connection.execute(insert(clips).values(**told))
    made.add_user("viewer")
    with made:
        yield made


def token(service: FleetService, node: str) -> str:
    said = CliRunner().invoke(command_line, ["clip-token", node, "--db", str(service.media.parent / "fleet.db")])
    assert said.exit_code == 0, said.exception
    return said.stdout.strip()


def upload(service: FleetService, node: str) -> TusUpload:
    address = ServerAddress.parse(service.url + PATH)
    return TusUpload(address, token(service, node), max_bytes_per_s=1 << 30)


def asked(service: FleetService, method: str, path: str, node: str, **more: Any) -> httpx.Response:
    head = {"authorization": f"Bearer {token(service, node)}", **more.pop("headers", {})}
    with service.client() as client:
        return client.request(method, path, headers=head, **more)


def cut_after(service: FleetService, location: str, node: str, count: int) -> None:
    """Send the beginning of the clip, and cut the line as a radio does."""
    where = urlsplit(service.url)
    head = f"""PATCH {location} HTTP/1.1\r\nhost: {where.netloc}\r\nauthorization: Bearer {token(service, node)}\r\n\
upload-offset: 0\r\ncontent-type: application/offset+octet-stream\r\ncontent-length: {len(CONTENT)}\r\n\r\n"""
    with socket.create_connection((where.hostname, where.port)) as line:
        line.sendall(head.encode() + CONTENT[:count])


def test_a_clip_that_was_cut_off_is_gone_on_with_and_shown(service: FleetService, tmp_path: Path) -> None:
    clip = tmp_path / "door-1.ts"
    clip.write_bytes(CONTENT)
    sending = upload(service, "shop.a")
    location = sending.create(clip, SAID)
    half = len(CONTENT) // 2
    cut_after(service, location, "shop.a", half)
    end, waiting = time.monotonic() + 30, threading.Event()
    while (here := sending.offset(location)) < half:
        assert time.monotonic() < end, here
        waiting.wait(0.05)
    with pytest.raises(FetchFailed):
        sending.send(location, clip, 0)  # what is here already is not taken twice
    assert sending.send(location, clip, half) == len(CONTENT)
    assert sending.offset(location) == len(CONTENT), "asked again after it was stored"
    with service.logged_in("viewer") as client:
        (shown,) = client.get("/api/v1/clips?node=shop.a").json()["clips"]
        assert (shown["state"], shown["at_ms"], shown["size_bytes"]) == ("stored", 5, len(CONTENT))
        file = client.get(f"/api/v1/clips/{shown['id']}/file")
        assert file.content == CONTENT
        assert file.headers["content-type"] == "video/mp2t"
        assert "Download" in client.get("/devices/shop.a").text
    stored = [path for path in service.media.rglob("*.ts") if path.is_file()]
    assert len(stored) == 1
    assert stored[0].stat().st_mode & 0o777 == 0o600


def test_the_agents_uploader_sends_and_deletes_its_own(service: FleetService, tmp_path: Path) -> None:
    clip = tmp_path / "gate-2.ts"
    clip.write_bytes(CONTENT)
    sent = threading.Event()
    uploader = Uploader(tmp_path, upload(service, "shop.b"), threading.Event(), on_confirmed=lambda *_: sent.set())
    uploader.add(clip, {**SAID, "filename": clip.name, "id": "own"})
    uploader.start()
    assert sent.wait(30)
    uploader.close()
    assert not clip.exists()
    with reading(service.engine) as connection:
        assert connection.execute(select(clips.c.state).where(clips.c.clip == "own")).scalar_one() == "stored"


def test_what_is_not_a_devices_own_is_not_there_for_it(service: FleetService, tmp_path: Path) -> None:
    clip = tmp_path / "x.ts"
    clip.write_bytes(b"abc")
    location = upload(service, "shop.a").create(clip, SAID)
    with pytest.raises(UploadGone):
        upload(service, "shop.b").offset(location)
    with pytest.raises(UploadGone):
        upload(service, "shop.b").send(location, clip, 0)
    good = token(service, "shop.a")
    mine = good.rpartition(".")[2]
    with service.client() as client:
        for wrong in ("x", good[:-1] + "!", f"edgesdk-clips.shop.b.{mine}", f"edgesdk-clips..{mine}", "é"):
            head = {"authorization": f"Bearer {wrong}".encode()}
            assert client.head(location, headers=head).status_code == 401
    for place in ("/..%2f..%2ffleet", "/x", "/" + "0" * 32):
        assert asked(service, "HEAD", PATH + place, "shop.a").status_code in (400, 404)


def test_a_revoked_device_sends_nothing_more(service: FleetService, tmp_path: Path) -> None:
    clip = tmp_path / "x.ts"
    clip.write_bytes(b"abc")
    sending = upload(service, "shop.gone")
    with writing(service.engine) as connection:
        connection.execute(update(nodes).where(nodes.c.name == "shop.gone").values(revoked_ms=1))
    with pytest.raises(FetchFailed, match="401"):
        sending.create(clip, SAID)


def test_what_is_too_much_or_of_another_kind_is_refused(
    service: FleetService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = tmp_path / "x.ts"
    clip.write_bytes(b"abc")
    sending = upload(service, "shop.empty")
    with pytest.raises(UploadRefused, match="415"):
        sending.create(clip, {**SAID, "filename": "x.html"})
    location = sending.create(clip, {**SAID, "id": "../../x", "filename": "../../evil.ts"})
    head = {"upload-offset": "0", "content-type": "application/offset+octet-stream"}
    assert asked(service, "PATCH", location, "shop.empty", headers=head, content=b"abcd").status_code == 413
    assert sending.offset(location) == 0
    assert sending.send(location, clip, 0) == 3
    assert not list(service.media.parent.rglob("*evil*"))
    monkeypatch.setattr(arriving, "MAX_BYTES", 2)
    with pytest.raises(UploadRefused, match="413"):
        sending.create(clip, SAID)
    monkeypatch.undo()
    for _ in range(16):
        sending.create(clip, SAID)
    with pytest.raises(FetchFailed, match="503"):
        sending.create(clip, SAID)
    assert upload(service, "shop.b").create(clip, SAID), "others have room"


@pytest.mark.parametrize(
    "said", ["filename !", "filename", "x" * 5000, "filename " + base64.b64encode(b"\xff").decode()]
)
def test_metadata_that_cannot_be_read_is_refused(service: FleetService, said: str) -> None:
    head = {"upload-length": "3", "upload-metadata": said}
    assert asked(service, "POST", PATH, "shop.a", headers=head).status_code in (400, 415)


def test_what_nobody_goes_on_with_is_forgotten(tmp_path: Path) -> None:
    now = [0.0]
    incoming = Incoming(tmp_path / "in", clock=lambda: now[0])
    number = incoming.begin("shop.a", 3, SAID)
    now[0] = incoming.folder.joinpath(f"{number}.json").stat().st_mtime + 47 * 3600
    assert incoming.begin("shop.b", 3, SAID)
    assert incoming.find("shop.a", number).offset == 0
    now[0] += 2 * 3600
    incoming.begin("shop.b", 3, SAID)
    assert not (incoming.folder / f"{number}.json").exists()
