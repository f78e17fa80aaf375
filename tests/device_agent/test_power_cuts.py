"""What was set from afar, which commands came, and evidence that is to be sent survive a cut of the power at every moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edgesdk_agent.commands.memory import CommandMemory, Remembered
from edgesdk_agent.config.overlay import Layer, OverlayFile, Trial
from edgesdk_agent.evidence.clip_camera import ClipCamera, ClipRequest
from edgesdk_agent.evidence.encoded_stream import Packet, PacketSource
from edgesdk_agent.evidence.packet_ring import PacketRing
from edgesdk_agent.evidence.picture_store import PictureStore
from edgesdk_agent.evidence.tus_upload import TusUpload
from edgesdk_agent.evidence.uploader import Uploader
from edgesdk_agent.server_address import ServerAddress
from edgesdk_targets.errors import CameraLost, InputError, NoSpace
from edgesdk_targets.whole_file import write_whole
from edgesdk_testkit.power_cuts import FileOperations, Image, crash_images, written_to

STEPS = tuple(Layer(set={"telemetry.interval_s": seconds}) for seconds in (1, 22, 333))


def _recorded(root: Path, store: Callable[[FileOperations], None], without: str = "") -> list[Image]:
    with pytest.MonkeyPatch.context() as patch:
        operations = FileOperations(root, without=without).watch(patch)
        store(operations)
    return list(crash_images(operations))


def _overlay_written(root: Path) -> Callable[[FileOperations], None]:
    def write(operations: FileOperations) -> None:
        file = OverlayFile(root / "overlay.json")
        for number, layer in enumerate(STEPS):
            file.write(file.now.but(layer=layer, trial=Trial(before=file.now.layer)))
            operations.mark(str(number))
        file.write(file.now.but(trial=None))
        operations.mark("kept")

    return write


def _wrong(images: list[Image], folder: Path) -> list[str]:
    """Return what is wrong with disks that could be found: each must open, and hold what was promised."""
    found = []
    for number, image in enumerate(images):
        file = OverlayFile(written_to(image, folder / str(number)) / "overlay.json")
        if file.damage:
            found.append(f"{number}: {file.damage}")
            continue
        promised = len([mark for mark in image.marks if mark != "kept"])
        states = (Layer(), *STEPS)
        if file.now.layer not in states[promised:]:
            found.append(f"{number}: after {image.marks} it holds {file.now.layer.set}")
        if "kept" in image.marks and file.now.trial is not None:
            found.append(f"{number}: the end of the trial is forgotten")
    return found


def _folders(tmp_path: Path) -> tuple[Path, Path]:
    root = tmp_path / "state"
    root.mkdir()
    return root, tmp_path / "found"


def test_the_overlay_opens_after_every_cut_of_the_power_and_holds_what_was_promised(tmp_path: Path) -> None:
    root, found = _folders(tmp_path)
    images = _recorded(root, _overlay_written(root))
    assert len(images) >= 15
    assert _wrong(images, found) == []


@pytest.mark.parametrize("without", ["file", "folder"])
def test_each_sync_is_needed(tmp_path: Path, without: str) -> None:
    root, found = _folders(tmp_path)
    assert _wrong(_recorded(root, _overlay_written(root), without), found)


def test_a_command_that_was_begun_is_known_after_every_cut_of_the_power(tmp_path: Path) -> None:
    root, found = _folders(tmp_path)

    def remember(operations: FileOperations) -> None:
        memory = CommandMemory(root / "commands.json", 2)
        for command_id in ("a", "b", "c"):
            memory.note(Remembered(id=command_id, verb="restart"))
            operations.mark(f"{command_id} begun")
            memory.note(Remembered(id=command_id, verb="restart", state="over", ok=True))
            operations.mark(f"{command_id} over")

    for number, image in enumerate(_recorded(root, remember)):
        memory = CommandMemory(written_to(image, found / str(number)) / "commands.json", 2)
        assert memory.unsaved == 0
        if image.marks:
            command_id, _, state = image.marks[-1].partition(" ")
            known = memory.get(command_id)
            # With two kept, the one after the next may have begun already.
            assert known is not None, image.marks
            assert known.state == "over" or state == "begun"


def _clip_written(root: Path) -> None:
    """Cut a clip out of a segment on disk and of what is in memory; by closing, so that no thread runs."""
    ring = PacketRing(root.parent / "ring", keep_s=60, segment_s=1, max_bytes=1 << 20)
    ring.connected("h264", b"")
    for step in range(20):
        ring.add(Packet(b"\0\0\0\1\x65" + bytes(200), step / 10, key=step % 5 == 0, has_sets=True), 0.0)
    over: list[ClipRequest] = []
    camera = ClipCamera("gate", _no_stream, ring, root, on_clip=over.append)
    assert camera.ask(ClipRequest("gate", 0.0, 2.0, id="clip"))
    camera.close()
    assert [one.problem for one in over] == [None]


def _no_stream() -> PacketSource:
    raise CameraLost("no stream", hint="")


def _note_written(root: Path) -> None:
    address = ServerAddress.parse("http://127.0.0.1:9/files/")
    uploader = Uploader(root, TusUpload(address, "", max_bytes_per_s=1), threading.Event())
    uploader.add(root / "clip.ts", {"camera": "gate"})


def _picture_written(root: Path) -> None:
    PictureStore(root, keep_s=60, max_bytes=1 << 20).put("gate.jpg", b"picture" * 30)


@pytest.mark.parametrize("write", [_clip_written, _note_written, _picture_written])
def test_evidence_that_was_written_is_there_after_a_cut_of_the_power_and_only_for_its_owner(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    root, _ = _folders(tmp_path)

    def store(operations: FileOperations) -> None:
        write(root)
        operations.mark("written")

    images = _recorded(root, store)
    (path,) = root.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    kept = [image.files for image in images if "written" in image.marks]
    assert kept == [{path.name: path.read_bytes()}]
    # Never a part of it under its name.
    assert {image.files[path.name] for image in images if path.name in image.files} == {path.read_bytes()}


def test_what_does_not_fit_the_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "overlay.json"
    write_whole(path, b"old")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgesdk_targets.whole_file.os.fsync", _disk_full)
        with pytest.raises(NoSpace):
            write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    (tmp_path / "plain").touch()
    with pytest.raises(InputError):
        write_whole(tmp_path / "plain" / "overlay.json", b"new")


def test_a_damaged_overlay_is_put_aside_and_told(tmp_path: Path) -> None:
    path = tmp_path / "overlay.json"
    path.write_bytes(b'{"schema": "overlay/1", "layer": ')
    file = OverlayFile(path)
    assert "damaged" in file.damage
    assert file.now.layer == Layer()
    assert (tmp_path / "overlay.json.damaged").exists()
    assert not path.exists()


def _disk_full(_handle: int) -> None:
    raise OSError(28, "No space left on device")
