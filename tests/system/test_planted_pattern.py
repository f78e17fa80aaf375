"""Two planted patterns, one under a mask, one under a blurred class: nothing that a device lets out shows them, whichever way.

Every way is searched: files of snapshots, the page, all topics of a real broker, the memory that a hook's process shares, the
log, the summary, the support bundle, and clips. The control hides nothing, and finds both in each of the ways of pictures.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from random import getrandbits
from typing import Any

import pytest
import yaml

from edgesdk.fleet.command_sender import new_command, send_command
from edgesdk_targets.topics import Node
from edgesdk_testkit.agent_process import AgentProcess
from edgesdk_testkit.brokers import Ear, Heard, RealBroker, free_port, running_broker
from edgesdk_testkit.film_pictures import film_pictures
from edgesdk_testkit.h264_files import write_h264
from edgesdk_testkit.planted_picture import (
    MASK,
    secrets_in,
    secrets_shown,
    write_film,
    write_person_bundle,
    write_pictures,
)
from edgesdk_testkit.preview_page import page_picture
from edgesdk_testkit.required import missing
from edgesdk_testkit.rtsp_server import RtspServer, looped, missing_part

pytestmark = pytest.mark.system
TOKEN = "token-of-the-test"
NODE = Node("gate")
FPS = 10
BOTH = {"masked", "person"}
# Keeps the picture that it was given, and all of the memory that it shares with the agent.
HOOK = """
import pathlib, re

def keep(result):
    folder = pathlib.Path(__file__).parent
    (folder / "given.raw").write_bytes(result.image.tobytes())
    shared = b""
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb") as memory:
        for line in maps:
            if "edgesdk-picture" in line:
                first, last = (int(part, 16) for part in re.match("([0-9a-f]+)-([0-9a-f]+)", line).groups())
                memory.seek(first)
                shared += memory.read(last - first)
    (folder / "shared.raw").write_bytes(shared)
"""


def configuration(folder: Path, url: str, page: int, *, hidden: bool, clips: dict[str, Any]) -> Path:
    (folder / "code").mkdir()
    (folder / "code/keeping.py").write_text(HOOK)
    write_pictures(folder / "frames")
    write_person_bundle(folder / "persons.edgebundle")
    privacy = {"masks": [{"camera": "hall", "polygon": [list(corner) for corner in MASK]}], "blur": ["person"]}
    document = {
        "device": {"name": "gate"},
        "bundle": "persons.edgebundle",
        "cameras": [{"name": "hall", "source": "frames", "loop": True, "live": True, "fps": FPS}],
        "privacy": privacy if hidden else {},
        "pictures": {"enabled": True, "folder": "kept"},
        "clips": clips,
        "preview": {"listen": f"127.0.0.1:{page}", "token": TOKEN, "fps": 30},
        "hooks_path": "code",
        "hooks": [{"call": "keeping:keep", "image": True, "isolate": "process"}],
        "events": {"rules": [{"name": "seen", "kind": "object", "snapshot": True}]},
        "mqtt": {"url": url},
        "telemetry": {"interval_s": 1},
        "outbox": {"path": "outbox.sqlite"},
    }
    path = folder / "edgesdk.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def done(broker: RealBroker, verb: str, **arguments: Any) -> dict[str, Any]:
    """Send a command that is to be done, and return its answer."""
    command = new_command(NODE, verb, arguments, command_id=f"{verb}-{getrandbits(40):x}", within_s=20)
    outcome = asyncio.run(send_command(broker.address, command, wait_s=20))
    assert outcome.reply is not None
    assert outcome.reply.ok, outcome.reply.message
    return dict(outcome.reply.data)


def over(clip: str, heard: list[Heard]) -> bool:
    """Say whether a clip is kept, or failed."""
    events = [json.loads(one.payload) for one in heard if one.topic.endswith("up/event")]
    return any(one["name"] in {"clip_kept", "clip_failed"} and one["data"]["id"] == clip for one in events)


def told(heard: Heard, name: str) -> bool:
    return heard.topic.endswith("up/event") and json.loads(heard.payload).get("name") == name


@pytest.mark.parametrize("hidden", [True, False])
def test_no_way_out_shows_what_is_hidden(tmp_path: Path, needs_program: Any, hidden: bool) -> None:
    needs_program("mosquitto", "mosquitto")
    if (part := missing_part()) is not None:
        missing(part)
    page = free_port()
    with running_broker("mosquitto", tmp_path / "broker") as broker, Ear(broker.address, "#") as ear:
        stream = RtspServer()
        clips: dict[str, Any] = {}
        if not hidden:
            # The camera's own stream shows what the camera shows.
            write_pictures(tmp_path / "stream")
            film = write_film(tmp_path / "film.avi", tmp_path / "stream", FPS)
            h264 = write_h264(
                tmp_path / "film.mp4", width=480, height=320, fps=FPS, frames=12, source=film, key_frame_every=5
            )
            stream = RtspServer(looped(h264, fps=FPS))
            clips = {
                "enabled": True, "sources": {"hall": stream.start().urls[0]}, "pre_s": 0.5, "post_s": 0.5,
                "longest_s": 1, "segment_s": 0.5,
            }  # fmt: skip
        config = configuration(tmp_path, broker.url, page, hidden=hidden, clips=clips)
        try:
            with AgentProcess("--config", config, "--debug") as agent:
                ear.wait_for(lambda all_: sum(one.topic.endswith("up/result") for one in all_) > 10)
                done(broker, "snapshot", camera="hall")
                done(broker, "logs", count=500, level="debug")
                shown = page_picture(page, TOKEN)
                ear.wait_for(lambda all_: any(one.topic.endswith("up/snap") for one in all_))
                while not hidden and not any(told(one, "clip_kept") for one in ear.said("up/event")):
                    # The stream may be connected a moment after the camera: then there is nothing to cut yet.
                    clip = done(broker, "clip", camera="hall", seconds=0.5)["id"]
                    ear.wait_for(partial(over, clip))
                agent.send(signal.SIGTERM)
                code, summary = agent.finish(30)
        finally:
            if not hidden:
                stream.stop()
        assert code == 0, agent.log
        (tmp_path / "agent.log").write_text(agent.log)
        bundle = [sys.executable, "-m", "edgesdk_agent.main", "support-bundle", "out.zip", "--config", "edgesdk.yaml"]
        subprocess.run([*bundle, "--log", "agent.log"], cwd=tmp_path, check=True, capture_output=True)
        heard = list(ear.heard)

    pictures = [path.read_bytes() for path in (tmp_path / "kept").glob("*.jpg")]
    hooked = [(tmp_path / "code" / name).read_bytes() for name in ("given.raw", "shared.raw")]
    ways = {
        "files": [secrets_in(one) for one in pictures],
        "page": [secrets_in(shown)],
        "snap": [secrets_in(one.payload) for one in heard if one.topic.endswith("up/snap")],
        "hook": [secrets_in(one) for one in hooked],
        "clips": [
            set().union(*(secrets_shown(picture) for picture in film_pictures(path)))
            for path in (tmp_path / "kept").glob("*.ts")
        ],
    }
    if hidden:
        assert ways.pop("clips") == []
    assert all(found for found in ways.values()), "each way was searched"
    assert {way: found for way, found in ways.items() if any(one != (set() if hidden else BOTH) for one in found)} == {}
    # And where no picture is to be at all, with or without privacy.
    quiet = [one for one in heard if not one.topic.endswith("up/snap")]
    assert {one.topic.split("/", 3)[3].split("/")[1] for one in quiet} >= {"birth", "state", "result", "event", "reply"}
    assert set().union(*(secrets_in(one.payload) for one in quiet)) == set()
    assert secrets_in(json.dumps(summary).encode()) == secrets_in(agent.log.encode()) == set()
    assert secrets_in((tmp_path / "out.zip").read_bytes()) == set()
    assert set().union(*(secrets_in(path.read_bytes()) for path in tmp_path.glob("outbox.sqlite*"))) == set()


def test_clips_beside_something_hidden_are_refused_unless_that_is_meant(tmp_path: Path) -> None:
    clips = {"enabled": True, "sources": {"hall": "rtsp://127.0.0.1:9/main"}}
    config = configuration(tmp_path, "mqtt://127.0.0.1", free_port(), hidden=True, clips=clips)
    with AgentProcess("--config", config, "--no-mqtt") as agent:
        code, _ = agent.finish(60)
    assert code == 2
    assert "nothing in them can be masked or blurred" in agent.log
    assert "clips.unmasked_clips" in agent.log
    meant = yaml.safe_load(config.read_text())
    meant["clips"]["unmasked_clips"] = True
    config.write_text(yaml.safe_dump(meant))
    with AgentProcess("--config", config, "--no-mqtt", "--duration", "0.5") as agent:
        code, _ = agent.finish(60)
    assert code == 0, agent.log
