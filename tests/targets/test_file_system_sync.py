"""One file system made lasting: by the kernel's own call, and what that refuses is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgesdk_targets import file_system_sync
from edgesdk_targets.file_system_sync import sync_file_system


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_it_is_the_kernels_own_call_of_the_folder_and_no_handle_is_left(tmp_path: Path) -> None:
    (tmp_path / "written").write_bytes(b"x" * 4096)
    before = _open_files()
    sync_file_system(tmp_path)
    assert _open_files() == before


def test_what_the_disk_does_not_take_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError):
        sync_file_system(tmp_path / "none")
    before, real = _open_files(), os.open
    handles: list[int] = []

    def refused(path: object, flags: int) -> int:
        # The kernel refuses a handle that is closed meanwhile, as it would a disk that fails.
        handles.append(real(path, flags))  # type: ignore[arg-type]
        return 1 << 20

    monkeypatch.setattr(file_system_sync.os, "open", refused)
    monkeypatch.setattr(file_system_sync.os, "close", lambda _handle: os.closerange(handles[0], handles[0] + 1))
    with pytest.raises(OSError, match="Bad file descriptor"):
        sync_file_system(tmp_path)
    monkeypatch.undo()
    assert _open_files() == before
