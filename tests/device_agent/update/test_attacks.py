"""The attack table: whatever comes, from whomever, is refused, told as an event, and never touches what runs.

Of a command that is not for now or not for this device no update begins; of these only so many events go out, however many come.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("cryptography")

from edgesdk_agent.update import launcher
from edgesdk_agent.update.asking import Ask
from edgesdk_agent.update.record import RecordFile, Step
from edgesdk_agent.update.wish import Wish
from edgesdk_targets.bundle import archive
from edgesdk_targets.bundle.archive import pack
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.bundle.chunk_list import CHUNKS_SUFFIX, ChunkList, chunks_of
from edgesdk_targets.bundle.package import SIGNATURE
from edgesdk_targets.messages import Command, encode
from edgesdk_targets.signing.trusted_keys import TrustedKeys
from edgesdk_testkit.range_server import serving
from edgesdk_testkit.steered import Bench
from edgesdk_testkit.update_device import BOX, STRANGER, Device, wait_for
from edgesdk_testkit.update_life import first_install, make

ENDLESS = "endless"


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    monkeypatch.setattr("edgesdk_agent.update.trial_watch.TrialWatch.look", lambda _: None)
    monkeypatch.setattr("edgesdk_agent.update.trial_watch.TrialWatch.is_settled", lambda _: True)
    first_install(tmp_path / "update", make(tmp_path, 2))
    one = Device(tmp_path)
    yield one
    for update in one.running:
        update.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "edgesdk-update"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Serve the test's folder; more and more comes after whatever is named `endless`."""
    with serving(tmp_path, endless=lambda path: path.startswith(f"/{ENDLESS}")) as url:
        yield url


def _parts(path: Path) -> dict[str, bytes]:
    with open_bundle(path) as bundle:
        return {name: bundle._archive.read(name) for name in bundle._archive.sizes}


def _listed(path: Path, **lies: object) -> ChunkList:
    """Publish a file with the list of its chunks, as who has the server can: the list is signed by nobody."""
    with open_bundle(path) as bundle:
        chunks = chunks_of(bundle, 3).model_copy(update=lies)
    path.with_name(path.name + CHUNKS_SUFFIX).write_bytes(chunks.to_bytes())
    return chunks


def _relisted(path: Path, like: ChunkList) -> None:
    """List what now lies there under the name and digest of what lay there before."""
    content = path.read_bytes()
    size = like.chunk_bytes
    digests = tuple(hashlib.sha256(content[at : at + size]).hexdigest() for at in range(0, len(content), size))
    told = like.model_copy(update={"size": len(content), "sha256": digests})
    path.with_name(path.name + CHUNKS_SUFFIX).write_bytes(told.to_bytes())


# --- who signed it


def unsigned(device: Device) -> Path:
    return make(device.folder, 3).path


def wrong_key(device: Device) -> Path:
    return device.made(3, STRANGER).path


def revoked_key(device: Device) -> Path:
    return device.made(3).path


def signature_of_another(device: Device) -> Path:
    made, other = device.made(3), device.made(4)
    made.path.write_bytes(pack({**_parts(made.path), SIGNATURE: _parts(other.path)[SIGNATURE]}))
    return made.path


def downgrade(device: Device) -> Path:
    return device.made(1).path


# --- what it is, on a stick


def tampered(device: Device) -> Path:
    made = device.made(3)
    files = _parts(made.path)
    name = next(name for name in files if name.endswith(".onnx"))
    made.path.write_bytes(pack({**files, name: files[name][:-1] + bytes([files[name][-1] ^ 1])}))
    return made.path


def truncated(device: Device) -> Path:
    made = device.made(3)
    made.path.write_bytes(made.path.read_bytes()[:-100])
    return made.path


def path_traversal(device: Device, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = device.made(3)
    with monkeypatch.context() as patched:
        patched.setattr(archive, "check_name", lambda _name: None)
        made.path.write_bytes(pack({**_parts(made.path), "../../../slots/a/model.edgebundle": b"evil"}))
    return made.path


def zip_bomb(device: Device) -> Path:
    made = device.made(3)
    made.path.write_bytes(pack({**_parts(made.path), "models/bomb.onnx": bytes(64 << 20)}))
    return made.path


# --- what a server says


def server_tampered(device: Device) -> Path:
    """The list is made to fit: only the signature tells."""
    made = device.made(3)
    told = _listed(made.path)
    tampered(device)
    _relisted(made.path, told)
    return made.path


def server_truncated(device: Device) -> Path:
    made = device.made(3)
    told = _listed(made.path)
    made.path.write_bytes(made.path.read_bytes()[:-100])
    _relisted(made.path, told)
    return made.path


def server_strangers(device: Device) -> Path:
    made = device.made(3, STRANGER)
    _listed(made.path)
    return made.path


def server_unsigned(device: Device) -> Path:
    made = make(device.folder, 3)
    _listed(made.path, release=0)
    return made.path


def server_downgrade_in_disguise(device: Device) -> Path:
    """An old release, offered under a new number."""
    made = device.made(1)
    _listed(made.path, release=9)
    return made.path


def server_another_file(device: Device) -> Path:
    made = device.made(3)
    _listed(made.path)
    content = bytearray(made.path.read_bytes())
    content[len(content) // 2] ^= 1
    made.path.write_bytes(content)
    return made.path


def server_endless_list(device: Device) -> Path:
    path = device.made(3).path.rename(device.folder / f"{ENDLESS}.edgebundle")
    path.with_name(path.name + CHUNKS_SUFFIX).write_bytes(b"[")
    return path


def server_promises_a_full_disk(device: Device) -> Path:
    made = device.made(3)
    told = _listed(made.path)
    size = 1 << 38
    chunk = 4 << 20
    huge = told.model_copy(update={"size": size, "chunk_bytes": chunk, "sha256": (told.sha256[0],) * (size // chunk)})
    made.path.with_name(made.path.name + CHUNKS_SUFFIX).write_bytes(huge.to_bytes())
    return made.path


BY_STICK = {
    unsigned: "is not signed", wrong_key: "not trusted here", revoked_key: "is revoked", downgrade: "has confirmed 2",
    signature_of_another: "for cnn 1.0.4 with other content", tampered: "altered|differs|damaged|hash", truncated: "damaged|cut",
    zip_bomb: "expand|large|times",
}  # fmt: skip
BY_SERVER = {
    server_tampered: "altered|differs|damaged|hash", server_truncated: "damaged|cut", server_strangers: "not trusted here",
    server_unsigned: "is not signed", server_downgrade_in_disguise: "signed as release 1",
    server_another_file: "Chunk|promised", server_endless_list: "list of chunks",
    server_promises_a_full_disk: "list of chunks|are taken",
}  # fmt: skip


def _what_runs(device: Device) -> dict[str, bytes]:
    files = [launcher.SWITCH, "slots/a/model.edgebundle", "slots/a/slot.json"]
    return {name: (device.root / name).read_bytes() for name in files}


def _assert_refused(device: Device, address: str, says: str) -> None:
    """Ask for it; it must be told, and nothing of what runs may have changed, nor anything have come into the other slot."""
    before = _what_runs(device)
    if device.running == []:
        device.agent()
    token = f"{len(device.told):016x}"
    device.asked(Wish(do="install", token=token, address=address), lambda one: not one.waits)
    told = wait_for(lambda: [message for name, message, data in device.told if _is_end(name, data)])
    assert re.search(says, told[-1]), told
    wait_for(lambda: not list((device.root / "incoming").iterdir()))
    assert _what_runs(device) == before
    assert not list((device.root / "slots/b").iterdir())
    assert sorted(path.name for path in device.root.parent.glob("**/model.edgebundle")) == ["model.edgebundle"]
    record = RecordFile(device.root).now
    assert (record.step, record.floor) == (Step.IDLE, 2)


def _is_end(name: str, data: dict[str, object]) -> bool:
    return name == "update_refused" or (name == "update_step" and data["step"] == "idle")


@pytest.mark.parametrize(("attack", "says"), BY_STICK.items(), ids=[one.__name__ for one in BY_STICK])
def test_by_a_file(device: Device, attack: Callable[[Device], Path], says: str) -> None:
    if attack is revoked_key:
        device.trusted = TrustedKeys.of(BOX.public, STRANGER.public).without(BOX.public.id, "laptop stolen")
    _assert_refused(device, str(attack(device)), says)


def test_by_a_path_that_leaves_its_folder(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    _assert_refused(device, str(path_traversal(device, monkeypatch)), "not allowed")


@pytest.mark.parametrize(("attack", "says"), BY_SERVER.items(), ids=[one.__name__ for one in BY_SERVER])
def test_by_a_server(device: Device, server: str, attack: Callable[[Device], Path], says: str) -> None:
    _assert_refused(device, f"{server}/{attack(device).name}", says)


def test_negative_control_a_good_one_goes_further(device: Device, server: str) -> None:
    made = device.made(3)
    _listed(made.path)
    device.agent()
    device.asked(Wish(do="install", token="a" * 16, address=f"{server}/{made.path.name}"), lambda one: one.taken)
    wait_for(lambda: any(_is_end(name, data) for name, _, data in device.told))
    steps = [data["step"] for name, _, data in device.told if name == "update_step"]
    # It has no golden set, which is what ends it; the attacks came not as far.
    assert steps == ["downloading", "verified", "idle"]


# --- by the broker


@pytest.fixture
def asked(tmp_path: Path) -> tuple[Bench, list[str]]:
    """A device that takes commands, and the addresses of the updates that it was asked for."""
    bench, addresses = Bench(tmp_path), list[str]()
    ask: Ask = lambda _do, address, _why, _shadow=None: addresses.append(address)  # noqa: E731
    runner = bench.steering._runner
    runner._controls = replace(runner._controls, ask_update=ask)
    return bench, addresses


def _command(node: str = "local.gate", **changes: object) -> bytes:
    now = datetime.now(timezone.utc)
    told = Command.model_validate(
        {
            "node": node,
            "at": now,
            "id": "one",
            "verb": "update",
            "deadline": now + timedelta(seconds=60),
            "arguments": {"do": "install", "address": "https://models.example.com/m.edgebundle"},
            **changes,
        }
    )
    return encode(told).payload


TOPIC = "edgesdk/1/local.gate/down/cmd"
LATE = datetime.now(timezone.utc) - timedelta(days=1)


@pytest.mark.parametrize(
    ("topic", "command", "retained", "told", "code"),
    [
        (TOPIC, partial(_command), True, {"malformed": 1}, "retained"),
        (
            TOPIC, partial(_command, deadline=LATE, at=LATE), False, {"commands": 1, "offered": 1, "refused_expired": 1},
            "expired",
        ),
        ("edgesdk/1/local.other/down/cmd", partial(_command), False, {"malformed": 1}, "other_node"),
        (TOPIC, partial(_command, node="local.other"), False, {"malformed": 1}, "other_node"),
        (TOPIC, lambda: b"{", False, {"malformed": 1}, "malformed"),
        ("edgesdk/1/local.gate/down/ack", partial(_command), False, {}, ""),  # which commands do not listen to
    ],
    ids=["kept by the broker", "late", "spoofed topic", "spoofed node", "nonsense", "another channel"],
)  # fmt: skip
def test_by_a_command_that_is_not_for_now_or_not_for_this_device(
    asked: tuple[Bench, list[str]],
    topic: str,
    command: Callable[[], bytes],
    retained: bool,
    told: dict[str, int],
    code: str,
) -> None:
    bench, addresses = asked
    bench.say(topic, command(), retained=retained)
    bench.run()
    assert addresses == []
    assert bench.steering.counts() == told
    warned = {"name": "command_refused", "severity": "warning", "code": code, "count": 1}
    assert bench.said == ([warned] if code else [])


def test_by_a_command_that_is_replayed(asked: tuple[Bench, list[str]]) -> None:
    bench, addresses = asked
    for _ in range(3):
        bench.say(TOPIC, _command())
        bench.run()
    assert addresses == ["https://models.example.com/m.edgebundle"]
    assert bench.steering.counts() == {"commands": 3, "offered": 3, "done": 1, "repeated": 2}
    assert [(one["code"], one["severity"]) for one in bench.said] == [("repeated", "info")]
    # The same again once its time is over is nobody's second delivery.
    bench.say(TOPIC, _command(deadline=LATE, at=LATE))
    bench.run()
    assert [(one["code"], one["severity"]) for one in bench.said[1:]] == [("replayed", "warning")]
    assert len(addresses) == 1


def test_who_says_it_a_thousand_times_fills_no_outbox(asked: tuple[Bench, list[str]]) -> None:
    bench, addresses = asked
    now = [0.0]
    bench.steering._refusals._clock = lambda: now[0]
    for second in range(1201):
        now[0] = float(second)
        bench.say(TOPIC, _command(node="local.other"))
        bench.say(TOPIC, b"{")
        bench.run()
    assert addresses == []
    assert bench.steering.counts() == {"malformed": 2402}
    # Of each kind one at once, and one in ten minutes, which says how many there were.
    counts = [one["count"] for one in bench.said if one["code"] == "other_node"]
    assert counts == [1, 600, 600]
    assert len(bench.said) == 6
    assert bench.events[-1][1].endswith("(600 of these since the last event)")
