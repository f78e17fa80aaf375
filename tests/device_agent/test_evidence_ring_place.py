"""Where the ring lies: in memory with a quota, on a disk only where its owner says so, and in nobody else's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesdk_agent.evidence import ring_place as module
from edgesdk_agent.evidence.ring_place import ring_place
from edgesdk_targets import file_system
from edgesdk_targets.errors import InputError
from edgesdk_targets.file_system import is_in_memory

MOUNTS = """\
/dev/root / ext4 rw 0 0
tmpfs /run tmpfs rw 0 0
/dev/sda1 /run/media ext4 rw 0 0
tmpfs {place} tmpfs rw 0 0
"""


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the system's table calls a file system in memory."""
    place = tmp_path / "in memory"
    place.mkdir()
    table = tmp_path / "mounts"
    table.write_text(MOUNTS.format(place=str(place).replace(" ", "\\040")))
    monkeypatch.setattr(file_system, "_MOUNTS", table)
    return place


def test_the_ring_lies_in_memory_unless_a_folder_is_named(memory: Path, tmp_path: Path) -> None:
    place = ring_place(None, tmp_path / "kept", 2, 64 << 20, [tmp_path / "disk", tmp_path, memory])
    assert place.in_memory
    assert place.folder.parent == memory
    assert place.folder.stat().st_mode & 0o777 == 0o700
    again = ring_place(None, tmp_path / "kept", 2, 64 << 20, [memory])
    assert again.folder == place.folder, "what a killed process left is found, and deleted"
    assert ring_place(None, tmp_path / "other", 2, 64 << 20, [memory]).folder != place.folder
    named = ring_place(tmp_path / "disk", tmp_path / "kept", 2, 1 << 20)
    assert (named.folder, named.bytes_each, named.in_memory) == (tmp_path / "disk", 1 << 20, False)
    place.leave([])
    assert not place.folder.exists()


def test_it_takes_a_quarter_of_what_is_free_at_most(
    memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [128 << 20]
    usage = type("Usage", (), {"free": property(lambda _: free[0])})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage())
    assert ring_place(None, tmp_path, 4, 64 << 20, [memory]).bytes_each == 8 << 20
    assert ring_place(None, tmp_path, 1, 16 << 20, [memory]).bytes_each == 16 << 20
    free[0] = 32 << 20
    with pytest.raises(InputError, match="No file system in memory") as refused:
        ring_place(None, tmp_path, 4, 64 << 20, [memory])
    assert "clips.ring_folder" in refused.value.hint, "a disk is never taken by itself"


def test_a_mount_is_told_by_the_longest_path(memory: Path) -> None:
    told = {"/run/x": True, "/run/media/usb": False, "/runner": False, "/home": False, str(memory / "a/b"): True}
    assert {path: is_in_memory(Path(path)) for path in told} == told
    assert is_in_memory(Path("/dev/shm")) is False, "this table does not know it"


def test_a_folder_that_is_somebody_elses_or_open_is_refused(memory: Path, tmp_path: Path) -> None:
    folder = ring_place(None, tmp_path, 1, 1 << 20, [memory]).folder
    folder.chmod(0o755)
    with pytest.raises(InputError, match="not this agent's alone"):
        ring_place(None, tmp_path, 1, 1 << 20, [memory])
    folder.rmdir()
    (tmp_path / "trap").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "trap")
    with pytest.raises(InputError, match="not this agent's alone"):
        ring_place(None, tmp_path, 1, 1 << 20, [memory])
