"""What a process is said to hold."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from edgesdk_targets.child_watch import held_bytes, own_bytes

_SIZE = 64 << 20


def test_a_file_that_is_read_is_not_its_own_memory(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"1" * _SIZE)
    held, own = held_bytes(os.getpid()), own_bytes(os.getpid())
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:: mmap.PAGESIZE].count(b"1") == _SIZE // mmap.PAGESIZE
        assert held_bytes(os.getpid()) - held > _SIZE // 2
        assert own_bytes(os.getpid()) - own < _SIZE // 4
    taken = bytearray(b"1") * _SIZE
    assert own_bytes(os.getpid()) - own > _SIZE // 2
    del taken


def test_who_has_ended_holds_nothing() -> None:
    assert own_bytes(1 << 30) == 0
