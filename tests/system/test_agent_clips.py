"""The agent as a process: the clip of an event is named in it, cut around its frame, fetched from afar, and no hang holds a
stop up."""

from __future__ import annotations

import base64
import signal
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from edgesdk_testkit.agent_process import AgentProcess
from edgesdk_testkit.certificates import Certificates, make_certificates
from edgesdk_testkit.film_pictures import film_stamps
from edgesdk_testkit.rtsp_server import RtspServer
from edgesdk_testkit.stamped_camera import stamped_camera
from edgesdk_testkit.steered_site import Site, site
from edgesdk_testkit.tus_server import TusServer

pytestmark = pytest.mark.system
FPS = 10
TOKEN = "token-of-the-test"
# Digits come and go on the belt; the stream beside it is what clips show.
CAMERA = "  - {name: belt, source: 'conveyor:?fps=20'}"
EVENTS = {
    "zones": [{"name": "all", "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}],
    "rules": [{"name": "busy", "kind": "occupancy", "zone": "all", "at_least": 1, "snapshot": True}],
    "summary_interval_s": 0,
}


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspServer]:
    with stamped_camera(tmp_path_factory.mktemp("film"), fps=FPS) as running:
        yield running


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def https(files: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.server, files.server_key)
    return context


def sections(stream: RtspServer, server: TusServer, files: Certificates, **upload: Any) -> dict[str, dict[str, Any]]:
    address = {"url": server.url, "token": TOKEN, "ca": str(files.ca), **upload}
    clips = {"enabled": True, "sources": {"belt": stream.urls[0]}, "pre_s": 1, "post_s": 0.5, "longest_s": 3}
    return {
        "pictures": {"enabled": True, "folder": "kept", "publish": False},
        "clips": {**clips, "segment_s": 0.3, "upload": address},
        "events": EVENTS,
    }


def told(here: Site, name: str, **data: Any) -> dict[str, Any]:
    """Wait for an event with these data, and return its data."""

    def fits(body: dict[str, Any]) -> bool:
        return body.get("name") == name and all(body["data"].get(key) == value for key, value in data.items())

    found = here.heard(lambda all_: any(fits(h.body) for h in all_ if h.channel == "up/event"))
    return next(dict(h.body["data"]) for h in found if h.channel == "up/event" and fits(h.body))


def wait_for_ring(here: Site) -> None:
    """Wait until the stream is there: telemetry counts what its ring writes to memory."""
    here.heard(
        lambda all_: any(
            h.body.get("samples", [{}])[-1].get("counts", {}).get("clips.packets", 0) >= 3 * FPS
            for h in all_
            if h.channel == "up/tele"
        )
    )


def arrived(server: TusServer) -> dict[str, bytes]:
    """Return what is whole at the server, by its id."""
    found = {}
    for (path, content), said in zip(server.uploads.items(), server.metadata, strict=False):
        if len(content) == server.lengths[path]:
            words = dict(word.split(" ") for word in said.split(","))
            found[base64.b64decode(words["id"]).decode()] = bytes(content)
    return found


def test_a_fleet_fetches_the_clip_of_an_event(
    digits_bundle: Path, tmp_path: Path, stream: RtspServer, files: Certificates
) -> None:
    with (
        TusServer(TOKEN, context=https(files)) as server,
        site(tmp_path, digits_bundle, CAMERA, **sections(stream, server, files, every_clip=False)) as here,
    ):
        wait_for_ring(here)
        # By a command: from now on, and sent by itself once it is written.
        asked = here.done("clip", camera="belt", seconds=0.5, upload=True)
        told(here, "clip_kept", id=asked["id"])
        told(here, "evidence_sent", id=asked["id"])
        # By an event, which names it; nothing sends it unasked. Zones that change begin their events anew.
        _rename_rule(here)
        assert "events.rules[0].name" in here.done("reload")["changed"]
        event = told(here, "scene_occupancy", phase="new", rule="full")
        kept = told(here, "clip_kept", event=event["id"])
        assert kept["id"] == event["clip"]
        assert kept["complete"]
        clip = tmp_path / "kept" / kept["filename"]
        shown = film_stamps(clip)
        moment = datetime.fromisoformat(event["occurred_at"].replace("Z", "+00:00")).timestamp()
        moment = moment - time.time() + time.monotonic()
        assert shown[0] <= moment - 1.0 + 0.1
        assert shown[-1] >= moment
        content = clip.read_bytes()
        assert set(arrived(server)) == {asked["id"]}, "every_clip is off"
        assert here.done("upload", id=kept["id"])["state"] == "queued"
        told(here, "evidence_sent", id=kept["id"])
        assert arrived(server)[kept["id"]] == content
        assert not clip.exists()
        # Its picture, by its id.
        [picture] = (tmp_path / "kept").glob(f"belt-*-{event['snapshot']}.jpg")
        content = picture.read_bytes()
        here.done("upload", id=event["snapshot"])
        told(here, "evidence_sent", id=event["snapshot"])
        assert arrived(server)[event["snapshot"]] == content
        for wrong, said in ((kept["id"], "No picture or clip"), ("../../etc/passwd", "id")):
            refused = here.ask("upload", id=wrong).reply
            assert refused is not None
            assert not refused.ok
            assert said in refused.message
        here.agent.send(signal.SIGTERM)
        code, summary = here.agent.finish(30)
        assert code == 0, here.agent.log
    written = summary["written"]
    assert written["memory_bytes_today"] > 0, "the ring"
    assert 0 < written["disk_bytes_today"] <= summary["clips"]["clip_bytes"] + summary["snapshots"]["stored_bytes"]
    assert TOKEN not in here.agent.log


def _rename_rule(here: Site) -> None:
    """Name the rule anew, so that its event begins now, when the ring is full."""
    path = here.folder / "edgesdk.yaml"
    path.write_text(path.read_text().replace("name: busy", "name: full"))


def test_a_stop_waits_for_no_stream_and_no_server_that_hang(
    digits_bundle: Path, tmp_path: Path, stream: RtspServer, files: Certificates
) -> None:
    with (
        TusServer(TOKEN, context=https(files)) as server,
        site(tmp_path, digits_bundle, CAMERA, **sections(stream, server, files, every_clip=False)) as here,
    ):
        wait_for_ring(here)
        server.hangs.set()
        server.asked.clear()
        asked = here.done("clip", camera="belt", seconds=0.3, upload=True)
        told(here, "clip_kept", id=asked["id"])
        assert server.asked.wait(20)
        stream.freeze()
        try:
            threading.Event().wait(0.5)
            here.agent.send(signal.SIGTERM)
            # A service manager is patient for 15 s, and then kills; it took 14 s, and ended in an abort.
            code, summary = here.agent.finish(10)
        finally:
            stream.thaw()
        assert code == 0, here.agent.log
        assert summary["uploads"]["confirmed"] == 0
        [clip] = (tmp_path / "kept").glob(f"*-{asked['id']}.ts")
        assert clip.with_name(clip.name + ".upload").exists()
        server.hangs.clear()
        content = clip.read_bytes()
        with AgentProcess("--config", tmp_path / "edgesdk.yaml") as again:
            end = time.monotonic() + 30
            while asked["id"] not in arrived(server):
                assert time.monotonic() < end
                threading.Event().wait(0.05)
            again.send(signal.SIGTERM)
            code, _ = again.finish(30)
        assert code == 0, again.log
    assert arrived(server)[asked["id"]] == content, "by the next start"
