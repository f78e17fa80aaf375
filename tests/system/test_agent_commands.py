"""The agent as a process, steered over a real broker: every verb, the desired state, SIGHUP, and a bundle that takes over."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from edgesdk_targets.bundle.bundle import open_bundle, write_bundle
from edgesdk_testkit.steered_site import NODE, site, versioned

pytestmark = pytest.mark.system


@contextmanager
def service_manager(address: Path) -> Iterator[socket.socket]:
    """Listen as systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(address))
        listener.settimeout(30)
        yield listener


def _heard_restart(manager: socket.socket) -> None:
    """Wait until the second start is over; systemd must not have heard an end in between, nor been left without patience."""
    said: list[bytes] = []
    while sum(one.startswith(b"READY=1") for one in said) < 2:
        said.append(manager.recv(4096))
    assert not any(one.startswith(b"STOPPING=1") for one in said), said
    begun = next(at for at, one in enumerate(said) if one.startswith(b"RELOADING=1"))
    assert said[begun + 1].startswith(b"EXTEND_TIMEOUT_USEC=")
    assert said[begun + 2].startswith(b"READY=1"), said


def _halved(source: Path, path: Path) -> Path:
    """Write the same bundle with half of each weight: whole, of the right form, and wrong."""
    import onnx
    from onnx import numpy_helper

    with open_bundle(source) as bundle:
        files = {name: bundle.read(name) for name in bundle.manifest.files}
        for name in [one for one in files if one.endswith(".onnx")]:
            model = onnx.load_from_string(files[name])
            for weight in model.graph.initializer:
                values = numpy_helper.to_array(weight)
                if values.dtype == "float32":
                    weight.CopyFrom(numpy_helper.from_array(values / 2, weight.name))
            files[name] = model.SerializeToString()
        write_bundle(path, bundle.manifest.model_copy(update={"version": "2.0.0"}), files)
    return path


def test_every_verb_does_what_it_says(digits_bundle: Path, tmp_path: Path, needs_program: object) -> None:
    needs_program("mosquitto", "mosquitto")  # type: ignore[operator]
    with site(tmp_path, digits_bundle) as here:
        here.listener.wait_for("up/result", 3)
        births = len(here.listener.heard("up/birth"))
        here.done("birth")
        first = here.listener.wait_for("up/birth", births + 1)[0].body["boot_id"]
        # pause, resume
        assert here.done("pause", camera="belt") == {"paused": ["belt"]}
        paused_at = here.frames("belt")
        here.listener.wait_for("up/result", len(here.listener.heard("up/result")) + 5)
        assert here.frames("belt") <= paused_at + 4, "what was captured before is still reported, and no more"
        assert here.done("resume", camera="belt") == {"paused": []}
        seen = here.frames("belt")
        here.heard(lambda _: here.frames("belt") > seen + 3)
        # log-level, logs
        here.done("log-level", level="debug")
        records = here.done("logs", count=200, level="info")["records"]
        assert any("Command" in one["message"] for one in records)
        # set, with its trial
        told = here.done("set", values={"telemetry.interval_s": 0.3})
        assert told == {"changed": ["telemetry.interval_s"], "trial_s": 1.0, "persistent": True}
        here.event("settings_kept")
        # reload, by the verb
        text = (tmp_path / "edgesdk.yaml").read_text()
        (tmp_path / "edgesdk.yaml").write_text(text + "queue: {max_reports: 77}\n")
        refused = here.ask("reload").reply
        assert refused is not None
        assert "queue.max_reports would need a restart" in refused.message
        (tmp_path / "edgesdk.yaml").write_text(text.replace("trial_s: 1", "trial_s: 2"))
        assert here.done("reload") == {"changed": ["commands.trial_s"]}
        # unknown
        unknown = here.ask("restrat").reply
        assert unknown is not None
        assert (unknown.code, unknown.step) == ("unknown", "refused")
        # restart: the same process, started again, and what was set is still set
        outcome = here.ask("restart", command_id="again")
        assert outcome.reply is not None
        assert outcome.reply.message == "Started again."
        here.heard(lambda all_: any(h.channel == "up/birth" and h.body["boot_id"] != first for h in all_))
        again = here.ask("restart", command_id="again").reply
        assert again is not None
        assert again.message == "Started again.", "once is once"
        births = {h.body["boot_id"] for h in here.listener.heard("up/birth")}
        assert len(births) == 2
        here.agent.send(signal.SIGTERM)
        code, _ = here.agent.finish(30)
        assert code == 0, here.agent.log
    overlay = json.loads((tmp_path / "state/overlay.json").read_text())
    assert overlay["layer"]["set"] == {"telemetry.interval_s": 0.3}
    assert overlay["trial"] is None


def test_another_bundle_takes_over_and_no_frame_is_lost(digits_bundle: Path, tmp_path: Path) -> None:
    cameras = "  - {name: belt, source: 'conveyor:?frames=600&fps=60', mode: every_frame}"
    with site(tmp_path, digits_bundle, cameras) as here:
        versioned(digits_bundle, tmp_path / "bundles/two.edgebundle", "2.0.0")
        (tmp_path / "bundles/broken.edgebundle").write_bytes(b"PK no bundle")
        here.listener.wait_for("up/result", 5)
        refused = here.ask("bundle", name="broken.edgebundle").reply
        assert refused is not None
        assert not refused.ok
        assert here.event("bundle_refused")["message"].startswith("broken.edgebundle")
        here.done("bundle", name="two.edgebundle")
        assert here.event("bundle_swapped")["message"].endswith("2.0.0")
        code, summary = here.agent.finish(120)
        assert code == 0, here.agent.log
        # A source that is live may itself skip on a busy machine; what it gave is what must arrive.
        captured = summary["frames"]["captured"]
        results = here.listener.wait_for("up/result", captured)
        reported = here.listener.heard("up/reported")[-1].body
    assert [one.body["frame"] for one in results] == list(range(captured))
    assert summary["frames"] == {"captured": captured, "processed": captured, "dropped": {}, "in_flight": 0}
    versions = [one.body["bundle"]["version"] for one in results]
    assert versions == sorted(versions), "a result names the bundle that made it"
    assert set(versions) == {"1.0.0", "2.0.0"}
    assert (reported["active"]["version"], reported["previous"]["version"]) == ("2.0.0", "1.0.0")


def test_a_bundle_that_answers_otherwise_is_not_taken(digits_bundle: Path, tmp_path: Path) -> None:
    with site(tmp_path, digits_bundle, target="generic-onnx") as here:
        _halved(digits_bundle, tmp_path / "bundles/other.edgebundle")
        reply = here.ask("bundle", name="other.edgebundle").reply
        assert reply is not None
        assert "answers otherwise than when it was built" in reply.message
        seen = len(here.listener.heard("up/result"))
        results = here.listener.wait_for("up/result", seen + 5)
        assert {one.body["bundle"]["version"] for one in results} == {"1.0.0"}


def test_the_desired_state_holds_over_a_restart_and_sighup_reads_the_file(digits_bundle: Path, tmp_path: Path) -> None:
    env = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
    with service_manager(tmp_path / "notify") as manager, site(tmp_path, digits_bundle, env=env) as here:
        versioned(digits_bundle, tmp_path / "bundles/two.edgebundle", "2.0.0")
        state = {"config": {"telemetry.interval_s": 0.4}, "bundle": "two.edgebundle", "paused_cameras": ["yard"]}
        reported = here.want(7, **state, log_level="warning", colour="red")
        assert dict(reported.applied) == {**state, "log_level": "warning"}
        assert [one.what for one in reported.refused] == ["colour"]
        here.event("settings_kept")
        here.done("restart")
        _heard_restart(manager)
        births = here.heard(lambda all_: len({h.body["boot_id"] for h in all_ if h.channel == "up/birth"}) == 2)
        last = [h.body for h in births if h.channel == "up/birth"][-1]
        assert last["bundle"]["version"] == "2.0.0"
        seen = here.frames("yard")
        here.listener.wait_for("up/result", len(here.listener.heard("up/result")) + 5)
        assert here.frames("yard") == seen, "a restart keeps what is paused paused"
        # SIGHUP, with the bundle's file replaced under its name
        here.want(8)
        versioned(digits_bundle, tmp_path / "bundles/one.edgebundle", "1.5.0")
        here.agent.send(signal.SIGHUP)
        here.heard(lambda all_: any(h.channel == "up/result" and h.body["bundle"]["version"] == "1.5.0" for h in all_))
        assert here.event("config_reloaded")["message"] == "the bundle's file"


def test_a_person_steers_from_the_command_line(digits_bundle: Path, tmp_path: Path) -> None:
    with site(tmp_path, digits_bundle) as here:
        url = str(here.broker.address)
        done = _cli("cmd", "gate", "pause", "belt", "--broker", url, "--wait", "--json")
        assert json.loads(done.stdout)["reply"]["data"] == {"paused": ["belt"]}
        refused = _cli("cmd", "gate", "paus", "belt", "--broker", url, "--wait")
        assert refused.returncode == 2, "said wrongly here, and never sent"
        assert "argument" in refused.stderr
        unknown = _cli("cmd", "gate", "dance", "--broker", url, "--wait")
        assert unknown.returncode == 1
        assert "It knows birth" in unknown.stderr


def test_some_hundred_malformed_messages_over_the_broker_end_nothing(digits_bundle: Path, tmp_path: Path) -> None:
    pick = random.Random(5)
    stamp = datetime.now(timezone.utc).isoformat()
    late = (datetime.now(timezone.utc) + timedelta(seconds=60)).isoformat()
    good = {"schema": "cmd/1", "node": str(NODE), "at": stamp, "id": "x", "verb": "birth", "deadline": late}
    with site(tmp_path, digits_bundle) as here:
        for number in range(300):
            text = json.dumps({**good, "id": f"m{number}", "arguments": {"a": [number]}}).encode()
            at = pick.randrange(len(text))
            payload = pick.choice([text[:at], text[:at] + os.urandom(3) + text[at:], os.urandom(40), b"[" * 2000])
            channel = pick.choice(["cmd", "desired", "ack"])
            here.listener._client.publish(f"edgesdk/1/{NODE}/down/{channel}", payload, qos=1).wait_for_publish(10)
        assert here.done("birth") == {}
        records = here.done("logs", count=500, level="error")["records"]
        assert records == [], "nothing of it was an error of ours"


def _cli(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgesdk", "fleet", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
